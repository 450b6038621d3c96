"""A gateway before a provider that does to the byte what a test tells it; its models are called `raw/...`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chatvault.config.schema import Timeouts
from chatvault.config.snapshot import ProviderSnapshot
from tests.gateway.harness import KEY, RATES, TIMEOUTS, Gate, gateway
from tests.net.peers import Handler, Provider, provider

SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
"""The head of a stream that ends with its connection."""


def event(text: str, line_end: bytes = b"\n") -> bytes:
    """A piece of a chat's answer as an event."""
    data = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%s"}}]}'
    return b"data: " + data % text.encode() + line_end * 2


DONE = b"data: [DONE]\n\n"


def sized(body: bytes, kind: bytes = b"application/json", more: bytes = b"") -> bytes:
    """A whole answer of announced length."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%scontent-length: %d\r\n\r\n%s" % (
        kind,
        more,
        len(body),
        body,
    )


@asynccontextmanager
async def before(
    tmp_path: Path, handle: Handler, *, timeouts: Timeouts = TIMEOUTS, **changes: Any
) -> AsyncIterator[tuple[Gate, Provider]]:
    """`changes` are those of `gateway`."""
    async with provider(handle) as there:
        raw = ProviderSnapshot(
            name="raw",
            kind="openai-compatible",
            base_url=f"http://127.0.0.1:{there.port}/v1",
            headers={"authorization": f"Bearer {KEY}"},
            timeouts=timeouts,
        )
        prices = {"raw/*": RATES, "fake/*": RATES}
        async with gateway(tmp_path, providers={"raw": raw}, prices=prices, **changes) as gate:
            yield gate, there
