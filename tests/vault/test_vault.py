"""The vault on a real SQLite database."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.access.budget import Budget
from chatvault.access.grant import Whose
from chatvault.access.limits import Limits
from chatvault.access.store import Ask, KeptBudget, TokenFilter, TokenStore
from chatvault.access.token import Token
from chatvault.vault.faults import VaultError
from chatvault.vault.store import Vault, open_vault


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with open_vault(tmp_path / "vault.db") as opened:
        yield opened


def token(number: int, **more: object) -> Token:
    return Token(id=f"tok_{number:04}", name=f"n{number}", created_at=1000 + number // 2, **more)  # type: ignore[arg-type]


def digest(number: int) -> bytes:
    return number.to_bytes(32)


async def test_a_token_comes_back_as_it_was_kept(vault: Vault) -> None:
    store: TokenStore = vault
    full = token(
        1,
        project="team",
        user="ada",
        expires_at=5,
        models=("gpt-*",),
        endpoints=("chat.*", "account.files"),
        networks=("10.0.0.0/8",),
        parent="tok_0000",
        idle=3_600_000_000,
        max_requests=5,
        limits=Limits(requests_per_hour=7, shadow=True),
        tags=("a",),
        metadata={"k": "v"},
    )
    await store.add(full, digest(1))
    await store.add(token(2), digest(2))
    assert await store.get("tok_0001") == full
    assert await store.get("tok_9") is None
    assert await store.find([digest(1), digest(2), digest(3)]) == {digest(1): full, digest(2): token(2)}


async def test_kinds_are_kept_apart(vault: Vault) -> None:
    await vault.add(token(1, kind="management"), digest(1))
    assert await vault.find([digest(1)]) == {}
    assert list(await vault.find([digest(1)], "management")) == [digest(1)]
    assert await vault.count() == 0
    assert await vault.count("management") == 1


async def test_pages_go_from_the_newest_to_the_oldest_and_hold_each_token_once(vault: Vault) -> None:
    for number in range(7):
        await vault.add(token(number), digest(number))
    seen: list[str] = []
    after = None
    while page := await vault.page(3, after):
        seen += [t.id for t in page]
        after = (page[-1].created_at, page[-1].id)
    assert seen == [f"tok_{number:04}" for number in reversed(range(7))]


async def test_a_token_is_revoked_once(vault: Vault) -> None:
    await vault.add(token(1), digest(1))
    assert await vault.revoke("tok_0001", 7)
    assert not await vault.revoke("tok_0001", 8)
    assert not await vault.revoke("tok_none", 8)
    found = await vault.get("tok_0001")
    assert found is not None
    assert found.revoked_at == 7
    assert await vault.revoked_since(7) == Whose(tokens=("tok_0001",))
    assert await vault.revoked_since(8) == Whose()


async def test_tokens_of_a_project_that_is_switched_off_count_as_revoked(vault: Vault) -> None:
    await vault.add(token(1, project="team"), digest(1))
    other = sqlite3.connect(vault.path)
    with other:
        other.execute("UPDATE projects SET active = 0 WHERE id = 'team'")
    other.close()
    assert (await vault.find([digest(1)]))[digest(1)].revoked_at is not None


async def test_a_digest_cannot_be_kept_twice(vault: Vault) -> None:
    await vault.add(token(1), digest(1))
    with pytest.raises(VaultError) as raised:
        await vault.add(token(2), digest(1))
    assert raised.value.code == "vault_failed"
    assert await vault.get("tok_0002") is None


async def test_notes(vault: Vault) -> None:
    assert await vault.note("k") is None
    await vault.set_note("k", "1")
    await vault.set_note("k", "2")
    assert await vault.note("k") == "2"


async def test_it_is_its_owners_alone_and_ready_for_concurrent_readers(vault: Vault) -> None:
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    other = sqlite3.connect(vault.path)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert other.execute("SELECT id FROM projects").fetchall() == [("default",)]
    other.close()
    await asyncio.gather(*(vault.add(token(n), digest(n)) for n in range(8)))
    assert await vault.count() == 8


async def test_what_was_kept_survives_a_second_opening(tmp_path: Path) -> None:
    for number in range(2):
        async with open_vault(tmp_path / "vault.db") as vault:
            await vault.add(token(number), digest(number))
            assert await vault.count() == number + 1


async def test_a_locked_vault_says_so(tmp_path: Path) -> None:
    async with open_vault(tmp_path / "vault.db", patience=0.05) as vault:
        other = sqlite3.connect(vault.path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(VaultError, match="locked by another program") as raised:
            await vault.add(token(1), digest(1))
        assert raised.value.code == "vault_locked"
        assert await vault.find([digest(1)]) == {}, "readers do not wait for it"
        other.close()


async def test_a_damaged_vault_says_so_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(VaultError, match="Put a backup in its place") as raised:
        async with open_vault(path):
            pass
    assert raised.value.code == "vault_corrupt"
    assert path.read_bytes().startswith(b"no database")


async def test_tables_that_vanish_are_somebody_elses_doing(vault: Vault) -> None:
    other = sqlite3.connect(vault.path)
    other.execute("DROP TABLE tokens")
    other.close()
    with pytest.raises(VaultError, match="not chatvault's") as raised:
        await vault.page(1)
    assert raised.value.code == "vault_foreign"


async def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VaultError, match="belong to the user") as raised:
        async with open_vault(tmp_path / "file" / "vault.db"):
            pass
    assert raised.value.code == "vault_unwritable"


async def test_tokens_are_found_by_whose_they_are_and_how_they_are(vault: Vault) -> None:
    await vault.add(token(1, project="p", user="ada", tags=("x", "y")), digest(1))
    await vault.add(token(2, project="p", expires_at=5), digest(2))
    await vault.add(token(3, project="q", revoked_at=4, parent="tok_0001"), digest(3))
    await vault.add(token(4, kind="management"), digest(4))

    async def found(**which: object) -> list[int]:
        page = await vault.page(9, which=TokenFilter(at=5, **which))  # type: ignore[arg-type]
        return [int(each.id[-1]) for each in reversed(page)]

    assert await found() == [1, 2, 3, 4]
    assert await found(project="p") == [1, 2]
    assert await found(user="ada") == [1]
    assert await found(tag="y") == [1]
    assert await found(tag="z") == []
    assert await found(kind="management") == [4]
    assert await found(parent="tok_0001") == [3]
    assert await found(state="active") == [1, 4]
    assert await found(state="expired") == [2]
    assert await found(state="revoked") == [3]


async def test_a_token_is_changed_but_for_what_it_is(vault: Vault) -> None:
    await vault.add(token(1), digest(1))
    other = token(
        1, expires_at=9, models=("a",), networks=("::1",), idle=3, max_requests=4, limits=Limits(concurrent=1),
        tags=("t",), metadata={"k": "v"},
    )  # fmt: skip
    await vault.change(other)
    assert await vault.get("tok_0001") == other
    await vault.change(token(1))
    assert await vault.get("tok_0001") == token(1)
    assert list(await vault.find([digest(1)])) == [digest(1)]


async def test_a_rotated_token_has_two_secrets_for_a_while(vault: Vault) -> None:
    await vault.add(token(1), digest(1))
    await vault.rotate("tok_0001", digest(2), 50)
    assert {key: holder.until for key, holder in (await vault.holders([digest(1), digest(2)])).items()} == {
        digest(1): 50,
        digest(2): None,
    }
    await vault.rotate("tok_0001", digest(3), 60)
    assert set(await vault.holders([digest(1), digest(2), digest(3)])) == {digest(2), digest(3)}
    await vault.rotate("tok_0001", digest(4), None)
    assert set(await vault.holders([digest(number) for number in range(1, 5)])) == {digest(4)}


async def test_many_are_revoked_at_once(vault: Vault) -> None:
    for number in range(6):
        await vault.add(token(number, project="pq"[number % 2]), digest(number))
    await vault.revoke("tok_0002", 3)
    assert sorted(await vault.revoke_all(TokenFilter(project="p"), 7)) == ["tok_0000", "tok_0004"]
    assert await vault.revoke_all(TokenFilter(project="p"), 8) == []
    assert await vault.revoked_since(7) == Whose(tokens=("tok_0000", "tok_0004"))


async def test_what_expired_long_ago_is_removed(vault: Vault) -> None:
    for number in range(4):
        await vault.add(token(number, expires_at=100 * number if number else None), digest(number))
    await vault.rotate("tok_0001", digest(11), 90)
    await vault.rotate("tok_0003", digest(13), 150)
    assert await vault.expired(120, 10) == ["tok_0001"]
    assert await vault.expired(350, 2) == ["tok_0001", "tok_0002"]
    await vault.drop_expired(["tok_0001", "tok_0003"], 120)
    assert [each.id for each in await vault.page(9)] == ["tok_0003", "tok_0002", "tok_0000"]
    assert set(await vault.holders([digest(1), digest(11), digest(3), digest(13)])) == {digest(3), digest(13)}
    await vault.drop_expired((), 151)
    assert set(await vault.holders([digest(3), digest(13)])) == {digest(13)}


async def test_what_paid_for_a_removed_token_ends_with_it(vault: Vault) -> None:
    await vault.add(token(1, expires_at=100, max_requests=5), digest(1))
    await vault.add(token(2, max_requests=5), digest(2))
    for number in (1, 2):
        budget = Budget(id=f"bud_{number}", scope="token", subject=f"tok_000{number}", amount=7)
        await vault.budgets.add(KeptBudget(budget=budget, project="default", created_at=1))
    counted = [f"tok_000{number}/requests" for number in (1, 2)]
    assert await vault.budgets.lend([Ask((each, 0), "c", 1) for each in counted], 1) == [1, 1]
    await vault.drop_expired(["tok_0001", "tok_0002"], 200)
    ended = [kept.ended_at is not None for kept in await vault.budgets.page(9)]
    assert ended == [True, False]
    assert [spent.key for spent in await vault.budgets.spent(counted)] == [(counted[1], 0)]


async def test_a_token_without_its_parent_holds_no_more(vault: Vault) -> None:
    """What bound it is not known any more: a parent's end may have been moved before its own."""
    await vault.add(token(1, expires_at=100), digest(1))
    await vault.add(token(2, parent="tok_0001", expires_at=300), digest(2))
    await vault.add(token(3, parent="tok_0002", expires_at=300), digest(3))
    assert not any(holder.revoked for holder in (await vault.holders([digest(2), digest(3)])).values())
    await vault.drop_expired(["tok_0001"], 200)
    holders = await vault.holders([digest(2), digest(3)])
    assert [holder.revoked for holder in holders.values()] == [True, True]
    by_id = await vault.holder("tok_0003")
    assert by_id is not None
    assert by_id.revoked


async def test_a_holder_is_found_by_its_id_and_so_is_what_it_minted(vault: Vault) -> None:
    await vault.add(token(1), digest(1))
    await vault.add(token(2, parent="tok_0001", expires_at=100), digest(2))
    await vault.add(token(3, parent="tok_0002", expires_at=90), digest(3))
    await vault.add(token(4, parent="tok_0001", revoked_at=5), digest(4))
    await vault.add(token(5, parent="tok_0004", expires_at=90), digest(5))
    holder = await vault.holder("tok_0003")
    assert holder == (await vault.holders([digest(3)]))[digest(3)]
    assert await vault.holder("tok_0009") is None
    made = {f"tok_000{number}": token(number).created_at for number in (2, 3, 4, 5)}
    found = await vault.below(["tok_0001", "tok_0002", "tok_0003"])
    assert found == {"tok_0001": made, "tok_0002": {"tok_0003": made["tok_0003"]}}
    assert await vault.live_below("tok_0001", 80, 9) == 2
    assert await vault.live_below("tok_0001", 80, 1) == 1
    assert await vault.live_below("tok_0001", 95, 9) == 1
