"""Answers of every kind, mutated and cut anywhere, against h11: what h11 refuses we refuse, and what we take we
read as it does.

Nothing hangs (every answer ends with its connection), nothing raises out of `data_received`, and a next call
over the same connection gets its own answer or a fault.
"""

import asyncio
import random
import re
from dataclasses import dataclass
from itertools import pairwise

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatvault.config.schema import Timeouts
from chatvault.core.seam import Request
from chatvault.net.connection import LiveExchange, UpstreamConnection
from chatvault.net.origin import parse_origin
from chatvault.net.pool import Pool
from tests.net.peers import Heard

SEEDS = [
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"a": "bc"}',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\ntrailer: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
    b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
    b"HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\na: \xe9\tb  \r\ncontent-length: 1\r\n\r\nx",
]
REASON = re.compile(rb"((?:^|\r\n\r\n[\r\n]*)HTTP/1\.[01] [0-9]{3} )[^\r\n]*")
EMPTY = re.compile(rb"\r\n\r\n[\r\n]+(?=HTTP/)")
TRAILER = re.compile(
    rb"(\r\n0\r\n(?:[^\r\n]+\r\n)*)(?:transfer-encoding|content-length)[^\r\n]*", re.IGNORECASE
)
SPICE = [
    *(bytes([byte]) for byte in b"\0\r\n\t :;,\x0b\x7f\x80\xff0123456789abcfx"),
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"content-length: 3\r\n",
    b"content-length: 3, 3\r\n",
    b"Content-Length: 0x3\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
    b"transfer-encoding: chunked, chunked\r\n",
    b"connection: upgrade\r\nupgrade: x\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"HTTP/1.1 101 X\r\n\r\n",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["insert", "delete", "replace", "double"])):
            case "insert":
                data[place:place] = draw(st.sampled_from(SPICE))
            case "delete":
                del data[place : place + draw(st.integers(1, 8))]
            case "replace":
                spice = draw(st.sampled_from(SPICE))
                data[place : place + len(spice)] = spice
            case "double":
                data[place:place] = data[max(0, place - draw(st.integers(1, 30))) : place]
    return bytes(data)


class Wire(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@dataclass(frozen=True)
class Read:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def ours(pool: Pool, method: bytes, data: bytes, cuts: list[int]) -> tuple[Heard, UpstreamConnection, Wire]:
    heard, wire, connection = Heard(), Wire(), UpstreamConnection(pool)
    connection.connection_made(wire)
    connection.start(LiveExchange(pool, Request(method, b"/", []), heard, 0.0, None))
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for a, b in pairwise(places):
        if a != b and not wire.closed:
            connection.data_received(data[a:b])
    return heard, connection, wire


def theirs(method: bytes, data: bytes) -> Read | None:
    """What h11 reads; None where it refuses, or the answer is not whole."""
    peer = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    peer.send(h11.Request(method=method, target="/", headers=[("host", "h"), ("content-length", "0")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(data)
    head, body = None, b""
    try:
        peer_closed = False
        while True:
            event = peer.next_event()
            if event is h11.NEED_DATA:
                if peer_closed:
                    return None
                peer_closed = True
                peer.receive_data(b"")
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Read(head.status_code, [(bytes(n), bytes(v)) for n, v in head.headers], body)
            elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None


async def compare(method: bytes, data: bytes, cuts: list[int]) -> None:
    pool = Pool(parse_origin("http://h"), Timeouts())
    heard, connection, wire = ours(pool, method, data, cuts)
    if not wire.closed:
        connection.connection_lost(None)
    assert heard.code != "nothing"  # with its connection every answer ends
    pool.close()
    if heard.code != "end":
        return
    for _, value in heard.heads[0].headers:
        assert value == value.strip(b" \t")
        assert not set(b"\0\r\n") & set(value)
    read = theirs(method, data)
    if read is not None:
        assert (heard.status, heard.data, heard.heads[0].headers) == (read.status, read.body, read.headers)
        return
    # h11 minds control characters in a reason phrase, empty lines behind an interim answer, and framing in trailers.
    # None of it goes anywhere.
    for pattern, plain in ((REASON, rb"\1"), (EMPTY, rb"\r\n\r\n"), (TRAILER, rb"\1x:")):
        data = pattern.sub(plain, data)
    assert theirs(method, data) is not None


@pytest.mark.parametrize("method", [b"POST", b"HEAD"])
@given(data=mutated(), cuts=st.lists(st.integers(0, 120), max_size=5))
@example(data=SEEDS[0] + b"\r\n", cuts=[])
async def test_what_h11_refuses_is_refused(method: bytes, data: bytes, cuts: list[int]) -> None:
    await compare(method, data, cuts)


@pytest.mark.prove
async def test_what_h11_refuses_is_refused_for_long() -> None:
    dice = random.Random(7)
    for _ in range(100_000):
        data = bytearray(dice.choice(SEEDS))
        for _ in range(dice.randrange(4)):
            place, spice = dice.randrange(len(data) + 1), dice.choice(SPICE)
            data[place : place + dice.choice((0, 0, 1, len(spice)))] = spice
        await compare(
            dice.choice((b"POST", b"HEAD", b"GET")),
            bytes(data),
            [dice.randrange(120) for _ in range(dice.randrange(4))],
        )


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_in_order_is_taken_however_it_is_cut(seed: bytes) -> None:
    read = theirs(b"POST", seed)
    assert read is not None
    pool = Pool(parse_origin("http://h"), Timeouts())
    for cuts in ([], *([at] for at in range(len(seed))), list(range(len(seed)))):
        heard, connection, wire = ours(pool, b"POST", seed, cuts)
        if not wire.closed:
            connection.connection_lost(None)
        assert (heard.code, heard.status, heard.data) == ("end", read.status, read.body)
    pool.close()


@given(first=mutated(), second=st.sampled_from(SEEDS), cuts=st.lists(st.integers(0, 120), max_size=4))
async def test_no_call_gets_bytes_of_another(first: bytes, second: bytes, cuts: list[int]) -> None:
    """A connection that went back to the pool begins anew; nothing of the first answer is told to the second."""
    pool = Pool(parse_origin("http://h"), Timeouts())
    heard, connection, wire = ours(pool, b"POST", first, cuts)
    if heard.code == "end" and connection in pool._free and connection.usable:
        again = Heard()
        exchange = pool.start(Request(b"POST", b"/", []), again)
        assert exchange.connection is connection
        connection.data_received(second)
        if not wire.closed:
            connection.connection_lost(None)
        read = theirs(b"POST", second)
        assert read is not None
        assert (again.code, again.status, again.data) == ("end", read.status, read.body)
    pool.close()
