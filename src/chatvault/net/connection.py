"""One connection to a provider: requests go out, one at a time, and what comes back is told to an `Answer`.

A packet that comes in is parsed and handed on in the same callback; there is no queue and no task between.
The connection is either free (in the pool, and any byte or end of it closes it), or serves one
`LiveExchange`. An exchange that is over lets go of its connection, so a late `cancel` cannot reach the next
call's.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import httptools

from chatvault.core.seam import Answer, Fault, FaultCode, Head, Header, Request

if TYPE_CHECKING:
    from chatvault.net.pool import Pool

log = logging.getLogger(__name__)

_NO_BODY: Final = frozenset((204, 304))
_MAX_OVERHEAD: Final = 256 << 10
"""Bytes that may come without a byte of a body among them: heads, interim answers, trailers, chunk extensions."""
_PROTOCOL: Final = b"HTTP/1."
_JOIN: Final = 64 << 10
"""A body up to this size is copied behind its head and sent in one write."""


class _Refused(Exception):
    """What llhttp lets through and we don't. Raised in a callback of the parser, caught around it."""

    def __init__(self, code: FaultCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class LiveExchange:
    """An attempt under way; the `Exchange` of the seam. It is made before its connection is there."""

    __slots__ = (
        "_finished",
        "_first",
        "_held",
        "_pool",
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
        self, pool: "Pool", request: Request, answer: Answer, now: float, writable: Callable[[], None] | None
    ) -> None:
        self._pool = pool
        self.request = request
        self.answer = answer
        self._first = answer
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
        self._held: list[bytes] = []
        """Parts of the request's body from before the connection was there."""
        self._finished = False

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
        self._held.clear()
        self._pool.forget(self)
        if self.dialled is not None:
            self.dialled.cancel()
        if self.connection is not None:
            self.connection.abandon()

    def send(self, data: bytes) -> bool:
        self.active = True
        if self.connection is not None:
            return self.connection.send_body(data)
        if self.over:
            return True
        self._held.append(data)
        return False

    def finish(self) -> None:
        self._finished = True
        if self.connection is not None:
            self.connection.finish_body()

    def send_held(self, connection: "UpstreamConnection") -> None:
        """The connection is there: what was held goes out."""
        held, self._held = self._held, []
        for data in held:
            connection.send_body(data)
        if self._finished:
            connection.finish_body()

    def fail(self, code: FaultCode, detail: str) -> None:
        """End it with a fault, and close its connection. Nothing more is heard."""
        if self.over:
            return
        self.cancel()
        try:
            self.answer.fault(Fault(code, detail))
        except Exception as error:
            # Whoever took the answer over cannot even hear that it failed; the one who asked has to.
            log.exception("a call failed at the end of its answer")
            if self._first is not self.answer:
                self._first.fault(Fault("internal", type(error).__name__))


class UpstreamConnection(asyncio.Protocol):
    """`served` counts the answers it has given in full."""

    __slots__ = (
        "_bodily",
        "_complete",
        "_eof_body",
        "_exchange",
        "_headers",
        "_informational",
        "_keep",
        "_opening",
        "_overhead",
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
        self._bodily = self._complete = self._eof_body = self._informational = self._keep = False
        self._sent = self._told = self.received = self.flowing = False
        self._opening = b""
        self._overhead = 0

    @property
    def usable(self) -> bool:
        return not self.lost and not self._transport.is_closing()

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
        if body is None:
            exchange.send_held(self)
            if self._writable:
                self._pool.soon(self._tell_writable, exchange)

    def _tell_writable(self, exchange: LiveExchange) -> None:
        if self._exchange is exchange and exchange.writable is not None and not self._sent:
            exchange.writable()

    def send_body(self, data: bytes) -> bool:
        request = self._exchange.request if self._exchange is not None else None
        if request is None or self.lost or not data:
            return True
        self._transport.write(data if request.length is not None else b"%x\r\n%s\r\n" % (len(data), data))
        return self._writable

    def finish_body(self) -> None:
        if self._exchange is not None and not self.lost and not self._sent:
            self._sent = True
            if self._exchange.request.length is None:
                self._transport.write(b"0\r\n\r\n")

    def pause_reading(self) -> None:
        if self._reading and self.usable:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and self.usable:
            self._reading = True
            self._transport.resume_reading()

    def abandon(self) -> None:
        """Close at once; the exchange hears nothing more."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.connection = None
        self.lost = True
        self._transport.abort()

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._exchange is not None:
            self._tell_writable(self._exchange)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abandon()
            return
        self.received = True
        self._bodily = False
        try:
            if len(self._opening) < len(_PROTOCOL):
                self._check_opening(data)
            self._parser.feed_data(data)
        except _Refused as refused:
            exchange.fail(refused.code, refused.detail)
        except httptools.HttpParserCallbackError as error:
            self._callback_failed(exchange, error)
        except httptools.HttpParserUpgrade:
            exchange.fail("protocol_error", "the provider switched protocols")
        except httptools.HttpParserError as error:
            code: FaultCode = "surplus" if self._complete else "protocol_error"
            exchange.fail(code, f"{type(error).__name__}: {error}")
        else:
            if self._complete:
                self._finish()
            elif self._bodily:
                exchange.active = True
                self._overhead = 0
            else:
                self._overhead += len(data)
                if self._overhead > _MAX_OVERHEAD:
                    exchange.fail("protocol_error", "the answer's head or trailer is too large")

    def _check_opening(self, data: bytes) -> None:
        """An answer begins with its status line; llhttp would skip empty lines, and take other protocols' names."""
        if not self._opening and data.startswith(_PROTOCOL):
            self._opening = _PROTOCOL
            return
        self._opening += data[: len(_PROTOCOL) - len(self._opening)]
        if not _PROTOCOL.startswith(self._opening):
            raise _Refused("protocol_error", f"the answer does not begin as HTTP/1 does: {data[:40]!r}")

    def _callback_failed(self, exchange: LiveExchange, error: httptools.HttpParserCallbackError) -> None:
        cause = error.__context__
        if isinstance(cause, _Refused):
            exchange.fail(cause.code, cause.detail)
            return
        # Whoever hears the answer failed at it: the call has to end all the same, and the log says why.
        log.error("an answer could not be passed on", exc_info=cause or error)
        exchange.fail("internal", f"{type(cause).__name__}")

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
            raise _Refused("surplus", "bytes after the end of the answer")
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._told:  # a trailer is dropped: it says nothing that may change a head
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        exchange, parser = self._exchange, self._parser
        if exchange is None:
            return
        status = parser.get_status_code()
        if status == 101 or not 100 <= status < 600 or parser.get_http_version() not in ("1.1", "1.0"):
            raise _Refused("protocol_error", f"status {status} under HTTP/{parser.get_http_version()}")
        length, chunked = _framing(self._headers)
        if status < 200:
            if length or chunked:
                raise _Refused("protocol_error", "an interim answer with a body")
            self._informational = True
            return
        head_only = exchange.request.method == b"HEAD"
        bodiless = head_only or status in _NO_BODY
        self._eof_body = length is None and not chunked and not bodiless
        self._told = True
        self._complete = head_only
        exchange.answer.head(Head(status, self._headers, 0 if bodiless else length))

    def on_body(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if self._complete:
            raise _Refused("surplus", "a body behind the answer to HEAD")
        self.flowing = self._bodily = True
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
        try:
            exchange.answer.end()
        except Exception as error:
            log.exception("a call failed at the end of its answer")
            exchange.over = False
            exchange.fail("internal", type(error).__name__)


def _framing(headers: list[Header]) -> tuple[int | None, bool]:
    """The announced length, and whether the body is chunked. llhttp has refused what contradicts itself."""
    length, chunked = None, False
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked":
                raise _Refused("protocol_error", f"transfer-encoding {value[:40]!r}")
            chunked = True
    return length, chunked
