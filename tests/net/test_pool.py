"""The upstream client's contract: what it sends, what it keeps, how it fails, and how soon."""

import asyncio
import random
import re
import socket
import time
from collections.abc import Callable

import pytest

from chatvault.config.schema import Timeouts
from chatvault.core.seam import Request
from chatvault.net.pool import MAX_IDLE
from tests.net.conftest import Pools
from tests.net.peers import OK, POST, Heard, Peer, answering, closing, provider, soon

GET = Request(b"GET", b"/v1/models", [])


async def ask(pool: object, request: Request = POST, **options: bool) -> Heard:
    heard = Heard()
    pool.start(request, heard, **options)  # type: ignore[attr-defined]
    return await heard.whole()


async def test_a_request_goes_out_to_the_letter_and_its_answer_comes_back(pools: Pools) -> None:
    seen = list[tuple[bytes, bytes]]()

    async def handle(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.write(b"HTTP/1.1 201 Made\r\nX-One:  a b \t\r\ncontent-length: 2\r\n\r\nhi")
        seen.append(await peer.request())
        await peer.write(OK)
        await peer.left()

    async with provider(handle) as server:
        pool = pools(server.port)
        heard = await ask(pool, Request(b"POST", b"/p?q=1", [(b"x-y", b"z")], [b"a", memoryview(b"bc")]))
        assert heard.heads[0].status == 201
        assert heard.heads[0].headers == [(b"x-one", b"a b"), (b"content-length", b"2")]
        assert heard.heads[0].length == 2
        assert (heard.data, heard.code) == (b"hi", "end")
        await ask(pool, GET)
        host = b"127.0.0.1:%d" % server.port
        assert seen == [
            (b"POST /p?q=1 HTTP/1.1\r\nhost: " + host + b"\r\nx-y: z\r\ncontent-length: 3\r\n\r\n", b"abc"),
            (b"GET /v1/models HTTP/1.1\r\nhost: " + host + b"\r\n\r\n", b""),
        ]
        assert server.dialled == 1


async def test_an_empty_body_is_announced_where_one_is_expected(pools: Pools) -> None:
    heads = list[bytes]()

    async def handle(peer: Peer) -> None:
        while head := (await peer.request())[0]:
            heads.append(head)
            await peer.write(OK)

    async with provider(handle) as server:
        pool = pools(server.port)
        for method in (b"POST", b"PUT", b"GET", b"DELETE"):
            await ask(pool, Request(method, b"/", [], b""))
    assert [b"content-length: 0" in head for head in heads] == [True, True, False, False]


async def test_nothing_is_heard_before_start_returns(pools: Pools) -> None:
    async with provider(answering(OK)) as server:
        pool = pools(server.port)
        for _ in range(3):
            heard = Heard()
            pool.start(POST, heard)
            assert not heard.heads
            await heard.whole()


async def test_the_first_byte_is_not_delayed(pools: Pools) -> None:
    go = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfir", wait=0)
        await go.wait()
        await peer.write(b"st\r\n0\r\n\r\n")
        await peer.left()

    async with provider(handle) as server:
        heard = Heard()
        pools(server.port).start(POST, heard)
        async with asyncio.timeout(2):
            await heard.flowed.wait()
        assert heard.parts == [b"fir"]  # half a chunk, and the rest has not been sent
        go.set()
        assert (await heard.whole()).data == b"first"


@pytest.mark.parametrize("stage", ["dialling", "waiting", "head", "body"])
async def test_cancel_closes_the_upstream_within_50_ms(pools: Pools, stage: str) -> None:
    left = asyncio.Event()

    async def handle(peer: Peer) -> None:
        if stage != "dialling":
            await peer.request()
        if stage in ("head", "body"):
            await peer.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n" + (b"x" if stage == "body" else b"")
            )
        await peer.left()
        left.set()

    async with provider(handle) as server:
        pool, heard = pools(server.port), Heard()
        exchange = pool.start(POST, heard)
        if stage == "waiting":
            await soon(lambda: exchange.connection is not None)
        elif stage in ("head", "body"):
            await (heard.began if stage == "head" else heard.flowed).wait()
        before = time.perf_counter()
        exchange.cancel()
        exchange.cancel()
        if stage != "dialling":
            async with asyncio.timeout(1):
                await left.wait()
            assert time.perf_counter() - before < 0.05
        await asyncio.sleep(0.02)
        assert heard.code == "nothing"
        assert pool.retire()  # nothing is under way


