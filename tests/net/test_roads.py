"""The roads to a provider: names that fail, TLS, unix sockets, proxies."""

import asyncio
import base64
import ssl
import sys
from collections.abc import Awaitable, Callable

import pytest

from chatvault.config.schema import Timeouts
from chatvault.core.errors import OperatorError
from chatvault.net.origin import Origin
from chatvault.net.proxy import Proxy, parse_proxy
from chatvault.net.tls import client_context
from tests.net.certificates import Certificates
from tests.net.conftest import Pools
from tests.net.peers import OK, POST, Heard, Peer, answering, provider, soon

LARGE = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (3 << 20) + b"z" * (3 << 20)


async def ask(pool: object) -> Heard:
    heard = Heard()
    pool.start(POST, heard)  # type: ignore[attr-defined]
    return await heard.whole()


# --- no road


async def test_nobody_listens(pools: Pools, free_port: int) -> None:
    pool = pools(free_port)
    heard = await ask(pool)
    assert heard.code == "connect_failed"
    assert heard.faults[0].detail
    assert pool.retire()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid", "a..b"])
async def test_names_that_nobody_has(pools: Pools, host: str) -> None:
    assert (await ask(pools(f"http://{host}:80", Timeouts(connect=3.0)))).code in (
        "connect_failed",
        "connect_timeout",
    )


async def test_a_connection_that_is_not_made_in_time(pools: Pools) -> None:
    """A TLS handshake that nobody answers stands for a host that swallows packets."""

    async def handle(peer: Peer) -> None:
        await peer.left()

    async with provider(handle) as server:
        origin = Origin(True, "127.0.0.1", server.port, "")
        heard = await ask(pools(origin, Timeouts(connect=0.08), context=client_context(None)))
        assert heard.code == "connect_timeout"
        await soon(lambda: server.gone == 1)


