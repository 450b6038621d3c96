"""The framing: read as AWS's own library reads it, however it is cut, and refused where anything is wrong with it."""

import struct
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from chatvault.fake.frames import event, exception, frame
from chatvault.wire.bedrock.event_stream import MAX_HEADERS, MAX_PAYLOAD, Message, MessageReader
from chatvault.wire.hub.dialect import StreamBroken

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=40)
HEADERS = st.dictionaries(NAMES, st.text(max_size=60), max_size=6)


def framed(headers: bytes, payload: bytes = b"{}") -> bytes:
    """A message whose headers are these bytes, with the checksums that it should have."""
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    whole = lengths + struct.pack(">I", crc32(lengths)) + headers + payload
    return whole + struct.pack(">I", crc32(whole))


def read(data: bytes, size: int | None = None) -> list[Message]:
    reader, size = MessageReader(), size or max(len(data), 1)
    found = [each for at in range(0, len(data), size) for each in reader.feed(data[at : at + size])]
    assert not reader.partial
    return found


def theirs(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(dict(each.headers), each.payload) for each in buffer]


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=300)), min_size=1, max_size=5), st.integers(1, 500))
def test_messages_are_read_as_aws_reads_them(messages: list[tuple[dict[str, str], bytes]], size: int) -> None:
    data = b"".join(frame(headers, payload) for headers, payload in messages)
    found = [(dict(each.headers), each.payload) for each in read(data, size)]
    assert found == messages == theirs(data)


@pytest.mark.parametrize(
    ("kind", "value", "meant"),
    [
        (0, b"", True),
        (1, b"", False),
        (2, b"\xff", -1),
        (3, b"\x01\x00", 256),
        (4, b"\xff\xff\xff\xfe", -2),
        (5, b"\0\0\0\0\0\0\1\0", 256),
        (6, b"\0\3a\0b", b"a\0b"),
        (7, "\0\3a\u00df".encode(), "aß"),
        (8, b"\0\0\0\0\0\0\0\7", 7),
        (9, bytes(range(16)), bytes(range(16))),
    ],
)
def test_every_type_of_header(kind: int, value: bytes, meant: object) -> None:
    data = framed(b"\1x" + bytes((kind,)) + value)
    (message,) = read(data, 1)
    assert message.headers == {"x": meant}
    assert message.text("x") == (meant if isinstance(meant, str) else "")
    expected = theirs(data)[0][0]["x"]
    assert expected == meant or kind == 9  # the library makes a UUID of it


def test_every_bit_counts() -> None:
    data = event("chunk", b'{"bytes":""}')
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1
        reader = MessageReader()
        with pytest.raises(ValueError, match="event stream"):
            reader.feed(bytes(broken))


@pytest.mark.parametrize(
    ("total", "headers"),
    [
        (15, 0),
        (16, 1),
        (16 + MAX_PAYLOAD + 1, 0),
        (16 + MAX_HEADERS + 1, MAX_HEADERS + 1),
        (0, 0),
        (2**32 - 1, 0),
    ],
)
def test_lengths_that_no_message_has_are_refused_before_it_comes(total: int, headers: int) -> None:
    lengths = struct.pack(">II", total, headers)
    with pytest.raises(ValueError, match="lengths"):
        MessageReader().feed(lengths + struct.pack(">I", crc32(lengths)))


@pytest.mark.parametrize(
    "headers",
    [
        b"\1x\x0a",  # an unknown type
        b"\1x",  # no type
        b"\5x\7\0\1a",  # a name that is longer than all of them
        b"\1x\7\0\5a",  # a value that is
        b"\1x\4\0",  # a number that is
        b"\1\xff\7\0\1a",  # a name that is no text
        b"\1x\7\0\1\xff",  # a value that is none
        b"\0\7\0\1a",  # no name
        b"\1x\0\1x\1",  # the same name twice
    ],
)
def test_headers_that_cannot_be_read_are_refused(headers: bytes) -> None:
    for padded in (headers, b"\1y\7\2\x58" + b"a" * 600 + headers):  # longer ones are not remembered
        with pytest.raises(ValueError, match="header"):
            MessageReader().feed(framed(padded))


def test_a_stream_that_was_one_is_broken_then() -> None:
    one = event("a", b"1")
    for reader, data in ((MessageReader(), one + one[:-1] + b"x"), (MessageReader(), one + b"x" * 16)):
        with pytest.raises(StreamBroken):
            reader.feed(data)
    reader = MessageReader()
    assert reader.feed(one)
    with pytest.raises(StreamBroken):
        reader.feed(b"x" * 16)
    with pytest.raises(ValueError, match="lengths") as refused:
        MessageReader().feed(b"x" * 16)
    assert not isinstance(refused.value, StreamBroken)


def test_what_has_begun_is_known_to_be_partial() -> None:
    data = exception("throttlingException", b"{}")
    for at in range(1, len(data)):
        reader = MessageReader()
        assert reader.feed(data[:at]) == []
        assert reader.partial
        assert len(reader.feed(data[at:])) == 1
        assert not reader.partial


def test_messages_before_a_partial_one_are_told() -> None:
    reader, one = MessageReader(), event("a", b"1")
    assert [each.payload for each in reader.feed(one + one + one[:20])] == [b"1", b"1"]
    assert [each.payload for each in reader.feed(one[20:] + one)] == [b"1", b"1"]
