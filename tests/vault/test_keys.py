"""Provider keys on a real SQLite database."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from chatvault.access.people import Project
from chatvault.core.secrets import Secret
from chatvault.vault.faults import VaultError
from chatvault.vault.keys import Kept, ProviderKey, ProviderKeys
from chatvault.vault.master import master_key, new_master_key
from chatvault.vault.seal import Sealed, seal, unseal
from chatvault.vault.store import Vault, open_vault

MASTER = master_key(bytes(range(32)))
SECRET = Secret("sk-vault-0123456789abcdef")


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with open_vault(tmp_path / "vault.db") as opened:
        await opened.people.add_project(Project(id="team", name="team", created_at=1))
        yield opened


async def kept(
    keys: ProviderKeys, key_id: str, *, provider: str = "openai", project: str | None = None, at: int = 7
) -> Kept:
    key = ProviderKey(id=key_id, provider=provider, project=project, name="mine", last4="cdef", created_at=at)
    sealed = seal(MASTER, key.seat, SECRET)
    await keys.add(key, sealed)
    return key, sealed


async def test_a_key_comes_back_as_it_was_kept_and_not_in_the_clear(vault: Vault) -> None:
    one = await kept(vault.keys, "key_1", project="team")
    assert await vault.keys.get("key_1") == one
    assert await vault.keys.get("key_9") is None
    files = await asyncio.to_thread(
        lambda: b"".join(path.read_bytes() for path in vault.path.parent.glob("vault.db*"))
    )
    assert b"key_1" in files
    assert SECRET.reveal().encode() not in files


async def test_pages_are_by_id_and_filtered(vault: Vault) -> None:
    for number, provider, project in ((1, "openai", None), (2, "groq", "team"), (3, "openai", "team")):
        await kept(vault.keys, f"key_{number}", provider=provider, project=project)

    async def page(**what: str) -> list[str]:
        return [key.id for key, _ in await vault.keys.page(2, **what)]

    assert await page() == ["key_1", "key_2"]
    assert await page(after="key_2") == ["key_3"]
    assert await page(provider="openai") == ["key_1", "key_3"]
    assert await page(project="team") == ["key_2", "key_3"]
    assert await page(provider="openai", project="team") == ["key_3"]


async def test_nothing_is_left_of_a_revoked_key(vault: Vault) -> None:
    key, _ = await kept(vault.keys, "key_1")
    other = await kept(vault.keys, "key_2", at=6)
    await vault.keys.revoke("key_1", 9)
    await vault.keys.revoke("key_1", 10)
    assert await vault.keys.get("key_1") == (
        msgspec.structs.replace(key, revoked_at=9),
        Sealed(MASTER.id, b"", b""),
    )
    assert await vault.keys.live() == [other]


async def test_a_key_of_an_unknown_project_is_not_kept(vault: Vault) -> None:
    with pytest.raises(VaultError):
        await kept(vault.keys, "key_1", project="nobody")


async def test_all_are_sealed_anew_or_none(vault: Vault) -> None:
    new = new_master_key()
    before = [await kept(vault.keys, f"key_{number}") for number in range(3)]
    fresh = []
    for key, _ in before:
        later = msgspec.structs.replace(key, version=2)
        fresh.append((later, seal(new, later.seat, SECRET)))
    await vault.keys.revoke("key_2", 9)
    assert not await vault.keys.reseal(fresh)
    assert await vault.keys.live() == before[:2]
    assert await vault.keys.reseal(fresh[:2])
    assert await vault.keys.live() == fresh[:2]
    for key, sealed in await vault.keys.live():
        assert unseal(new, key.seat, sealed) == SECRET
    assert not await vault.keys.reseal(fresh[:1])  # it is of that version already


@pytest.mark.parametrize("column", ["provider", "project_id", "id", "version", "sealed", "nonce"])
async def test_rows_that_were_exchanged_do_not_open(vault: Vault, column: str) -> None:
    await kept(vault.keys, "key_1", provider="openai", project="team")
    await kept(vault.keys, "key_2", provider="groq")

    def exchange() -> None:
        with sqlite3.connect(vault.path) as connection:
            values = dict(connection.execute(f"SELECT id, {column} FROM provider_keys").fetchall())
            if column == "version":
                connection.execute("UPDATE provider_keys SET version = 2")
            elif column == "id":
                for old, new in (("key_1", "key_x"), ("key_2", "key_1"), ("key_x", "key_2")):
                    connection.execute("UPDATE provider_keys SET id = ? WHERE id = ?", (new, old))
            else:
                for key, other in (("key_1", "key_2"), ("key_2", "key_1")):
                    connection.execute(
                        f"UPDATE provider_keys SET {column} = ? WHERE id = ?", (values[other], key)
                    )
        connection.close()

    for key, sealed in await vault.keys.live():
        assert unseal(MASTER, key.seat, sealed) == SECRET
    await asyncio.to_thread(exchange)
    found = await vault.keys.live()
    assert len(found) == 2
    for key, sealed in found:
        with pytest.raises(ValueError, match="changed"):
            unseal(MASTER, key.seat, sealed)
