"""Chunked bodies: any cut, against h11."""

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.errors import ClientError
from chatvault.wire.chunked import ChunkedBody

WHOLE = b"5\r\nhello\r\n1;a=b\r\n,\r\n0a\r\n world 123\r\n0\r\nx: y\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
SPICE = [
    *(bytes([byte]) for byte in b"\0\r\n\t :;,\x7f\xff019afgx-+"),
    b"\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff",
    b"\r\n\r\n",
]


def ours(data: bytes, cuts: list[int]) -> tuple[bytes, bytes] | None:
    """The body and the rest; None where it is refused, or is not whole."""
    chunked, parts, rest = ChunkedBody(), list[bytes](), b""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    try:
        for a, b in pairwise(places):
            if chunked.done:
                rest += data[a:b]
            else:
                parts.append(chunked.feed(data[a:b]))
                rest = chunked.rest
    except ClientError:
        return None
    return (b"".join(parts), rest) if chunked.done else None


def theirs(data: bytes) -> tuple[bytes, bytes] | None:
    peer, body = h11.Connection(h11.SERVER), b""
    peer.receive_data(HEAD + data)
    try:
        assert isinstance(peer.next_event(), h11.Request)
        while True:
            event = peer.next_event()
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return body, peer.trailing_data[0]
            else:
                return None
    except h11.RemoteProtocolError:
        return None


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(WHOLE)
    for _ in range(draw(st.integers(0, 2))):
        place, spice = draw(st.integers(0, len(data) - 1)), draw(st.sampled_from(SPICE))
        data[place : place + draw(st.sampled_from((0, 0, 1, 2)))] = spice
    return bytes(data)


@given(mutated(), st.lists(st.integers(0, 60), max_size=6))
def test_what_h11_refuses_is_refused_and_what_is_taken_is_read_alike(data: bytes, cuts: list[int]) -> None:
    read = ours(data, cuts)
    assert read == ours(data, [])
    if read is not None and b" ;" not in data and b"\t;" not in data:
        assert read == theirs(data)


def test_a_blank_before_an_extension_is_let_through_although_h11_is_not_so_kind() -> None:
    """RFC 9112 section 7.1.1 lets a sender err so, and asks the recipient to take it."""
    assert ours(b"2 ;a\r\nhi\r\n0\r\n\r\n", []) == (b"hi", b"")
    assert ours(b"2 \r\nhi\r\n0\r\n\r\n", []) == (b"hi", b"")


def test_byte_by_byte() -> None:
    assert ours(WHOLE + b"next", list(range(len(WHOLE)))) == (b"hello, world 123", b"next")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhellooo\r\n0\r\n\r\n",
        b"-1\r\nx\r\n0\r\n\r\n",
        b"+1\r\nx\r\n0\r\n\r\n",
        b"0x1\r\nx\r\n0\r\n\r\n",
        b"1_0\r\nx\r\n0\r\n\r\n",
        b" 1\r\nx\r\n0\r\n\r\n",
        b"1;\0\r\nx\r\n0\r\n\r\n",
        b"1;a\rb\r\nx\r\n0\r\n\r\n",
        b"1000000000000000000000\r\n",
        b"1;" + b"a" * 1100 + b"\r\nx\r\n0\r\n\r\n",
        b"1" * 1100,
        b"0\r\n" + b"x: y\r\n" * 17 + b"\r\n",
        b"0\r\nx: " + b"y" * 1100 + b"\r\n\r\n",
        b"0\r\nnothing\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\nx: \0\r\n\r\n",
    ],
)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    chunked = ChunkedBody()
    with pytest.raises(ClientError):
        chunked.feed(data)


def test_a_packet_of_tiny_chunks_is_one_part() -> None:
    assert ChunkedBody().feed(b"1\r\na\r\n" * 1000) == b"a" * 1000


def test_trailers_are_dropped() -> None:
    assert ours(b"0\r\na: b\r\nc: d\r\n\r\nrest", []) == (b"", b"rest")
