"""Request bodies: large ones in slices, streamed ones with back-pressure, and what an early answer does to them."""

import asyncio
import hashlib
import os

import pytest

from chatvault.core.seam import Request
from tests.net.conftest import Pools
from tests.net.peers import OK, Heard, Peer, provider, soon


class Uploads:
    """A provider that keeps digests of what was posted, and reads no further while `gate` is closed."""

    def __init__(self) -> None:
        self.heads = list[bytes]()
        self.bodies = list[bytes]()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, peer: Peer) -> None:
        await self.gate.wait()
        while True:
            head, body = await peer.request()
            if not head:
                return
            self.heads.append(head)
            self.bodies.append(hashlib.sha256(body).digest())
            await peer.write(OK)


async def test_a_large_body_goes_out_in_slices(pools: Pools) -> None:
    body = os.urandom(20 << 20)
    view = memoryview(body)
    slices: list[bytes | memoryview] = [view[:7], b"", view[7 : 10 << 20], view[10 << 20 :]]
    uploads = Uploads()
    async with provider(uploads) as server:
        pool = pools(server.port)
        for sent in (slices, body):
            heard = Heard()
            pool.start(Request(b"POST", b"/", [], sent), heard)
            await heard.whole()
            assert heard.code == "end"
        assert uploads.bodies == [hashlib.sha256(body).digest()] * 2
        assert server.dialled == 1


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
async def test_a_streamed_body_is_pushed_back(pools: Pools, length: bool) -> None:
    """`send` says when to stop, `writable` when to go on; all bytes arrive, in order, those sent while dialling too."""
    body = os.urandom(6 << 20)
    uploads, writable = Uploads(), asyncio.Event()
    uploads.gate.clear()
    async with provider(uploads) as server:
        pool, heard = pools(server.port), Heard()
        request = Request(b"POST", b"/", [], None, len(body) if length else None)
        exchange = pool.start(request, heard, writable=writable.set)
        assert not writable.is_set()
        assert not exchange.send(body[:10])  # no connection yet: taken, but no more, please
        sent, stopped = 10, 0
        async with asyncio.timeout(5):
            while sent < len(body):
                await writable.wait()
                part = body[sent : sent + 65536]
                sent += len(part)
                if not exchange.send(part):
                    stopped += 1
                    writable.clear()
                    assert sent < len(body) or uploads.gate.is_set()
                    uploads.gate.set()
        assert exchange.send(b"") in (True, False)  # nothing, and not the end of a chunked body
        exchange.finish()
        exchange.finish()
        assert (await heard.whole()).code == "end"
        assert stopped
        assert uploads.bodies == [hashlib.sha256(body).digest()]
        framing = b"content-length: %d\r\n" % len(body) if length else b"transfer-encoding: chunked\r\n"
        assert framing in uploads.heads[0]
        # The connection is kept: the next call finds it in order.
        heard = Heard()
        pool.start(Request(b"POST", b"/", [], b"next"), heard)
        await heard.whole()
        assert server.dialled == 1


async def test_a_body_that_was_whole_before_its_connection_was_there_goes_out(pools: Pools) -> None:
    uploads = Uploads()
    async with provider(uploads) as server:
        pool, heard = pools(server.port), Heard()
        exchange = pool.start(Request(b"POST", b"/", [], None, None), heard, writable=lambda: None)
        exchange.send(b"a")
        exchange.send(b"b")
        exchange.finish()
        assert (await heard.whole()).code == "end"
        assert uploads.bodies == [hashlib.sha256(b"ab").digest()]


async def test_writable_is_heard_from_the_event_loop_on_a_kept_connection_too(pools: Pools) -> None:
    uploads = Uploads()
    async with provider(uploads) as server:
        pool = pools(server.port)
        for _ in range(2):
            heard, writable = Heard(), asyncio.Event()
            exchange = pool.start(Request(b"POST", b"/", [], None, 2), heard, writable=writable.set)
            assert not writable.is_set()
            await writable.wait()
            exchange.send(b"ab")
            exchange.finish()
            await heard.whole()
        assert server.dialled == 1


async def test_an_answer_before_the_body_is_whole_ends_the_call_and_its_connection(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.write(b"HTTP/1.1 413 Too large\r\ncontent-length: 2\r\n\r\nno")
        await peer.left()

    async with provider(handle) as server:
        pool, heard = pools(server.port), Heard()
        exchange = pool.start(Request(b"POST", b"/", [], None, 1000), heard, writable=lambda: None)
        exchange.send(b"part")
        await heard.whole()
        assert (heard.code, heard.status) == ("end", 413)
        assert exchange.send(b"late")  # nobody listens any more: do not wait for `writable`
        exchange.finish()
        await soon(lambda: server.gone == 1)


async def test_a_provider_that_dies_within_an_upload_is_a_reset(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.readexactly(1000)
        peer.reset()

    async with provider(handle) as server:
        heard = Heard()
        exchange = pools(server.port).start(
            Request(b"POST", b"/", [], None, None), heard, writable=lambda: None
        )
        for _ in range(50):
            if heard.over.is_set():
                break
            exchange.send(b"x" * 10_000)
            await asyncio.sleep(0.005)
        assert (await heard.whole()).code == "reset"
