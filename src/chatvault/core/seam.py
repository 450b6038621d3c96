"""The seam: what an upstream tells a call, and what a call may ask of it.

Everything that answers a call (a provider's connection, a decompressor, a translation, a cache hit, a fake)
speaks to an `Answer` in these four verbs, in the order `head body* (end | fault)`, or `fault` alone. Nothing
follows `end` or `fault`. Whatever changes an answer on its way is an `Answer` that wraps another.
"""

from typing import Literal, Protocol

import msgspec

Header = tuple[bytes, bytes]
"""A field name in lower case, and its value without surrounding blanks."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """The head of an answer. `length` is the announced body length in bytes, None when it is not
    announced.
    """

    status: int
    headers: list[Header]
    length: int | None = None


FaultCode = Literal[
    "connect_failed",
    "connect_timeout",
    "tls_failed",
    "proxy_failed",
    "stale_connection",  # a kept-alive connection died before a byte of the answer: safe to try again on a fresh one
    "reset",  # the connection broke before the answer's head was whole
    "cut",  # the answer ended, or its connection broke, before it was whole
    "surplus",  # the answer went on longer than announced
    "first_byte_timeout",
    "stalled",
    "total_timeout",
    "protocol_error",
    "internal",  # not the provider's: the gateway failed at its answer
]


class Fault(msgspec.Struct, frozen=True, gc=False):
    """Why an upstream could not finish an answer. `detail` is for the record, never shown to a client
    unredacted.
    """

    code: FaultCode
    detail: str = ""


class Answer(Protocol):
    """What hears an answer."""

    def head(self, head: Head) -> None: ...

    def body(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def fault(self, fault: Fault) -> None: ...


class Exchange(Protocol):
    """The call's hold on an attempt that is under way. After `cancel` the answer hears nothing more."""

    def pause(self) -> None:
        """Stop reading from the provider: the client is slow."""

    def resume(self) -> None: ...

    def cancel(self) -> None:
        """Close the connection to the provider at once."""

    def send(self, data: bytes) -> bool:
        """Pass on a part of a streamed request body. It is taken in any case, held if the connection is not
        there yet.

        False: the provider is slow, wait for `writable`.
        """

    def finish(self) -> None:
        """The streamed request body is whole."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """What goes upstream. `body` is bytes, or slices of them; it is None when it follows through
    `Exchange.send`, announced by its own headers.

    `headers` are complete but for `host` and `content-length`, which the client adds (no `content-length` for
    a streamed body unless `length` is given, else it is sent chunked). `lines`: the request's line and its fields
    with `host`, where they are bytes already; they are sent instead of `target` and `headers`.
    """

    method: bytes
    target: bytes
    headers: list[Header]
    body: bytes | list[bytes | memoryview] | None = b""
    length: int | None = None
    lines: bytes | None = None