async def test_an_attempt_cancelled_before_its_dial_began_leaves_nothing_behind(pools: Pools) -> None:
    async with provider(answering(OK)) as server:
        pool = pools(server.port)
        for _ in range(50):
            pool.start(POST, Heard()).cancel()
        await asyncio.sleep(0.02)
        assert pool.retire()
        assert server.dialled == 0


async def storm(pools: Pools, calls: int, width: int, seed: int) -> None:
    """Calls with distinct answers, of which many are cancelled, many are cut; each whole one must be its own."""
    dice = random.Random(seed)

    async def handle(peer: Peer) -> None:
        while head := (await peer.request())[0]:
            number = re.search(rb"x-n: (\d+)", head)
            assert number is not None
            body = number[1] * 50
            answer = b"HTTP/1.1 200 OK\r\nx-n: %s\r\ncontent-length: %d\r\n\r\n%s" % (
                number[1],
                len(body),
                body,
            )
            kind = int(number[1]) % 16
            if kind == 3:
                await peer.write(answer[:-10])
                return
            if kind == 5:
                return
            cut = int(number[1]) % len(answer)
            await peer.write(answer[:cut], 0.001 if kind < 3 else 0)
            await peer.write(answer[cut:])

    async with provider(handle) as server:
        pool, whole, cancelled = pools(server.port), 0, 0

        async def call(number: int) -> None:
            nonlocal whole, cancelled
            heard = Heard()
            exchange = pool.start(
                Request(b"POST", b"/", [(b"x-n", b"%d" % number)], b"x" * (number % 100)), heard
            )
            if number % 3 == 0:
                for _ in range(dice.randrange(8)):
                    await asyncio.sleep(0)
                if not heard.over.is_set():
                    exchange.cancel()
                    cancelled += 1
                    return
            await heard.whole()
            if heard.code == "end":
                whole += 1
                assert heard.data == b"%d" % number * 50
                assert dict(heard.heads[0].headers)[b"x-n"] == b"%d" % number
            else:
                assert heard.code in ("cut", "reset", "stale_connection")
                assert b"".join([b"%d" % number * 50]).startswith(heard.data)

        async def lane(numbers: range) -> None:
            for number in numbers:
                await call(number)

        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            for start in range(width):
                group.create_task(lane(range(start, calls, width)))
        assert whole > calls / 3
        assert cancelled > calls / 10
        # And it is as good as new.
        for number in range(width * 2):
            heard = await ask(
                pool, Request(b"POST", b"/", [(b"x-n", b"%d" % (number * 16 + 1))], b""), fresh=True
            )
            assert heard.data == b"%d" % (number * 16 + 1) * 50
        assert pool.retire()
        await soon(lambda: server.gone == server.dialled)


async def test_the_pool_is_healthy_after_a_storm_of_cancels(pools: Pools) -> None:
    await storm(pools, 2_000, 25, seed=1)


@pytest.mark.prove
async def test_the_pool_is_healthy_after_a_long_storm_of_cancels(pools: Pools) -> None:
    await storm(pools, 30_000, 100, seed=2)


