"""Compressed answers: plain behind the decoder however they are cut, bounded, and never whole when they are not."""

import asyncio
import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.seam import Fault, Head
from chatvault.net.decoding import Decoded
from tests.net.conftest import Pools
from tests.net.peers import POST, Heard, answering, provider

TEXT = b'{"usage":{"prompt_tokens":1}}' * 50


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": (b"gzip", gzip.compress(TEXT)),
    "x-gzip": (b"X-GZIP", gzip.compress(TEXT)),
    "two members": (b"gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "deflate": (b"deflate", zlib.compress(TEXT)),
    "deflate without its header": (b"deflate", raw_deflate(TEXT)),
}


def heard_of(coding: bytes, packets: list[bytes], length: int | None = None) -> Heard:
    heard = Heard()
    decoded = Decoded(heard)
    decoded.head(Head(200, [(b"content-encoding", coding), (b"content-length", b"1"), (b"a", b"b")], length))
    for packet in packets:
        decoded.body(packet)
    decoded.end()
    return heard


@pytest.mark.parametrize("name", PACKED)
@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_any_cut(name: str, cuts: list[int]) -> None:
    coding, data = PACKED[name]
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    packets = [data[a:b] for a, b in pairwise(places) if a != b]
    heard = heard_of(coding, packets, len(data))
    assert (heard.code, heard.data) == ("end", TEXT)
    assert heard.heads == [Head(200, [(b"a", b"b")], None)]


@pytest.mark.parametrize("name", PACKED)
def test_byte_by_byte(name: str) -> None:
    coding, data = PACKED[name]
    assert heard_of(coding, [data[at : at + 1] for at in range(len(data))]).data == TEXT


@pytest.mark.parametrize("name", PACKED)
def test_what_ends_early_is_a_cut(name: str) -> None:
    coding, data = PACKED[name]
    heard = heard_of(coding, [data[:-3]])
    assert heard.code == "cut"
    assert TEXT.startswith(heard.data)


@pytest.mark.parametrize("name", PACKED)
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_what_is_corrupt_never_looks_whole_with_other_bytes(name: str, place: int, flip: int) -> None:
    coding, data = PACKED[name]
    broken = bytearray(data)
    broken[place % len(data)] ^= flip
    heard = heard_of(coding, [bytes(broken)])
    assert heard.code in ("end", "cut", "protocol_error")
    if heard.code == "end" and name != "deflate without its header":  # which alone has no checksum
        assert heard.data == TEXT


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_what_is_no_such_coding_is_a_fault(coding: bytes) -> None:
    assert heard_of(coding, [b"plain text after all", b"and more"]).code == "protocol_error"


def test_bytes_behind_the_end_are_a_fault() -> None:
    assert heard_of(b"deflate", [zlib.compress(TEXT) + b"more"]).code == "protocol_error"
    assert heard_of(b"gzip", [gzip.compress(TEXT), b"more"]).code == "protocol_error"


def test_an_empty_body_is_an_empty_body() -> None:
    assert heard_of(b"gzip", []).code == "end"
    assert heard_of(b"gzip", [], 0).code == "end"


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"identity", b"gzip, gzip"])
def test_other_codings_pass_as_they_are(coding: bytes) -> None:
    heard = heard_of(coding, [b"\x00\xff"], 2)
    assert heard.data == b"\x00\xff"
    assert heard.heads[0].headers[0] == (b"content-encoding", coding)
    assert heard.heads[0].length == 2


def test_a_bomb_comes_in_pieces_and_ends_in_a_fault() -> None:
    packed = gzip.compress(b"\0" * (64 << 20), 9)
    heard = heard_of(b"gzip", [packed])
    assert heard.code == "protocol_error"
    assert max(map(len, heard.parts)) <= 256 << 10
    assert len(heard.data) <= 32 << 20
    heard = heard_of(b"gzip", [packed[at : at + 8192] for at in range(0, len(packed), 8192)])
    assert heard.code == "end"  # in packets each of which can be paused behind


def test_a_fault_passes_once() -> None:
    heard = Heard()
    decoded = Decoded(heard)
    decoded.head(Head(200, [(b"content-encoding", b"gzip")]))
    decoded.fault(Fault("cut"))
    decoded.body(gzip.compress(TEXT))
    decoded.end()
    assert heard.code == "cut"
    assert not heard.parts


async def test_who_cancels_within_a_packet_hears_no_more_of_it(pools: Pools) -> None:
    body = gzip.compress(b"\0" * (4 << 20))
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    async with provider(answering(answer)) as server:
        heard, pool = Heard(), pools(server.port)
        exchange = pool.start(POST, heard)
        exchange.answer = Decoded(heard, exchange)
        heard.on_body = lambda data: exchange.cancel()
        async with asyncio.timeout(2):
            await server.left.wait()
        assert len(heard.parts) == 1
        assert heard.code == "nothing"
