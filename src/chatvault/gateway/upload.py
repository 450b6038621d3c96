"""A request body that goes up as it comes, with back-pressure, and is never held.

Of a form, the first part is held until the model's name is in, since it decides where the call goes; the rest
is watched, so that no second one follows. What comes before the provider's connection is there waits, and the
client with it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatvault.core.errors import ClientError, TooLarge
from chatvault.net.connection import LiveExchange
from chatvault.wire.multipart import ModelField

if TYPE_CHECKING:
    from chatvault.gateway.call import Call


Begin = Callable[["Call", str | None, tuple[int, int] | None, bytes], bytes]
"""Told the model, where its name lies in the first bytes, and these; gives them back as they are to be sent."""


class UploadedBody:
    """The `Intake` of an upload, and its way to the provider."""

    __slots__ = (
        "_begin",
        "_call",
        "_exchange",
        "_finder",
        "_limit",
        "_size",
        "_started",
        "_waiting",
        "_whole",
    )

    def __init__(self, call: "Call", begin: Begin) -> None:
        server = call.worker.snapshot.server
        self._call = call
        self._begin = begin
        self._limit = server.max_upload
        self._size = 0
        self._waiting: list[bytes] = []
        self._exchange: LiveExchange | None = None
        self._started = self._whole = False
        if call.head.fields.get(b"content-encoding", b"identity").lower() != b"identity":
            raise ClientError(
                "An upload must not be compressed, since it passes as it is. Send it without "
                "content-encoding.",
                code="unsupported_encoding",
                status=415,
            )
        kind = call.head.fields.get(b"content-type", b"")
        form = kind.lower().startswith(b"multipart/")
        self._finder = ModelField(kind, server.max_body) if form else None
        if (call.length or 0) > self._limit:
            raise self._too_large()

    def part(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise self._too_large()
        known = self._finder is None or self._finder.feed(data)
        if self._exchange is not None:
            if not self._exchange.send(data):
                self._call.connection.pause_reading()
            return
        self._waiting.append(data)
        if self._started:
            self._call.connection.pause_reading()
        elif known:
            self._start()

    def whole(self) -> None:
        self._whole = True
        if not self._started:
            self._start()
        elif self._exchange is not None:
            self._exchange.finish()

    def abandon(self) -> None:
        self._waiting.clear()

    def tick(self, now: float) -> None:
        """Nothing is waited for here but the client and the provider, who have deadlines of their own."""

    def _start(self) -> None:
        self._started = True
        finder = self._finder
        held, self._waiting = b"".join(self._waiting), []
        model, span = (finder.model, finder.span) if finder is not None else (None, None)
        rest = self._begin(self._call, model, span, held)
        self._waiting.insert(0, rest)
        self._send_waiting()

    def goes_over(self, exchange: LiveExchange) -> None:
        """The attempt has begun: from now on parts go where it goes."""
        self._exchange = exchange
        self._send_waiting()

    def _send_waiting(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        waiting, self._waiting = b"".join(self._waiting), []
        if waiting and not exchange.send(waiting) and not self._whole:
            self._call.connection.pause_reading()
        if self._whole:
            exchange.finish()

    def writable(self) -> None:
        """The provider takes more."""
        if not self._whole:
            self._call.connection.resume_reading()

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The upload is over the limit of {self._limit} bytes (server.max_upload). Send less, or raise "
            "the limit.",
            code="upload_too_large",
        )
