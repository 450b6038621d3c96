"""The load generator: so many connections, each with one call after the other.

`python -m chatvault.bench.load` takes an `Order` a line on standard input and answers with an `Outcome`; it ends
when its standard input does.
"""

import asyncio
import time
from typing import Final, Literal, cast

import httptools
import msgspec
import uvloop

from chatvault.bench.lifeline import commands

_DONE: Final = {"openai": b"data: [DONE]\n\n", "anthropic": b'data: {"type":"message_stop"}\n\n'}
"""How a whole stream ends."""
_OVERTIME: Final = 30.0
"""Seconds that the last calls may take after the time is up."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """For `seconds`; where `calls` is not 0, for so many calls, and `seconds` at most."""

    port: int
    token: str
    model: str
    streamed: bool
    connections: int
    seconds: float
    calls: int = 0
    asks: Literal["openai", "anthropic"] = "openai"
    """Whose dialect is asked in."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`calls` that were answered well, `bad` that were not; latencies in milliseconds, of whole answers."""

    calls: int
    bad: int
    seconds: float
    p50_ms: float
    p99_ms: float


class Run:
    """What all connections of an order share."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.request = _request(order)
        self.until = time.perf_counter() + order.seconds
        self.begun = 0
        self.bad = 0
        self.took: list[float] = []
        self.open = order.connections
        self.idle = asyncio.Event()

    def more(self) -> bool:
        """Whether another call is to be made; counts it."""
        left = time.perf_counter() < self.until and (not self.order.calls or self.begun < self.order.calls)
        self.begun += left
        return left


class Client(asyncio.Protocol):
    """A connection: sends, waits for the whole answer, sends again."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._parser = httptools.HttpResponseParser(self)
        self._sent = 0.0
        self._tail = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_body(self, body: bytes) -> None:
        self._tail = body

    def on_message_complete(self) -> None:
        self._busy = False
        self._run.took.append(time.perf_counter() - self._sent)
        whole = not self._run.order.streamed or self._tail.endswith(_DONE[self._run.order.asks])
        if self._parser.get_status_code() != 200 or not whole:
            self._run.bad += 1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.bad += self._busy
        self._run.open -= 1
        if not self._run.open:
            self._run.idle.set()

    def _next(self) -> None:
        if not self._run.more():
            self._transport.close()
            return
        self._busy, self._sent = True, time.perf_counter()
        self._transport.write(self._run.request)


async def load(order: Order) -> Outcome:
    """Make the calls. Raises OSError where nobody listens."""
    run = Run(order)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for _ in range(order.connections):
        await loop.create_connection(lambda: Client(run), "127.0.0.1", order.port)
    async with asyncio.timeout(order.seconds + _OVERTIME):
        await run.idle.wait()
    took = sorted(run.took)
    return Outcome(
        calls=len(took) - min(run.bad, len(took)),
        bad=run.bad,
        seconds=time.perf_counter() - began,
        p50_ms=1000 * took[len(took) // 2] if took else 0.0,
        p99_ms=1000 * took[len(took) * 99 // 100] if took else 0.0,
    )


_SYSTEM: Final = "You are a helpful assistant."
_PROMPT: Final = {
    "role": "user",
    "content": "Hello! Please answer in one short sentence, what is the capital of France?",
}


def _request(order: Order) -> bytes:
    body: dict[str, object] = {"model": order.model, "temperature": 0.7, "max_tokens": 100}
    if order.asks == "anthropic":
        path = "/v1/messages"
        body |= {"system": _SYSTEM, "messages": [_PROMPT]}
    else:
        path = "/v1/chat/completions"
        body["messages"] = [{"role": "system", "content": _SYSTEM}, _PROMPT]
    text = msgspec.json.encode({**body, "stream": True} if order.streamed else body)
    head = [
        f"POST {path} HTTP/1.1",
        f"host: 127.0.0.1:{order.port}",
        f"authorization: Bearer {order.token}",
        "content-type: application/json",
        f"content-length: {len(text)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + text


async def _obey(line: bytes) -> bytes:
    return msgspec.json.encode(await load(msgspec.json.decode(line, type=Order)))


if __name__ == "__main__":
    uvloop.run(commands(_obey))
