"""A call that was tried twice: what it may have cost is on record, however the second try ends."""

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest

from chatvault.config.schema import Timeouts
from chatvault.config.snapshot import ProviderSnapshot
from tests.fake.raw import chat
from tests.gateway.harness import RATES, Gate, gateway
from tests.net.peers import Peer

OK = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"choices":[]}'


class Leaving:
    """A provider that answers once, and at the next request stops listening before it closes."""

    def __init__(self) -> None:
        self.requests = 0
        self.server: asyncio.Server | None = None
        self.full: list[socket.socket] = []

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1)
        return int(self.server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, 1)
        await peer.request()
        self.requests += 1
        await peer.write(OK)
        await peer.request()
        self.requests += 1
        assert self.server is not None
        self.server.close()
        writer.close()


async def to(gate: Gate, port: int, timeouts: Timeouts) -> None:
    raw = ProviderSnapshot(
        name="raw", kind="openai-compatible", base_url=f"http://127.0.0.1:{port}/v1", timeouts=timeouts
    )
    await gate.control.configure(
        msgspec.structs.replace(gate.control.snapshot, providers={"raw": raw}, default_provider=None)
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_second_try_that_cannot_connect_leaves_the_first_ones_cost_unknown(
    tmp_path: Path, stream: bool
) -> None:
    leaving = Leaving()
    port = await leaving.start()
    async with gateway(tmp_path, prices={"raw/*": RATES}) as gate:
        await to(gate, port, Timeouts(connect=1.0, first_byte=5.0, idle=5.0))
        assert (await gate.send(gate.post(chat("raw/m", max_tokens=9)))).status == 200
        heard = await gate.send(gate.post(chat("raw/m", stream=stream, max_tokens=9)))
        error = heard.json["error"]
        assert isinstance(error, dict)
        assert (heard.status, error["code"]) == (502, "upstream_unreachable")
        assert leaving.requests == 2
    records = await gate.records()
    call = heard.headers["x-request-id"]
    (attempt,) = records.attempted
    (opened,) = [line for line in records.opened if line.id == call]
    record = records.of(call)
    assert (attempt.id, attempt.number, attempt.after, attempt.reserved) == (
        call,
        2,
        "stale_connection",
        opened.reserved,
    )
    assert opened.reserved
    assert (record.state, record.attempts, record.usage) == ("upstream_error", 2, None)
    assert (record.cost, record.cost_source, record.bound) == (None, "unknown", 2 * opened.reserved)


async def test_a_first_try_that_cannot_connect_costs_nothing(tmp_path: Path, free_port: int) -> None:
    async with gateway(tmp_path, prices={"raw/*": RATES}) as gate:
        await to(gate, free_port, Timeouts(connect=1.0))
        assert (await gate.send(gate.post(chat("raw/m", max_tokens=9)))).status == 502
    record = (await gate.records()).only()
    assert (record.attempts, record.cost, record.cost_source, record.bound) == (1, 0, "free", None)


async def test_a_second_try_that_dies_too_is_the_last(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        heard = await gate.send(gate.post(chat("fake/close", max_tokens=9)))
        assert heard.status == 502
        assert gate.fake.stats.requests == 3
    records = await gate.records()
    record = records.of(heard.headers["x-request-id"])
    (attempt,) = records.attempted
    assert attempt.reserved is not None
    assert (record.attempts, record.cost, record.bound) == (2, None, 2 * attempt.reserved)
