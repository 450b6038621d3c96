"""Heads of one connection, read one after another: the same as each read alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.errors import ClientError
from chatvault.wire.http_head import HeadReader, RequestHead, body_length, parse_head

LINES = (
    b"Host: a",
    b"host: b",
    b"Content-Length: 12",
    b"content-length:7",
    b"Content-Length:  0012 ",
    b"Content-Length: 1x",
    b"Content-Length: -1",
    b"Content-Length: 1, 1",
    b"X-Content-Length: 9",
    b"X: content-length: 3",
    b"Transfer-Encoding: chunked",
    b"Connection: close",
    b"Authorization: Bearer x",
)


def read(reader: HeadReader, data: bytes) -> object:
    try:
        return told(*reader.read(data))
    except ClientError as error:
        return error.code, error.message


def alone(data: bytes) -> object:
    try:
        head = parse_head(data)
        return told(head, body_length(head))
    except ClientError as error:
        return error.code, error.message


def told(head: RequestHead, length: int | None) -> object:
    fields = {name: value for name, value in head.fields.items() if name != b"content-length"}
    return head.method, head.target, head.keep_alive, head.http10, fields, length


@given(
    st.lists(
        st.tuples(
            st.sampled_from((b"GET /a", b"POST /a", b"POST /b?x=1")),
            st.lists(st.sampled_from(LINES), max_size=4),
        ),
        max_size=6,
    )
)
def test_what_came_before_changes_nothing(heads: list[tuple[bytes, list[bytes]]]) -> None:
    reader = HeadReader()
    for start, lines in heads:
        data = b"\r\n".join((start + b" HTTP/1.1", *lines, b"", b""))
        assert read(reader, data) == alone(data)


def test_only_the_length_is_read_anew() -> None:
    reader = HeadReader()
    first, _ = reader.read(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nX: y\r\n\r\n")
    again, length = reader.read(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4096\r\nX: y\r\n\r\n")
    assert length == 4096
    assert again is first
    other, length = reader.read(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nX: z\r\n\r\n")
    assert (other.fields[b"x"], length) == (b"z", 1)


@pytest.mark.parametrize("digits", [b"", b"+1", b"1 2", b"1\r\nContent-Length: 2", b"9" * 16, b"\xb2"])
def test_a_bad_length_is_refused_behind_a_good_one(digits: bytes) -> None:
    reader, head = HeadReader(), b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\n"
    reader.read(head % b"1")
    with pytest.raises(ClientError):
        reader.read(head % digits)
