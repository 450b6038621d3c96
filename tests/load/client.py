"""Clients that notice when each event of a stream arrives. They speak HTTP by hand: a library would add time of its own."""

import asyncio
import time
from typing import Final, cast

import httptools
import msgspec

_DONE: Final = b"data: [DONE]\n\n"


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A streamed chat completion, asked of 127.0.0.1."""

    port: int
    token: str
    model: str
    text: str = "hello"

    def as_bytes(self) -> bytes:
        message = {"role": "user", "content": self.text}
        body = msgspec.json.encode({"model": self.model, "messages": [message], "stream": True})
        return chat_head(self.port, self.token, len(body)) + body


def chat_head(port: int, token: str, length: int) -> bytes:
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    ).encode()


class Stream(asyncio.Protocol):
    """One streamed call over a connection of its own."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.status = 0
        self.body = bytearray()
        self.arrivals: list[float] = []
        """When each event was there: seconds of the machine's monotonic clock."""
        self.began = asyncio.Event()
        """An event has arrived."""
        self.over = asyncio.Event()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._whole = False

    @classmethod
    async def begin(cls, ask: Ask) -> "Stream":
        """Connected, and asked. Raises OSError where nobody listens."""
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: cls(ask), "127.0.0.1", ask.port
        )
        return stream

    @property
    def whole(self) -> bool:
        """It came to its end, as HTTP says and as the events say."""
        return self.status == 200 and self._whole and self.body.endswith(_DONE)

    @property
    def gaps(self) -> list[float]:
        """Seconds between one event and the next."""
        return [after - before for before, after in zip(self.arrivals, self.arrivals[1:], strict=False)]

    def text(self) -> str:
        """What the model said."""
        parts = [line[6:] for line in bytes(self.body).split(b"\n") if line.startswith(b"data: {")]
        choices = [choice for part in parts for choice in msgspec.json.decode(part)["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    def leave(self) -> None:
        """Hang up, whatever is still to come."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self.ask.as_bytes())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        now = time.monotonic()
        at = len(self.body)
        self.body += body
        # An event ends with an empty line, whose two line ends may arrive one by one.
        self.arrivals += [now] * self.body.count(b"\n\n", max(at - 1, 0))
        self.began.set()

    def on_message_complete(self) -> None:
        self._whole = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.began.set()
        self.over.set()
