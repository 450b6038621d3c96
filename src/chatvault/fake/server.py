"""The simulated provider as a server, in a test's own loop or a process of its own."""

import asyncio
import ssl
from collections.abc import Collection
from types import TracebackType
from typing import Self

from chatvault.fake.connection import Connection
from chatvault.fake.request import Request
from chatvault.fake.routes import Routes
from chatvault.fake.signature import Account
from chatvault.fake.stats import Stats

BACKLOG = 8192


class FakeProvider:
    """A provider on loopback that answers the same request with the same bytes, and fails as it is told.

        async with FakeProvider() as fake:
            client = openai.AsyncOpenAI(base_url=fake.base_url, api_key="any")

    `port` 0 takes a free one; `unix` is the path of a socket to listen on instead. `pace_ms` is the wait before each
    content delta of a stream, unless the model name says otherwise. `api_key` is the one key it accepts, or those it
    accepts at present; None takes all. `marker` is the request header whose values `stats.ids` collects. `patience_s`
    bounds how long a stalled answer waits for its peer to leave.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        unix: str | None = None,
        pace_ms: float = 0.0,
        api_key: str | Collection[str] | None = None,
        aws: Account | None = None,
        tls: ssl.SSLContext | None = None,
        marker: str = "x-call-id",
        patience_s: float = 600.0,
    ) -> None:
        self.host = host
        self.port = port
        self.unix = unix
        self.marker = marker.lower()
        self.patience_s = patience_s
        self.stats = Stats()
        self.last: Request | None = None
        self.connections: set[Connection] = set()
        self.routes = Routes(pace_ms=pace_ms, api_key=api_key, aws=aws)
        self._tls = tls
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port; of a unix socket, its path as `unix:PATH`."""
        if self.unix is not None:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What a client library calls its base URL."""
        return self.url + "/v1"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            return Connection(self, loop)

        if self.unix is not None:
            self._server = await loop.create_unix_server(connect, self.unix, ssl=self._tls, backlog=BACKLOG)
        else:
            self._server = await loop.create_server(
                connect, self.host, self.port, ssl=self._tls, backlog=BACKLOG
            )
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in list(self.connections):
            connection.abort()
        async with asyncio.timeout(5):
            await self._server.wait_closed()
            await self._empty.wait()

    def join(self, connection: Connection) -> None:
        """A client has connected."""
        self.connections.add(connection)
        self._empty.clear()

    def leave(self, connection: Connection) -> None:
        """A client's connection is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()
