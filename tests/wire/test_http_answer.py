"""Heads of answers: what is read of them, and what is refused. Whole answers, cut and mutated, are compared with h11 in
`tests/net/test_fuzz.py`."""

import pytest

from chatvault.wire.http_answer import BadAnswer, parse_answer


def head(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((start, *lines, b"", b""))


def test_names_are_lowered_and_values_stripped_in_the_order_they_came() -> None:
    answer = parse_answer(head(b"X-B:\t b \xe9 ", b"x-a:", b"X-B: again", b"Content-Length: 012"))
    assert answer.status == 200
    assert answer.headers == [
        (b"x-b", b"b \xe9"),
        (b"x-a", b""),
        (b"x-b", b"again"),
        (b"content-length", b"012"),
    ]
    assert (answer.length, answer.chunked, answer.keep_alive) == (12, False, True)


@pytest.mark.parametrize(
    ("lines", "start", "framing"),
    [
        ((), b"HTTP/1.1 200 OK", (None, False, False)),
        ((b"content-length: 0",), b"HTTP/1.1 200", (0, False, True)),
        ((b"content-length: 3",), b"HTTP/1.0 200 ", (3, False, False)),
        ((b"content-length: 3", b"connection: Keep-Alive"), b"HTTP/1.0 200 ", (3, False, True)),
        ((b"Transfer-Encoding: Chunked",), b"HTTP/1.1 200 OK", (None, True, True)),
        ((b"transfer-encoding: chunked", b"connection: x, Close"), b"HTTP/1.1 200 OK", (None, True, False)),
        (
            (b"content-length: 1", b"connection: close", b"connection: keep-alive"),
            b"HTTP/1.1 200 OK",
            (1, False, False),
        ),
        ((b"content-length: 1", b"connection: xclose"), b"HTTP/1.1 200 OK", (1, False, True)),
        ((b"content-length: 7",), b"HTTP/1.1 304 Not Modified", (0, False, True)),
        ((b"transfer-encoding: chunked",), b"HTTP/1.1 204 No Content", (0, False, True)),
        ((), b"HTTP/1.1 103 Early Hints", (0, False, True)),
    ],
)
def test_where_the_body_ends_and_whether_another_answer_may_follow(
    lines: tuple[bytes, ...], start: bytes, framing: tuple[int | None, bool, bool]
) -> None:
    answer = parse_answer(head(*lines, start=start))
    assert (answer.length, answer.chunked, answer.keep_alive) == framing


@pytest.mark.parametrize(
    "data",
    [
        head(b"x : a"),
        head(b" x: a"),
        head(b"x: a", b" folded"),
        head(b"x: a\0b"),
        head(b"x: a\rb"),
        head(b"x: a\nb: c"),
        head(b"x: \x7f"),
        head(b"x"),
        head(b": a"),
        head(b"content-length: 1", b"content-length: 1"),
        head(b"content-length: 1, 1"),
        head(b"content-length: -1"),
        head(b"content-length: +1"),
        head(b"content-length: 1 1"),
        head(b"content-length: "),
        head(b"content-length: 0x1"),
        head(b"content-length: 1234567890123456"),
        head(b"transfer-encoding: gzip, chunked"),
        head(b"transfer-encoding: chunked", b"transfer-encoding: chunked"),
        head(b"transfer-encoding: identity"),
        head(b"transfer-encoding: chunked", b"content-length: 1"),
        head(b"content-length: 1", start=b"HTTP/1.1 103 Hints"),
        head(b"transfer-encoding: chunked", start=b"HTTP/1.1 100 Continue"),
        head(start=b"HTTP/1.1 101 Switching"),
        head(start=b"HTTP/1.1 600 Odd"),
        head(start=b"HTTP/1.1 099 Odd"),
        head(start=b"HTTP/1.1 20 Odd"),
        head(start=b"HTTP/1.1  200 OK"),
        head(start=b"HTTP/1.1 200OK"),
        head(start=b"HTTP/1.2 200 OK"),
        head(start=b"HTTP/2.0 200 OK"),
        head(start=b"http/1.1 200 OK"),
        head(start=b"\r\nHTTP/1.1 200 OK"),
        head(start=b"HTTP/1.1 200 O\nK"),
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_what_others_might_read_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_answer(data)
