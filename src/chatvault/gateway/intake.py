"""How a request's body comes in; here: held whole, and bounded. `upload.py` has the other way."""

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from chatvault.core.errors import ClientError, TooLarge, Unavailable
from chatvault.wire.json_fields import COPIED, Body

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_CODINGS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_ROOM_WAIT: Final = 10.0
"""Seconds a body waits for other bodies to leave the worker's memory, before its call is refused."""


class Intake(Protocol):
    """What hears a request's body."""

    def part(self, data: bytes) -> None: ...

    def whole(self) -> None: ...

    def abandon(self) -> None:
        """The body will not come to its end, or nobody wants it any more."""

    def tick(self, now: float) -> None: ...


class HeldBody:
    """The whole body in memory, decompressed, bounded by itself and in sum over the worker (`max_body`,
    `max_bodies`)."""

    __slots__ = ("_body", "_call", "_decoder", "_held", "_limit", "_read", "_waiting")

    def __init__(self, call: "Call", read: "Callable[[Call, Body, int], None]") -> None:
        """`read` is told the body when it is whole, and how many bytes the worker's account holds of it."""
        self._call = call
        self._read = read
        self._limit = call.worker.snapshot.server.max_body
        self._body = bytearray()
        self._held = 0
        self._waiting: float | None = None
        coding = call.head.fields.get(b"content-encoding", b"identity").lower()
        if coding != b"identity" and coding not in _CODINGS:
            raise ClientError(
                "This content-encoding is not supported. Send the body plain, or as gzip or deflate.",
                code="unsupported_encoding",
                status=415,
            )
        self._decoder = zlib.decompressobj(_CODINGS[coding]) if coding in _CODINGS else None
        if (call.length or 0) > self._limit:
            raise self._too_large()

    def part(self, data: bytes) -> None:
        if self._decoder is not None:
            data = self._decoded(data)
        if self._held + len(data) > self._limit:
            raise self._too_large()
        self._held += len(data)
        self._body += data
        worker = self._call.worker
        worker.held += len(data)
        if worker.held > worker.snapshot.server.max_bodies and self._waiting is None:
            self._waiting = worker.now()
            self._call.connection.pause_reading()

    def whole(self) -> None:
        if self._decoder is not None and not self._decoder.eof:
            self.abandon()
            raise ClientError("The compressed request body ends early. Send it again.", code="bad_encoding")
        body, self._body = self._body, bytearray()
        held, self._held = self._held, 0
        self._read(self._call, bytes(body) if held <= COPIED else body, held)

    def abandon(self) -> None:
        self._body.clear()
        self._call.worker.held -= self._held
        self._held = 0

    def tick(self, now: float) -> None:
        if self._waiting is None:
            return
        worker = self._call.worker
        if worker.held <= worker.snapshot.server.max_bodies:
            self._waiting = None
            self._call.connection.resume_reading()
        elif now - self._waiting > _ROOM_WAIT:
            self._call.connection.refuse(
                Unavailable(
                    "The gateway holds too many large requests at the moment. Try again in a few seconds.",
                    code="memory_exhausted",
                    retry_after=5,
                )
            )

    def _decoded(self, data: bytes) -> bytes:
        assert self._decoder is not None
        try:
            plain = self._decoder.decompress(data, self._limit - self._held + 1)
        except zlib.error:
            raise ClientError(
                "The request body is not in its content-encoding. Send it plain, or as gzip or deflate.",
                code="bad_encoding",
            ) from None
        if self._decoder.unconsumed_tail:
            raise self._too_large()
        if self._decoder.unused_data:
            raise ClientError(
                "Something follows the compressed request body. Send it as one stream, or plain.",
                code="bad_encoding",
            )
        return plain

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The request body is over the limit of {self._limit} bytes (server.max_body). Send less, or "
            "raise the limit.",
            code="body_too_large",
        )