async def test_an_attempt_cancelled_while_it_dials_closes_its_connection(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.left()

    async with provider(handle) as server:
        origin = Origin(True, "127.0.0.1", server.port, "")
        pool, heard = pools(origin, context=client_context(None)), Heard()
        exchange = pool.start(POST, heard)
        await soon(lambda: server.dialled == 1)
        exchange.cancel()
        await soon(lambda: server.gone == 1, within=0.5)
        assert heard.code == "nothing"
        assert pool.retire()


async def test_what_nobody_thought_of_ends_the_call_all_the_same(
    pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    heard = await ask(pools(Origin(False, "a\0b", 80, "")))
    assert heard.code == "connect_failed"


# --- TLS


async def test_tls_with_a_ca_of_ones_own(pools: Pools, certificates: Certificates) -> None:
    async with provider(answering(OK, LARGE), context=certificates.server_context()) as server:
        context = client_context(str(certificates.ca))
        for host in ("localhost", "127.0.0.1"):
            pool = pools(f"https://{host}:{server.port}", context=context)
            assert (await ask(pool)).data == b"hi"
            heard = await ask(pool)
            assert (heard.code, len(heard.data)) == ("end", 3 << 20)
        assert server.dialled == 2


async def test_tls_pauses_too(pools: Pools, certificates: Certificates) -> None:
    async with provider(answering(LARGE), context=certificates.server_context()) as server:
        pool = pools(f"https://localhost:{server.port}", context=client_context(str(certificates.ca)))
        heard = Heard()
        exchange = pool.start(POST, heard)
        heard.on_body = lambda data: exchange.pause()
        await heard.flowed.wait()
        await asyncio.sleep(0.1)
        assert sum(map(len, heard.parts)) < 1 << 20
        heard.on_body = None
        exchange.resume()
        assert len((await heard.whole()).data) == 3 << 20


async def test_a_certificate_nobody_vouches_for(pools: Pools, certificates: Certificates) -> None:
    async with provider(answering(OK), context=certificates.server_context()) as server:
        heard = await ask(pools(f"https://localhost:{server.port}", context=client_context(None)))
        assert heard.code == "tls_failed"
        assert "certificate" in heard.faults[0].detail.lower()


async def test_a_certificate_for_another_name(pools: Pools, certificates: Certificates) -> None:
    async with provider(answering(OK), context=certificates.server_context()) as server:
        pool = pools(f"https://127.0.0.2:{server.port}", context=client_context(str(certificates.ca)))
        if sys.platform != "linux":
            pytest.skip("only Linux has all of 127.0.0.0/8 on its loopback")
        assert (await ask(pool)).code in ("tls_failed", "connect_failed")


async def test_a_port_that_does_not_speak_tls(pools: Pools, certificates: Certificates) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with provider(handle) as server:
        pool = pools(f"https://localhost:{server.port}", context=client_context(str(certificates.ca)))
        assert (await ask(pool)).code == "tls_failed"


def test_a_ca_file_that_is_none(certificates: Certificates) -> None:
    with pytest.raises(OperatorError, match="cannot be used"):
        client_context("/does/not/exist.pem")
    with pytest.raises(OperatorError, match="PEM"):
        client_context(__file__)
    assert client_context(str(certificates.ca)).verify_mode is ssl.CERT_REQUIRED


# --- unix sockets


async def test_a_unix_socket(pools: Pools, socket_path: str) -> None:
    async with provider(answering(OK), path=socket_path) as server:
        pool = pools(f"unix:{socket_path}:/base")
        assert pool.origin.path == "/base"
        for _ in range(2):
            assert (await ask(pool)).data == b"hi"
        assert server.dialled == 1
    assert (await ask(pools(f"unix:{socket_path}.gone"))).code == "connect_failed"


# --- proxies


def tunnel(
    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
) -> tuple[Callable[[Peer], Awaitable[None]], list[bytes]]:
    """A proxy that does what CONNECT asks, and the heads it saw."""
    heads = list[bytes]()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def handle(peer: Peer) -> None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        host, port = head.split(b" ")[1].rsplit(b":", 1)
        for at in range(len(answer)):
            await peer.write(answer[at : at + 1])
        if not answer.startswith(b"HTTP/1.1 2"):
            await peer.left()
            return
        reader, writer = await asyncio.open_connection(host.decode(), int(port))
        async with asyncio.TaskGroup() as group:
            group.create_task(pipe(reader, peer.writer))
            group.create_task(pipe(peer.reader, writer))

    return handle, heads


async def test_plain_through_a_proxy(pools: Pools) -> None:
    handle, heads = tunnel()
    async with provider(answering(OK)) as server, provider(handle) as proxy:
        pool = pools(server.port, proxy=Proxy("127.0.0.1", proxy.port, b"Basic eDp5"))
        for _ in range(2):
            assert (await ask(pool)).data == b"hi"
        target = b"127.0.0.1:%d" % server.port
        assert heads == [
            b"CONNECT %s HTTP/1.1\r\nhost: %s\r\nproxy-authorization: Basic eDp5\r\n\r\n" % (target, target)
        ]
        pool.close()
        await soon(lambda: server.gone == 1)


async def test_tls_through_a_proxy(pools: Pools, certificates: Certificates) -> None:
    handle, heads = tunnel()
    async with (
        provider(answering(OK, LARGE), context=certificates.server_context()) as server,
        provider(handle) as proxy,
    ):
        road = Proxy("127.0.0.1", proxy.port)
        context = client_context(str(certificates.ca))
        pool = pools(f"https://localhost:{server.port}", context=context, proxy=road)
        assert (await ask(pool)).data == b"hi"
        assert len((await ask(pool)).data) == 3 << 20
        assert len(heads) == 1
        pool.close()
        pool = pools(f"https://localhost:{server.port}", context=client_context(None), proxy=road)
        assert (await ask(pool)).code == "tls_failed"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nbytes before they were asked for",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 403 " + b"x" * 20_000,
        b"",
    ],
)
async def test_a_proxy_that_does_not_do_as_it_is_told(pools: Pools, answer: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.write(answer)
        if answer:
            await peer.left()

    async with provider(handle) as proxy:
        heard = await ask(pools(9, proxy=Proxy("127.0.0.1", proxy.port)))
        assert heard.code == "proxy_failed"
        if b"407" in answer:
            assert "407" in heard.faults[0].detail
        await soon(lambda: proxy.gone == 1)


async def test_a_proxy_that_says_nothing(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.left()

    async with provider(handle) as proxy:
        heard = await ask(pools(9, Timeouts(connect=0.08), proxy=Proxy("127.0.0.1", proxy.port)))
        assert heard.code == "connect_timeout"
        await soon(lambda: proxy.gone == 1)


async def test_a_proxy_that_is_not_there(pools: Pools, free_port: int) -> None:
    assert (await ask(pools(9, proxy=Proxy("127.0.0.1", free_port)))).code == "proxy_failed"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://p:8080", Proxy("p", 8080)),
        ("p:8080", Proxy("p", 8080)),
        ("http://p", Proxy("p", 3128)),
        ("http://[::1]:1", Proxy("::1", 1)),
        ("http://u%40v:w@p:1", Proxy("p", 1, b"Basic " + base64.b64encode(b"u@v:w"))),
        ("http://u@p:1", Proxy("p", 1, b"Basic " + base64.b64encode(b"u:"))),
    ],
)
def test_what_a_proxys_url_says(url: str, proxy: Proxy) -> None:
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize("url", ["https://p:1", "socks5://p:1", "http://", "http://p:99999", "http://p:x"])
def test_proxies_that_cannot_be_used(url: str) -> None:
    with pytest.raises(OperatorError, match="http://host:port"):
        parse_proxy(url)
