"""Calls that are signed with keys of the vault: whose turn it is, which hold over which, what is on record, and what
becomes of a key that is revoked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.audit.lines import Closed, Opened
from chatvault.config.snapshot import Keys, KeySnapshot, ProviderSnapshot, Snapshot
from chatvault.core.errors import Unavailable
from chatvault.fake import FakeProvider
from chatvault.gateway.key_turns import KeyTurns
from chatvault.providers.rows import ROWS
from tests.gateway.harness import Gate, decoded, gateway, until

CONFIGURED = "sk-configured-0123456789"


def key(name: str) -> KeySnapshot:
    return KeySnapshot(f"key_{name}", {"openai": {"authorization": f"Bearer sk-{name}", "x-fixed": "1"}})


def account(fake: FakeProvider, **more: Any) -> ProviderSnapshot:
    return ProviderSnapshot(
        name="own",
        kind="fake",
        base_url=fake.base_url,
        headers={"authorization": f"Bearer {CONFIGURED}"},
        dialects=ROWS["fake"].dialects,
        **more,
    )


@asynccontextmanager
async def keyed(
    folder: Path, keys: Keys | None, **more: Any
) -> AsyncIterator[tuple[Gate, FakeProvider, Snapshot]]:
    async with (
        FakeProvider() as fake,
        gateway(folder, providers={"own": account(fake, **more)}, keys=keys) as gate,
    ):
        yield gate, fake, gate.control.snapshot


def signed_by(fake: FakeProvider) -> str:
    assert fake.last is not None
    return fake.last.headers["authorization"].removeprefix("Bearer ")


async def ask(gate: Gate, token: str | None = None, *, status: int = 200, **body: object) -> Any:
    wanted = {"model": "own/echo", "messages": [{"role": "user", "content": "hi"}], **body}
    heard = await gate.send(gate.post(wanted, token=token))
    assert heard.status == status, heard.data
    return decoded(heard)


async def used(gate: Gate, fake: FakeProvider, calls: int, token: str | None = None) -> list[str]:
    found = []
    for _ in range(calls):
        await ask(gate, token)
        found.append(signed_by(fake))
    return found


async def on_record(gate: Gate) -> list[tuple[str | None, str | None]]:
    """Of each call: the key on the line that opened it, and on the one that closed it."""
    await gate.settled()
    records = await gate.records()
    opened = {line.id: line.key for line in records.lines if isinstance(line, Opened)}
    return [(opened[line.id], line.key) for line in records.lines if isinstance(line, Closed)]


async def test_a_projects_own_keys_hold_over_those_for_all_and_these_over_the_configured_one(
    tmp_path: Path,
) -> None:
    keys: Keys = {"own": {"": (key("all"),), "team": (key("team"),)}}
    async with keyed(tmp_path, keys) as (gate, fake, snapshot):
        team = gate.control.token(project="team")
        assert await used(gate, fake, 2) == ["sk-all", "sk-all"]
        assert await used(gate, fake, 2, team) == ["sk-team", "sk-team"]
        await gate.control.configure(
            msgspec.structs.replace(snapshot, keys={"own": {"team": (key("team"),)}})
        )
        assert await used(gate, fake, 1) == [CONFIGURED]
        assert await used(gate, fake, 1, team) == ["sk-team"]
        await gate.control.configure(msgspec.structs.replace(snapshot, keys={}))
        assert await used(gate, fake, 1, team) == [CONFIGURED]
        assert fake.last is not None
        assert "x-fixed" not in fake.last.headers
        assert await on_record(gate) == [
            ("key_all", "key_all"),
            ("key_all", "key_all"),
            ("key_team", "key_team"),
            ("key_team", "key_team"),
            (None, None),
            ("key_team", "key_team"),
            (None, None),
        ]


async def test_several_take_turns_over_the_same_connection(tmp_path: Path) -> None:
    keys: Keys = {"own": {"": (key("a"), key("b"), key("c")), "team": (key("d"), key("e"))}}
    async with keyed(tmp_path, keys) as (gate, fake, _):
        team = gate.control.token(project="team")
        async with gate.client() as client, gate.client(team) as other:
            for _ in range(2):
                for wanted in "abc":
                    await client.chat.completions.create(
                        model="own/echo", messages=[{"role": "user", "content": "x"}]
                    )
                    assert signed_by(fake) == f"sk-{wanted}"
                for wanted in "de":
                    await other.chat.completions.create(
                        model="own/echo", messages=[{"role": "user", "content": "x"}]
                    )
                    assert signed_by(fake) == f"sk-{wanted}"
        assert len(fake.connections) == 1


async def test_translated_calls_and_uploads_are_signed_too(tmp_path: Path) -> None:
    async with keyed(tmp_path, {"own": {"": (key("all"),)}}) as (gate, fake, _):
        body = {"model": "own/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        heard = await gate.send(gate.post(body, "/v1/messages", **{"anthropic-version": "2023-06-01"}))
        assert heard.status == 200, heard.data
        assert signed_by(fake) == "sk-all"
        form = (
            b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nown/simulated\r\n'
            b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--x--\r\n'
        )
        kind = {"content-type": "multipart/form-data; boundary=x"}
        heard = await gate.send(gate.post(form, "/v1/audio/transcriptions", **kind))
        assert heard.status == 200, heard.data
        assert signed_by(fake) == "sk-all"
        assert await on_record(gate) == [("key_all", "key_all")] * 2


@pytest.mark.parametrize(
    ("keys", "only"),
    [({"own": {"default": (), "": (key("all"),)}}, False), ({"own": {"": ()}}, False), ({}, True)],
    ids=["the project's cannot be opened", "those for all cannot be opened", "the vault has none"],
)
async def test_where_none_can_be_used_no_other_pays(tmp_path: Path, keys: Keys, only: bool) -> None:
    async with keyed(tmp_path, keys, vault_only=only) as (gate, fake, _):
        error = (await ask(gate, status=503))["error"]
        assert error["code"] == "provider_unusable"
        assert "own" in error["message"]
        assert fake.last is None
        assert await on_record(gate) == []
        assert [line.code for line in (await gate.records()).refused] == ["provider_unusable"]


async def test_a_provider_without_a_configured_key_is_signed_for(tmp_path: Path) -> None:
    async with keyed(tmp_path, {"own": {"team": (key("team"),)}}, vault_only=True) as (gate, fake, _):
        assert await used(gate, fake, 1, gate.control.token(project="team")) == ["sk-team"]
        assert (await ask(gate, status=503))["error"]["code"] == "provider_unusable"


async def test_a_revoked_key_signs_nothing_more_while_its_streams_go_on(tmp_path: Path) -> None:
    keys: Keys = {"own": {"": (key("a"), key("b"))}}
    async with keyed(tmp_path, keys) as (gate, fake, snapshot):
        client = gate.client()
        streams = [
            await client.chat.completions.create(
                model="own/pace-20ms+events-40", messages=[{"role": "user", "content": "x"}], stream=True
            )
            for _ in range(4)
        ]
        began = asyncio.get_running_loop().time()
        await gate.control.configure(msgspec.structs.replace(snapshot, keys={"own": {"": (key("b"),)}}))
        assert asyncio.get_running_loop().time() - began < 1
        assert await used(gate, fake, 5) == ["sk-b"] * 5
        for stream in streams:
            assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "stop"
        await until(lambda: not gate.worker.calls)
        ids = sorted(one or "" for one, _ in await on_record(gate))
        assert ids == ["key_a"] * 2 + ["key_b"] * 7


async def test_what_a_worker_has_holds_until_a_control_that_returned_has_read_its_vault(
    tmp_path: Path,
) -> None:
    async with keyed(tmp_path, {"own": {"": (key("all"),)}}) as (gate, fake, snapshot):
        assert await used(gate, fake, 1) == ["sk-all"]
        await gate.control.stop()
        await until(lambda: not gate.worker.feed.connected)
        gate.control.snapshot = msgspec.structs.replace(snapshot, keys=None)
        await gate.control.start()
        await until(lambda: gate.worker.feed.connected)
        assert await used(gate, fake, 1) == ["sk-all"]
        await gate.control.configure(msgspec.structs.replace(snapshot, keys={"own": {"": (key("new"),)}}))
        assert await used(gate, fake, 1) == ["sk-new"]


def turns(group: str, calls: int, taken: KeyTurns) -> Iterator[str | None]:
    for _ in range(calls):
        found = taken.take(group)
        yield None if found is None else found.id


def test_turns_are_fair_whoever_else_calls() -> None:
    taken = KeyTurns("own", {"": (key("a"), key("b")), "team": (key("c"),)}, only=False)
    assert list(turns("x", 3, taken)) == ["key_a", "key_b", "key_a"]
    assert list(turns("team", 2, taken)) == ["key_c", "key_c"]
    assert list(turns("y", 2, taken)) == ["key_b", "key_a"]  # projects without own keys share the turns
    assert KeyTurns("own", {"team": (key("c"),)}, only=False).take("x") is None
    with pytest.raises(Unavailable):
        KeyTurns("own", {"team": (key("c"),)}, only=True).take("x")
