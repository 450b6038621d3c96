"""The connections to one provider: kept alive, last in first out, with deadlines on everything that can hang.

Nobody waits for a connection: a free one is used, else one is dialled. `tick` is called twice a second and
looks at all that is under way, so that a packet costs no timer.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final

from chatvault.config.schema import Timeouts
from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Answer, FaultCode, Header, Request
from chatvault.net.connection import LiveExchange, UpstreamConnection
from chatvault.net.origin import Origin
from chatvault.net.proxy import Proxy, open_tunnel

log = logging.getLogger(__name__)

KEEP_IDLE: Final = 30.0
"""Seconds a free connection is kept. Shorter than what servers keep (nginx 75 s, uvicorn 5 s is the
exception).
"""
MAX_IDLE: Final = 512


class Pool:
    """Connections to `origin`. Must be made and used within one running event loop."""

    def __init__(
        self,
        origin: Origin,
        timeouts: Timeouts,
        *,
        context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self.origin = origin
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._context = context
        self._proxy = proxy
        self._free: list[UpstreamConnection] = []
        self._live: set[LiveExchange] = set()
        self._host = b" HTTP/1.1\r\nhost: " + origin.authority + b"\r\n"
        self._closed = False

    def lines(self, method: bytes, target: bytes, headers: list[Header]) -> bytes:
        """A request's line and its fields, `host` first."""
        return b"%b %b%b%b" % (
            method,
            target,
            self._host,
            b"".join([b"%b: %b\r\n" % pair for pair in headers]),
        )

    def request_head(self, request: Request) -> bytes:
        """The bytes of the request's head."""
        lines, body = request.lines, request.body
        if lines is None:
            lines = self.lines(request.method, request.target, request.headers)
        if body is None:
            if request.length is None:
                return lines + b"transfer-encoding: chunked\r\n\r\n"
            return b"%bcontent-length: %d\r\n\r\n" % (lines, request.length)
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        if size or request.method not in _BODILESS:
            return b"%bcontent-length: %d\r\n\r\n" % (lines, size)
        return lines + b"\r\n"

    def start(
        self,
        request: Request,
        answer: Answer,
        *,
        fresh: bool = False,
        writable: Callable[[], None] | None = None,
    ) -> LiveExchange:
        """Begin an attempt; `answer` hears how it goes, never before this returns. `fresh`: not over a
        connection that was kept.

        For a request whose body is streamed, `writable` is called whenever the provider takes more of it.
        """
        now = self._loop.time()
        exchange = LiveExchange(self, request, answer, now, writable, now)
        self._live.add(exchange)
        free = self._free
        while free and not fresh:
            connection = free.pop()
            if connection.usable:
                connection.start(exchange)
                return exchange
        # Owned by the exchange, which cancels it when it is itself cancelled, by close() if nobody else does.
        exchange.dialled = self._loop.create_task(self._dial(exchange))
        return exchange

    def soon(self, callback: Callable[[LiveExchange], None], exchange: LiveExchange) -> None:
        """Call back from the event loop, not from within what is running."""
        self._loop.call_soon(callback, exchange)

    def release(self, connection: UpstreamConnection, exchange: LiveExchange, *, keep: bool) -> None:
        """The connection has answered in full."""
        self._live.discard(exchange)
        if keep and not self._closed and len(self._free) < MAX_IDLE:
            connection.freed = self._loop.time()
            self._free.append(connection)
        else:
            connection.abandon()

    def forget(self, exchange: LiveExchange) -> None:
        self._live.discard(exchange)

    def tick(self) -> None:
        """Enforce the deadlines, and close what was free for too long."""
        now, limits = self._loop.time(), self._timeouts
        for exchange in [*self._live]:
            if exchange.active or exchange.paused:
                exchange.active = False
                exchange.quiet = now
            connection = exchange.connection
            if limits.total is not None and now - exchange.started > limits.total:
                exchange.fail("total_timeout", f"no whole answer after {limits.total:g} s")
            elif connection is not None and not connection.flowing:
                if now - exchange.quiet > limits.first_byte:
                    exchange.fail("first_byte_timeout", f"no answer began within {limits.first_byte:g} s")
            elif connection is not None and now - exchange.quiet > limits.idle:
                exchange.fail("stalled", f"the answer stopped for {limits.idle:g} s")
        while self._free and (self._free[0].lost or now - self._free[0].freed > KEEP_IDLE):
            connection = self._free.pop(0)
            if not connection.lost:
                connection.abandon()

    def retire(self) -> bool:
        """Keep nothing any more; whether nothing is under way."""
        self._closed = True
        while self._free:
            self._free.pop().abandon()
        return not self._live

    def close(self) -> None:
        """Cancel what is under way, and close everything."""
        self._closed = True
        for exchange in [*self._live]:
            exchange.cancel()
        self._live.clear()
        while self._free:
            self._free.pop().abandon()

    async def _dial(self, exchange: LiveExchange) -> None:
        limit = self._timeouts.connect
        code: FaultCode
        try:
            async with asyncio.timeout(limit):
                connection = await self._connect()
        except TimeoutError:
            code, detail = "connect_timeout", f"no connection within {limit:g} s"
        except ssl.SSLError as error:
            code, detail = "tls_failed", str(error)
        except UpstreamError as error:
            code, detail = "proxy_failed", error.message
        except OSError as error:
            code, detail = "connect_failed", str(error)
        except Exception as error:  # the border of a task: its call has to end
            log.exception("a connection to %s could not be made", self.origin.host)
            code, detail = "connect_failed", f"{type(error).__name__}: {error}"
        else:
            exchange.dialled = None
            if exchange.over:
                connection.abandon()
            elif connection.usable:
                connection.start(exchange)
            else:
                exchange.fail("reset", "the provider closed the connection as soon as it was there")
            return
        exchange.dialled = None
        exchange.fail(code, detail)

    async def _connect(self) -> UpstreamConnection:
        origin, loop = self.origin, self._loop
        if origin.socket is not None:
            _, connection = await loop.create_unix_connection(lambda: UpstreamConnection(self), origin.socket)
        elif self._proxy is not None:
            connection = await open_tunnel(
                self._proxy, origin, self._context, lambda: UpstreamConnection(self)
            )
        else:
            _, connection = await loop.create_connection(
                lambda: UpstreamConnection(self),
                origin.host,
                origin.port,
                ssl=self._context,
                server_hostname=origin.host if self._context is not None else None,
            )
        return connection


_BODILESS: Final = frozenset((b"GET", b"HEAD", b"DELETE", b"OPTIONS"))
