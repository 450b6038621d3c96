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

import msgspec

from chatvault.core.errors import ClientError
from chatvault.core.seam import Answer, Fault, FaultCode, Request
from chatvault.wire.chunked import ChunkedBody
from chatvault.wire.http_answer import BEGINNING, AnswerHead, BadAnswer, parse_answer

if TYPE_CHECKING:
    from chatvault.net.pool import Pool

log = logging.getLogger(__name__)

_MAX_HEAD: Final = 256 << 10
"""Bytes of the answer's head, and of the interim ones before it."""
_JOIN: Final = 64 << 10
"""A body up to this size is copied behind its head and sent in one write."""


class LiveExchange(msgspec.Struct, eq=False):
    """An attempt under way; the `Exchange` of the seam. It is made before its connection is there. `started` and
    `quiet` are times: when it began, and when the pool last saw it active."""

    _pool: "Pool"
    request: Request
    answer: Answer
    started: float
    writable: Callable[[], None] | None = None
    quiet: float = 0.0
    connection: "UpstreamConnection | None" = None
    dialled: "asyncio.Task[None] | None" = None
    active: bool = False
    """Something came since the pool last looked."""
    paused: bool = False
    over: bool = False
    _asked: Answer | None = None
    """Who asked, where another has taken the answer over."""
    _held: list[bytes] = []
    """Parts of the request's body from before the connection was there."""
    _finished: bool = False

    def take_over(self, answer: Answer) -> None:
        """From now on `answer` hears the answer."""
        if self._asked is None:
            self._asked = self.answer
        self.answer = answer

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
            if self._asked is not None:
                self._asked.fault(Fault("internal", type(error).__name__))


class UpstreamConnection(asyncio.Protocol):
    """`served` counts the answers it has given in full."""

    __slots__ = (
        "_ahead",
        "_chunked",
        "_exchange",
        "_head",
        "_heads",
        "_left",
        "_pool",
        "_reading",
        "_sent",
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
        self._reset()
        self._reading = self._writable = True
        self.served = 0
        self.freed = 0.0
        self.lost = False

    def _reset(self) -> None:
        self._head: AnswerHead | None = None
        self._chunked: ChunkedBody | None = None
        self._left: int | None = None
        """Bytes of the body that are still to come; None while that is not known."""
        self._ahead = b""
        """What there is of the head."""
        self._heads = 0
        self._sent = self.received = self.flowing = False

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
        chunked = self._chunked
        try:
            if chunked is not None and (part := chunked.one(data)) is not None:
                self.flowing = exchange.active = True
                exchange.answer.body(part)
            elif self._head is None:
                self._read_head(exchange, data)
            else:
                self._read_body(exchange, data)
        except BadAnswer as error:
            exchange.fail("protocol_error", error.detail)
        except ClientError:
            exchange.fail("protocol_error", "the answer's chunks are malformed")
        except Exception as error:
            # Whoever hears the answer failed at it: the call has to end all the same, and the log says why.
            log.exception("an answer could not be passed on")
            exchange.fail("internal", type(error).__name__)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        exchange = self._exchange
        if exchange is None:
            return
        head = self._head
        if error is None and head is not None and head.length is None and not head.chunked:
            self._finish(exchange)  # a body that ends with its connection
        elif not self.received and self.served:
            exchange.fail("stale_connection", "a kept-alive connection was closed before it answered")
        else:
            exchange.fail(
                "cut" if head is not None else "reset",
                str(error) if error else "the provider closed the connection",
            )

    # --- what is in the bytes

    def _read_head(self, exchange: LiveExchange, data: bytes) -> None:
        self.received = True
        if self._ahead:
            data, self._ahead = self._ahead + data, b""
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                self._keep_ahead(data)
                return
            self._heads += end
            if self._heads > _MAX_HEAD:
                raise BadAnswer("the answer's head is too large")
            head = parse_answer(data[:end])
            data = data[end:]
            if head.status >= 200:
                break
        if exchange.request.method == b"HEAD":
            head = AnswerHead(head.status, head.headers, 0, chunked=False, keep_alive=False)
        self._head = head
        self._left = length = head.length
        if head.chunked:
            self._chunked = ChunkedBody()
        exchange.answer.head(head)
        if self._exchange is exchange and (data or length == 0):
            self._read_body(exchange, data)

    def _keep_ahead(self, data: bytes) -> None:
        """A part of a head, or nothing. What cannot become one is not waited for."""
        if not BEGINNING.startswith(data[: len(BEGINNING)]) or b"\n\n" in data:
            raise BadAnswer(f"the answer does not begin as HTTP/1 does: {data[:40]!r}")
        if self._heads + len(data) > _MAX_HEAD:
            raise BadAnswer("the answer's head is too large")
        self._ahead = data

    def _read_body(self, exchange: LiveExchange, data: bytes) -> None:
        exchange.active = True
        chunked, left = self._chunked, self._left
        if chunked is not None:
            for part in chunked.parts(data):
                self.flowing = True
                exchange.answer.body(part)
                if self._exchange is not exchange:
                    return
            if not chunked.done:
                return
            surplus = chunked.rest
        elif left is None:
            self.flowing = True
            exchange.answer.body(data)
            return
        else:
            surplus = data[left:] if len(data) > left else b""
            part = data[:left] if surplus else data
            self._left = left = left - len(part)
            if part:
                self.flowing = True
                exchange.answer.body(part)
            if left:
                return
        if self._exchange is not exchange:
            return
        if surplus:
            exchange.fail("surplus", "bytes after the end of the answer")
        else:
            self._finish(exchange)

    def _finish(self, exchange: LiveExchange) -> None:
        self._exchange = exchange.connection = None
        exchange.over = True
        self.served += 1
        keep = self._sent and not self.lost and self._head is not None and self._head.keep_alive
        if keep and not self._reading:
            self.resume_reading()
        self._pool.release(self, exchange, keep=keep)
        try:
            exchange.answer.end()
        except Exception as error:
            log.exception("a call failed at the end of its answer")
            exchange.over = False
            exchange.fail("internal", type(error).__name__)
