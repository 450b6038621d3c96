"""Where an error of the gateway's own ends: at its call. Each is made where it would arise, since none is known."""

import asyncio
from pathlib import Path

import pytest

from chatvault.config.schema import ServerConfig
from chatvault.core.seam import Fault, Head
from chatvault.gateway.connection import ClientConnection
from chatvault.gateway.raw_relay import RawRelay
from chatvault.gateway.stream_relay import StreamRelay
from chatvault.gateway.whole_relay import WholeRelay
from tests.fake.raw import Heard, chat
from tests.gateway.harness import converse, gateway, until
from tests.gateway.upstream import DONE, SSE, before, event
from tests.net.peers import Peer

Relay = type[RawRelay] | type[StreamRelay] | type[WholeRelay]


class Broken(Exception):
    """What nobody has thought of."""


def end(self: object) -> None:
    raise Broken


def fault(self: object, fault: Fault) -> None:
    raise Broken


def head(self: object, head: Head) -> None:
    raise Broken


def body(self: object, data: bytes) -> None:
    raise Broken


RELAYS: dict[str, tuple[Relay, str, bool]] = {
    "whole": (WholeRelay, "fake/simulated", False),
    "streamed": (StreamRelay, "fake/simulated", True),
    "raw": (RawRelay, "fake/size-2000k", False),
    "compressed": (WholeRelay, "fake/simulated+gzip", False),
}


@pytest.mark.parametrize("also", ["", "fault"])
@pytest.mark.parametrize("where", ["head", "body", "end"])
@pytest.mark.parametrize("kind", RELAYS)
async def test_a_relay_that_fails_ends_its_call_and_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    where: str,
    also: str,
) -> None:
    relay, model, stream = RELAYS[kind]
    async with gateway(tmp_path) as gate:
        _, bystander = other = await gate.open()
        bystander.write(gate.post(chat("fake/echo+slow-first-byte-100ms")))
        await until(lambda: gate.worker.calls)
        with monkeypatch.context() as breaking:
            breaking.setattr(relay, where, globals()[where])
            if also:
                breaking.setattr(relay, also, globals()[also])
            heard = await gate.send(gate.post(chat(model, stream=stream)))
        if heard.status == 200:
            assert heard.ended in ("eof", "reset")
            assert not heard.whole()
        else:
            assert (heard.status, code_of(heard)) == (500, "internal_error")
        assert (await converse(*other, b"")).status == 200
        assert (await gate.send(gate.post(chat(model, stream=stream)))).status == 200
        assert not gate.worker.calls
        assert gate.worker.held == 0
    records = await gate.records()
    failed = records.of(heard.headers["x-request-id"])
    assert (failed.state, failed.code) == ("gateway_error", "internal_error")
    assert [record.state for record in records.closed if record.id != failed.id] == ["completed"] * 2
    assert any(record.exc_info and record.exc_info[0] is Broken for record in caplog.records)


def code_of(heard: Heard) -> str:
    error = heard.json["error"]
    assert isinstance(error, dict)
    return str(error["code"])


async def test_a_relay_that_fails_behind_the_last_event_ends_its_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider has said `[DONE]`, and keeps the answer open: a timer ends it."""

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(SSE + event("a"), 0.05)
        await peer.write(DONE)
        await peer.left()

    monkeypatch.setattr(StreamRelay, "end", end)
    async with before(tmp_path, handle) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m", stream=True)))
        assert heard.ended in ("eof", "reset")
        assert not heard.whole()
        assert not gate.worker.calls
    record = (await gate.records()).only()
    assert (record.state, record.code) == ("gateway_error", "internal_error")
    assert any(record.exc_info and record.exc_info[0] is Broken for record in caplog.records)


async def test_a_connection_whose_tick_fails_does_not_end_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ticked = ClientConnection.tick

    def tick(self: ClientConnection, now: float) -> None:
        if self.agent == b"poison":
            raise Broken
        ticked(self, now)

    monkeypatch.setattr(ClientConnection, "tick", tick)
    server = ServerConfig(header_timeout=0.3, drain_timeout=0.2)
    async with gateway(tmp_path, tick=None, server=server) as gate:
        calls = []
        for agent in ("poison", "plain", "poison"):
            reader, writer = await gate.open()
            writer.write(gate.post(chat("fake/echo+slow-first-byte-700ms"), **{"user-agent": agent}))
            calls.append((reader, writer))
        idle, _ = await gate.open()
        poisoned, plain, second = await asyncio.gather(*(converse(*pair, b"") for pair in calls))
        for heard in (poisoned, second):
            assert (heard.status, code_of(heard)) == (500, "internal_error")
        assert plain.status == 200
        async with asyncio.timeout(3):
            assert await idle.read() == b""
        assert (await gate.send(gate.get("/health"))).status == 200
    records = await gate.records()
    states = {record.id: (record.state, record.code) for record in records.closed}
    assert states[poisoned.headers["x-request-id"]] == ("gateway_error", "internal_error")
    assert states[plain.headers["x-request-id"]] == ("completed", None)
    assert any(record.exc_info and record.exc_info[0] is Broken for record in caplog.records)


async def test_a_request_that_fails_is_answered_and_its_connection_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(call: object, endpoint: object) -> None:
        raise Broken

    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        with monkeypatch.context() as breaking:
            breaking.setattr("chatvault.gateway.local.answer_open", broken)
            heard = await converse(reader, writer, gate.get("/health"))
        assert (heard.status, code_of(heard)) == (500, "internal_error")
        assert (await converse(reader, writer, gate.get("/health"))).status == 200
    assert [line.code for line in (await gate.records()).refused] == ["internal_error"]
