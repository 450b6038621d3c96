"""The load generator counts what was answered, and what was not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from chatvault.bench.load import Order, load
from chatvault.bench.processes import Helper, Load
from chatvault.bench.upstream import Answers, Upstream, chat, messages


@asynccontextmanager
async def listening(make: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    """Serves; at its end all connections are gone."""
    made: list[asyncio.Protocol] = []

    def connect() -> asyncio.Protocol:
        made.append(make())
        return made[-1]

    async with await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    for protocol in made:
        transport = getattr(protocol, "_transport", None) or getattr(protocol, "transport", None)
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0.02)


def upstream(events: int, gap_ms: float) -> Upstream:
    shapes = chat(events), messages(events)
    return Upstream(*(Answers(events, gap_ms, shape) for shape in shapes))


def order(port: int, **changes: object) -> Order:
    whole = Order(port=port, token="t", model="m", streamed=False, connections=3, seconds=5, calls=30)
    return msgspec.structs.replace(whole, **changes)


class Says(asyncio.Protocol):
    """Answers every request with the same bytes, and hangs up if asked to."""

    def __init__(self, answer: bytes, close: bool = False) -> None:
        self._answer = answer
        self._close = close

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)
        if self._close:
            self._transport.close()


async def test_whole_answers_by_number() -> None:
    async with listening(lambda: upstream(3, 0.1)) as port:
        outcome = await load(order(port))
    assert (outcome.calls, outcome.bad) == (30, 0)
    assert 0 < outcome.p50_ms <= outcome.p99_ms


@pytest.mark.parametrize("asks", ["openai", "anthropic"])
async def test_streams_by_time(asks: str) -> None:
    async with listening(lambda: upstream(5, 1.0)) as port:
        outcome = await load(order(port, streamed=True, seconds=0.1, calls=0, asks=asks))
    assert outcome.bad == 0
    assert outcome.calls >= 3
    assert outcome.p50_ms >= 5
    assert 0.1 <= outcome.seconds < 5


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
async def test_what_is_no_whole_stream_is_bad(answer: bytes) -> None:
    async with listening(lambda: Says(answer)) as port:
        outcome = await load(order(port, streamed=True))
    assert (outcome.calls, outcome.bad) == (0, 30)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", b"nonsense\r\n\r\n"])
async def test_a_connection_that_breaks_is_bad(answer: bytes) -> None:
    async with listening(lambda: Says(answer, close=True)) as port:
        outcome = await load(order(port))
    assert (outcome.calls, outcome.bad) == (0, 3)


async def test_nobody_there(free_port: int) -> None:
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await load(order(free_port))


def test_as_processes() -> None:
    with Helper("upstream", ["3", "0.1"]) as upstream, Helper("load") as helper:
        port = int(upstream.hear())
        outcome = Load(helper)(order(port, streamed=True))
        assert (outcome.calls, outcome.bad) == (30, 0)
        assert Load(helper)(order(port)).calls == 30
