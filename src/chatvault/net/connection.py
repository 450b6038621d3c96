"""One connection to a provider: requests go out, one at a time, and what comes back is told to an `Answer`.

A packet that comes in is parsed and handed on in the same callback; there is no queue and no task between.
The connection is either free (in the pool, and any byte or end of it closes it), or serves one
`LiveExchange`. An exchange that is over lets go of its connection, so a late `cancel` cannot reach the next
call's.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import httptools

from chatvault.core.seam import Answer, Fault, FaultCode, Head, Header, Request

if TYPE_CHECKING:
    from chatvault.net.pool import Pool

_NO_BODY: Final = frozenset((204, 304))
_MAX_HEAD: Final = 256 << 10
_JOIN: Final = 64 << 10
"""A body up to this size is copied behind its head and sent in one write."""


class LiveExchange:
    """An attempt under way; the `Exchange` of the seam. It is made before its connection is there."""

    __slots__ = (
        "active",
        "answer",
        "connection",
        "dialled",
        "over",
        "paused",
        "quiet",
        "request",
        "started",
        "writable",
    )

    def __init__(
        self, request: Request, answer: Answer, now: float, writable: Callable[[], None] | None
    ) -> None:
        self.request = request
        self.answer = answer
        self.writable = writable
        self.started = now
        self.connection: UpstreamConnection | None = None
        self.dialled: asyncio.Task[None] | None = None
        self.active = False
        """Something came since the pool last looked."""
        self.quiet = now
        """When the pool last saw it active."""
        self.paused = False
        self.over = False

    def pause(self) -> None:
        self.paused = True
        if self.connection is not None:
            self.connection.pause_reading()

    def resume(self) -> None:
        self.paused = False
        self.active = True
        if self.connection is not None:
            self.connection.resume_reading()

    def cancel(self) -> None:
        if self.over:
            return
        self.over = True
        if self.dialled is not None:
            self.dialled.cancel()
        if self.connection is not None:
            self.connection.abandon()

    def send(self, data: bytes) -> bool:
        self.active = True
        return self.connection is not None and self.connection.send_body(data)

    def finish(self) -> None:
        if self.connection is not None:
            self.connection.finish_body()

    def fail(self, code: FaultCode, detail: str) -> None:
        """End it with a fault, and close its connection. Nothing more is heard."""
        if self.over:
            return
        self.cancel()
        self.answer.fault(Fault(code, detail))


class UpstreamConnection(asyncio.Protocol):
    """`served` counts the answers it has given in full."""

    __slots__ = (
        "_complete",
        "_eof_body",
        "_exchange",
        "_head_bytes",
        "_headers",
        "_informational",
        "_keep",
        "_parser",
        "_pool",
        "_reading",
        "_sent",
        "_told",
        "_transport",
        "_writable",
        "flowing",
        "freed",
        "lost",
        "received",
        "served",
    )

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._exchange: LiveExchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[Header] = []
        self._reset()
        self._reading = self._writable = True
        self.served = 0
        self.freed = 0.0
        self.lost = False

    def _reset(self) -> None:
        self._keep = False
        self._complete = self._eof_body = self._informational = self._sent = self._told = self.received = (
            self.flowing
        ) = False
        self._head_bytes = 0

    # --- what the pool and the exchange ask

    def start(self, exchange: LiveExchange) -> None:
        """Send the exchange's request. The connection is the exchange's until its answer has ended."""
        self._reset()
        self._exchange = exchange
        exchange.connection = self
        request = exchange.request
        head = self._pool.request_head(request)
        body = request.body
        if body is None:
            self._transport.write(head)
        else:
            self._sent = True
            if isinstance(body, bytes) and len(body) <= _JOIN:
                self._transport.write(head + body)
            else:
                self._transport.writelines([head, *([body] if isinstance(body, bytes) else body)])
        if exchange.paused:
            self.pause_reading()
        if body is None and exchange.writable is not None and self._writable:
            exchange.writable()

    def send_body(self, data: bytes) -> bool:
        request = self._exchange.request if self._exchange is not None else None
        if request is None or self.lost:
            return True
        self._transport.write(data if request.length is not None else b"%x\r\n%s\r\n" % (len(data), data))
        return self._writable

    def finish_body(self) -> None:
        if self._exchange is not None and not self.lost:
            self._sent = True
            if self._exchange.request.length is None:
                self._transport.write(b"0\r\n\r\n")

    def pause_reading(self) -> None:
        if self._reading and not self.lost:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self.lost:
            self._reading = True
            self._transport.resume_reading()

    def abandon(self) -> None:
        """Close at once; the exchange hears nothing more."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.connection = None
            self._pool.forget(exchange)
        self.lost = True
        self._transport.abort()

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._exchange is not None and self._exchange.writable is not None and not self._sent:
            self._exchange.writable()

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abandon()
            return
        exchange.active = True
        self.received = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            exchange.fail("protocol_error", "the provider switched protocols")
            return
        except httptools.HttpParserError as error:
            exchange.fail(
                "surplus" if self._complete else "protocol_error", f"{type(error).__name__}: {error}"
            )
            return
        if self._complete:
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        exchange = self._exchange
        if exchange is None:
            return
        if self._eof_body and error is None:
            self._finish()
        elif not self.received and self.served:
            exchange.fail("stale_connection", "a kept-alive connection was closed before it answered")
        else:
            exchange.fail(
                "cut" if self._told else "reset",
                str(error) if error else "the provider closed the connection",
            )

    # --- what the parser tells

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("bytes after the end of the answer")
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MAX_HEAD:
            raise ValueError("the answer's head is too large")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        exchange = self._exchange
        if exchange is None:
            return
        if 100 <= status < 200:
            self._informational = True
            return
        length, chunked = _framing(self._headers)
        bodiless = exchange.request.method == b"HEAD" or status in _NO_BODY
        self._eof_body = length is None and not chunked and not bodiless
        self._told = True
        exchange.answer.head(Head(status, self._headers, 0 if bodiless else length))
        if exchange.request.method == b"HEAD":
            self._complete = True

    def on_body(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is not None:
            self.flowing = True
            exchange.answer.body(data)

    def on_message_complete(self) -> None:
        if self._informational:
            self._informational = False
            self._headers = []
        else:
            self._complete = True
            self._keep = self._parser.should_keep_alive()  # llhttp forgets it with the message's end

    def _finish(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.over = True
        exchange.connection = None
        self.served += 1
        keep = (
            self._sent
            and not self._eof_body
            and not self.lost
            and exchange.request.method != b"HEAD"
            and self._keep
        )
        if keep:
            self.resume_reading()
        self._pool.release(self, exchange, keep=keep)
        exchange.answer.end()


def _framing(headers: list[Header]) -> tuple[int | None, bool]:
    """The announced length, and whether the body is chunked. llhttp has refused what contradicts itself."""
    length, chunked = None, False
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = value.lower().endswith(b"chunked")
    return (None if chunked else length), chunked
