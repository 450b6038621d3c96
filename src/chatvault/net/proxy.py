"""A forward proxy on the way to a provider: CONNECT, then everything (TLS first, where there is TLS) through
the tunnel.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from chatvault.core.errors import OperatorError, UpstreamError
from chatvault.net.connection import UpstreamConnection
from chatvault.net.origin import Origin

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_MAX_HEAD: Final = 16 << 10


class Proxy(msgspec.Struct, frozen=True):
    host: str
    port: int
    authorization: bytes | None = None


def parse_proxy(url: str) -> Proxy:
    """`http://[user:password@]host[:port]`. Raises OperatorError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port or 3128
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise OperatorError("The proxy must be given as http://host:port.", code="bad_proxy")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(pair.encode())
    return Proxy(parts.hostname, port, authorization)


class _Connecting(asyncio.Protocol):
    """Waits for the proxy's answer to CONNECT, and for nothing else."""

    def __init__(self, ready: "asyncio.Future[int]") -> None:
        self._ready = ready
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._ready.done():
            return
        match = _STATUS.match(self._head)
        end = self._head.find(b"\r\n\r\n")
        refused = match is not None and match[1][:1] != b"2"
        if match is not None and end >= 0 and (refused or end + 4 == len(self._head)):
            self._ready.set_result(int(match[1]))
        elif end >= 0 or len(self._head) > _MAX_HEAD:
            self._ready.set_exception(UpstreamError("The proxy did not answer in HTTP.", code="proxy_failed"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ready.done():
            self._ready.set_exception(UpstreamError("The proxy closed the connection.", code="proxy_failed"))


async def open_tunnel(
    proxy: Proxy, origin: Origin, context: ssl.SSLContext | None, make: Callable[[], UpstreamConnection]
) -> UpstreamConnection:
    """A connection to `origin` through `proxy`. Raises OSError, ssl.SSLError, or UpstreamError where the
    proxy refuses.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[int] = loop.create_future()
    try:
        transport, _ = await loop.create_connection(lambda: _Connecting(ready), proxy.host, proxy.port)
    except OSError as error:
        raise UpstreamError(f"The proxy cannot be reached: {error}.", code="proxy_failed") from error
    try:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{host}:{origin.port}".encode()
        credential = b"proxy-authorization: " + proxy.authorization + b"\r\n" if proxy.authorization else b""
        transport.write(b"CONNECT %s HTTP/1.1\r\nhost: %s\r\n%s\r\n" % (target, target, credential))
        status = await ready
        if not 200 <= status < 300:
            raise UpstreamError(
                f"The proxy answered {status} to CONNECT {target.decode()}.", code="proxy_failed"
            )
        if transport.is_closing():
            raise UpstreamError("The proxy closed the tunnel at once.", code="proxy_failed")
        connection = make()
        if context is None:
            transport.set_protocol(connection)
            connection.connection_made(transport)
        else:
            secured = await loop.start_tls(transport, connection, context, server_hostname=origin.host)
            if secured is None:
                raise UpstreamError("The tunnel closed during the TLS handshake.", code="proxy_failed")
            connection.connection_made(secured)
    except BaseException:
        transport.abort()
        raise
    return connection