async def test_a_kept_connection_that_dies_before_it_answers_is_stale_and_a_fresh_one_is_not(
    pools: Pools,
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.write(OK)
            await peer.request()
            return  # as a server does whose keep-alive ran out while the request was on its way
        if peer.number == 2:
            return
        await peer.write(OK)
        await peer.left()

    async with provider(handle) as server:
        pool = pools(server.port)
        assert (await ask(pool)).code == "end"
        assert (await ask(pool)).code == "stale_connection"
        assert (await ask(pool)).code == "reset"
        assert (await ask(pool)).code == "end"
        assert server.dialled == 3


async def test_a_connection_that_was_closed_while_it_was_free_is_not_used(pools: Pools) -> None:
    async with provider(closing(OK)) as server:
        pool = pools(server.port)
        for number in range(1, 4):
            assert (await ask(pool)).code == "end"
            await soon(lambda number=number: server.gone == number)  # type: ignore[misc]
            await asyncio.sleep(0.01)
        assert server.dialled == 3


async def test_fresh_does_not_use_a_kept_connection(pools: Pools) -> None:
    async with provider(answering(OK)) as server:
        pool = pools(server.port)
        await ask(pool)
        await ask(pool, fresh=True)
        assert server.dialled == 2
        await ask(pool)
        assert server.dialled == 2


async def test_a_server_that_closes_at_once_is_reported_at_once(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        peer.reset()

    async with provider(handle) as server:
        pool = pools(server.port)
        for _ in range(20):
            assert (await ask(pool)).code in ("reset", "connect_failed")
        assert pool.retire()


async def test_a_server_that_speaks_before_it_is_asked_is_not_listened_to(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.write(OK)
        await peer.left()

    async with provider(handle) as server:
        pool = pools(server.port)
        heard = Heard()
        # The connection is made, and hears the answer to a question nobody asked.
        exchange = pool.start(POST, heard)
        await heard.whole()
        assert exchange.over
        assert heard.code in ("reset", "end")  # a request that was sent first cannot tell
        if heard.code == "end":
            assert heard.data == b"hi"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi"], "cut"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhi"], "cut"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"], "cut"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"], "cut"),
        ([b"HTTP/1.1 200 OK\r\ncontent-le"], "reset"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], "reset"),
        ([], "reset"),
        ([OK + b"more"], "surplus"),
        ([OK + OK], "surplus"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nx"], "surplus"),
        ([b"HTTP/1.1 204 No\r\n\r\nx"], "surplus"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nx"], "surplus"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhix"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"], "protocol_error"),
        ([b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 101 Switching\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 103 Hints\r\ncontent-length: 2\r\n\r\nhi" + OK], "protocol_error"),
        ([b"HTTP/1.1 103 Hints\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + OK], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhi"], "protocol_error"),
        (
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n"],
            "protocol_error",
        ),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nhi"], "protocol_error"),
        ([b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"RTSP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"HT", b"XP/1.1 200 OK\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 99 Odd\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"SSH-2.0-OpenSSH_9.6\r\n"], "protocol_error"),
        ([b"<html>not http at all</html>"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\nx: a\nb: c\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n"], "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000] + [b"a" * 50_000] * 5, "protocol_error"),
        ([b"HTTP/1.1 200 OK\r\n"] + [b"x: " + b"a" * 50_000 + b"\r\n"] * 7, "protocol_error"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 400] * 40, "protocol_error"),
        (
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: "] + [b"a" * 50_000] * 7,
            "protocol_error",
        ),
        (
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;"] + [b"a" * 50_000] * 7,
            "protocol_error",
        ),
    ],
)
async def test_what_is_no_whole_answer_is_a_fault_and_its_connection_is_not_used_again(
    pools: Pools, parts: list[bytes], code: str
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            for part in parts:
                await peer.write(part, 0.002)
            if code in ("cut", "reset"):
                return
        else:
            await peer.write(OK)
        await peer.left()

    async with provider(handle) as server:
        pool = pools(server.port)
        assert (await ask(pool)).code == code
        assert (await ask(pool)).code == "end"
        assert server.dialled == 2


async def test_a_reset_within_an_answer_is_a_cut(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\n\r\nhello", 0.02)  # ends with the connection, but not like this
        sock = peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.reset()

    async with provider(handle) as server:
        heard = await ask(pools(server.port))
        assert (heard.data, heard.code) == (b"hello", "cut")


async def test_a_surplus_in_a_later_packet_closes_the_kept_connection(pools: Pools) -> None:
    sent = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(OK, 0.02)
        if peer.number == 1:
            await peer.write(OK)
            sent.set()
        await peer.left()

    async with provider(handle) as server:
        pool = pools(server.port)
        assert (await ask(pool)).code == "end"
        await sent.wait()
        await soon(lambda: server.gone == 1)
        assert (await ask(pool)).code == "end"
        assert server.dialled == 2


@pytest.mark.parametrize(
    ("method", "answer", "status", "length", "body", "kept"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200, 0, b"", False),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200, 0, b"", False),
        (b"HEAD", b"HTTP/1.1 404 No\r\n\r\n", 404, 0, b"", False),
        (b"POST", b"HTTP/1.1 204 No\r\n\r\n", 204, 0, b"", True),
        (b"GET", b"HTTP/1.1 304 Not\r\ncontent-length: 5\r\n\r\n", 304, 0, b"", True),
        (b"POST", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, 2, b"hi", True),
        (b"POST", b"HTTP/1.1 103 Hints\r\nlink: </x>\r\n\r\n" * 3 + OK, 200, 2, b"hi", True),
        (b"POST", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, 0, b"", True),
        (b"POST", b"HTTP/1.1 200\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi", 200, 2, b"hi", False),
        (b"POST", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, 2, b"hi", False),
        (
            b"POST",
            b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi",
            200,
            2,
            b"hi",
            True,
        ),
        (
            b"POST",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;x=y\r\nh\r\n1\r\ni\r\n0\r\nstatus: 500\r\n\r\n",
            200,
            None,
            b"hi",
            True,
        ),
        (
            b"POST",
            b"HTTP/1.1 200 OK\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nhi",
            200,
            2,
            b"hi",
            True,
        ),
    ],
)
async def test_answers_of_every_framing(
    pools: Pools, method: bytes, answer: bytes, status: int, length: int | None, body: bytes, kept: bool
) -> None:
    async with provider(answering(answer)) as server:
        pool = pools(server.port)
        for _ in range(2):
            heard = await ask(pool, Request(method, b"/", [], b""))
            assert (heard.code, heard.status, heard.data) == ("end", status, body)
            assert heard.heads[0].length == length
            names = {name for name, _ in heard.heads[0].headers}
            assert not names & {b"link", b"status"}  # neither an interim answer's fields nor trailers
        assert server.dialled == (1 if kept else 2)


async def test_a_body_behind_the_answer_to_head_is_a_surplus(pools: Pools) -> None:
    async with provider(answering(OK)) as server:
        heard = await ask(pools(server.port), Request(b"HEAD", b"/", []))
        assert (heard.code, heard.data) == ("surplus", b"")


async def test_a_body_that_ends_with_the_connection_is_whole_and_its_connection_gone(pools: Pools) -> None:
    async with provider(closing(b"HTTP/1.1 200 OK\r\n\r\nhe", b"llo", wait=0.01)) as server:
        pool = pools(server.port)
        for _ in range(2):
            heard = await ask(pool)
            assert (heard.code, heard.data, heard.heads[0].length) == ("end", b"hello", None)
        assert server.dialled == 2


async def test_a_slow_consumer_holds_the_memory_flat(pools: Pools) -> None:
    size, sent = 32 << 20, 0

    async def handle(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            await peer.write(b"x" * 65536)
            sent += 65536
        await peer.left()

    async with provider(handle) as server:
        heard = Heard()
        exchange = pools(server.port).start(POST, heard)

        def pause(data: bytes) -> None:
            exchange.pause()

        heard.on_body = pause
        await heard.flowed.wait()
        await asyncio.sleep(0.1)
        held = sum(map(len, heard.parts))
        assert held <= 512 << 10
        assert sent < size  # what the kernel's buffers hold, and no more
        before = sent
        await asyncio.sleep(0.1)
        assert sent == before
        heard.on_body = None
        exchange.resume()
        await heard.whole()
        assert (heard.code, len(heard.data)) == ("end", size)


async def test_an_attempt_paused_before_its_connection_is_there_stays_paused(pools: Pools) -> None:
    async with provider(answering(OK)) as server:
        heard = Heard()
        exchange = pools(server.port).start(POST, heard)
        exchange.pause()
        await asyncio.sleep(0.05)
        assert not heard.heads
        exchange.resume()
        assert (await heard.whole()).code == "end"


async def test_pausing_and_resuming_at_any_time_is_harmless(pools: Pools) -> None:
    async with provider(closing(b"HTTP/1.1 200 OK\r\n\r\nhello")) as server:
        heard = Heard()
        exchange = pools(server.port).start(POST, heard)
        for _ in range(3):
            exchange.pause()
            exchange.pause()
            exchange.resume()
            exchange.resume()
            await asyncio.sleep(0)
        await heard.whole()
        exchange.pause()
        exchange.resume()
        exchange.cancel()
        assert exchange.send(b"late")
        exchange.finish()


async def test_a_kept_connection_reads_again_although_its_last_call_was_paused(pools: Pools) -> None:
    async with provider(answering(OK)) as server:
        pool, heard = pools(server.port), Heard()
        exchange = pool.start(POST, heard)
        heard.on_body = lambda data: exchange.pause()
        await heard.whole()
        assert (await ask(pool)).code == "end"
        assert server.dialled == 1


async def test_nagle_is_off(pools: Pools) -> None:
    async with provider(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")) as server:
        heard = Heard()
        exchange = pools(server.port).start(POST, heard)
        await heard.flowed.wait()
        assert exchange.connection is not None
        sock = exchange.connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        exchange.cancel()


async def test_the_connection_last_used_is_used_first(pools: Pools) -> None:
    numbers = list[int]()

    async def handle(peer: Peer) -> None:
        while (await peer.request())[0]:
            numbers.append(peer.number)
            await peer.write(OK)

    async with provider(handle) as server:
        pool = pools(server.port)
        await asyncio.gather(*(ask(pool) for _ in range(3)))
        numbers.clear()
        for _ in range(4):
            await ask(pool)
        assert len(set(numbers)) == 1


async def test_no_more_free_connections_are_kept_than_the_limit(pools: Pools) -> None:
    async with provider(answering(OK)) as server:
        pool = pools(server.port)
        pool._free.extend([None] * MAX_IDLE)  # type: ignore[list-item]
        assert (await ask(pool, fresh=True)).code == "end"
        pool._free.clear()
        await soon(lambda: server.gone == 1)


async def test_a_free_connection_is_closed_after_a_while(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatvault.net.pool.KEEP_IDLE", 0.05)
    async with provider(answering(OK)) as server:
        pool = pools(server.port)
        await ask(pool)
        pool.tick()
        await asyncio.sleep(0.06)
        assert server.gone == 0
        pool.tick()
        await soon(lambda: server.gone == 1)


async def test_closing_cancels_what_is_under_way_and_retiring_does_not(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh", 0.05)
        await peer.write(b"i")
        await peer.left()

    async with provider(handle) as server:
        pool, heard = pools(server.port), Heard()
        pool.start(POST, heard)
        await heard.flowed.wait()
        assert not pool.retire()
        assert (await heard.whole()).code == "end"
        assert pool.retire()
        await soon(lambda: server.gone == 1)  # not kept

        pool, heard = pools(server.port), Heard()
        pool.start(POST, heard)
        await heard.flowed.wait()
        pool.close()
        await soon(lambda: server.gone == 2)
        assert heard.code == "nothing"


async def ticked(
    pools: Pools, port: int, limits: Timeouts, prepare: Callable[[Heard], None] | None = None
) -> Heard:
    pool, heard = pools(port, limits), Heard()
    if prepare is not None:
        prepare(heard)
    pool.start(POST, heard)
    async with asyncio.timeout(3):
        while not heard.over.is_set():
            pool.tick()
            await asyncio.sleep(0.01)
    return heard


async def test_a_provider_that_does_not_begin_is_given_up(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number == 2:
            await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        if peer.number == 3:
            for byte in b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1000:
                await peer.write(bytes([byte]), 0.005)  # it drips, but it does not begin
        await peer.left()

    async with provider(handle) as server:
        limits = Timeouts(first_byte=0.08, idle=5.0)
        for began in (0, 1, 0):
            before = time.perf_counter()
            heard = await ticked(pools, server.port, limits)
            assert (heard.code, len(heard.heads)) == ("first_byte_timeout", began)
            assert 0.07 < time.perf_counter() - before < 1
        await soon(lambda: server.gone == 3)


async def test_a_provider_that_stops_is_given_up(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n")
        for _ in range(5):
            await peer.write(b"x", 0.03)
        await peer.left()

    async with provider(handle) as server:
        heard = await ticked(pools, server.port, Timeouts(first_byte=5.0, idle=0.08))
        assert (heard.code, heard.data) == ("stalled", b"xxxxx")


async def test_a_client_that_stops_is_not_the_providers_fault(pools: Pools) -> None:
    async with provider(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh")) as server:
        pool, heard = pools(server.port, Timeouts(idle=0.05)), Heard()
        exchange = pool.start(POST, heard)
        await heard.flowed.wait()
        exchange.pause()
        for _ in range(15):
            pool.tick()
            await asyncio.sleep(0.01)
        assert heard.code == "nothing"
        exchange.cancel()


async def test_the_whole_has_a_deadline_where_one_is_set(pools: Pools) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")
        while True:
            await peer.write(b"x", 0.01)

    async with provider(handle) as server:
        heard = await ticked(pools, server.port, Timeouts(total=0.15))
        assert heard.code == "total_timeout"
        assert heard.data


async def test_who_hears_the_answer_and_fails_at_it_ends_the_call(
    pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    async with provider(answering(OK)) as server:
        heard = Heard(on_body=fail)
        pools(server.port).start(POST, heard)
        assert (await heard.whole()).code == "internal"
        assert "ZeroDivisionError" in caplog.text


async def test_who_cancels_within_a_callback_hears_nothing_more(pools: Pools) -> None:
    async with provider(answering(OK + b"more", OK)) as server:
        pool, heard = pools(server.port), Heard()
        exchange = pool.start(POST, heard)
        heard.on_body = lambda data: exchange.cancel()
        await soon(lambda: server.gone == 1)
        assert heard.code == "nothing"
        assert pool.retire()


async def test_a_next_call_may_begin_where_the_last_one_ends(pools: Pools) -> None:
    async with provider(answering(OK)) as server:
        pool, second = pools(server.port), Heard()

        class Chained(Heard):
            def end(self) -> None:
                super().end()
                pool.start(POST, second)

        pool.start(POST, Chained())
        assert (await second.whole()).code == "end"
        assert server.dialled == 1
