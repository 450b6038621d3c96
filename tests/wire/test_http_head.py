"""Request heads by grammar: against h11, and the shapes that smuggle."""

import re

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.errors import ClientError
from chatvault.wire.http_head import RequestHead, body_length, parse_head

PLAIN = b"POST /v1/chat?a=b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\nX-A:  b \t\r\n\r\n"
SEEDS = [
    PLAIN,
    b"GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n",
    b"GET /v1/models/a%20b HTTP/1.0\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
    b"DELETE /v1/x HTTP/1.0\r\nhost: h\r\nconnection: Keep-Alive\r\n\r\n",
]
SPICE = [
    *(bytes([byte]) for byte in b'\0\r\n\t :;,\x01\x0b\x7f\x80\xff0azZ/%?#"<>\\^`{|}.*'),
    b"\r\n",
    b"\r\n ",
    b"\n\n",
    b"host: other\r\n",
    b"Content-Length: 3\r\n",
    b"content-length: 4\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: identity\r\n",
    b"connection: close\r\n",
    b"accept: a\r\naccept: b\r\n",
    b" HTTP/1.1\r\n",
    b"HTTP/2.0",
    b"HTTP/0.9",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data) - 1))
        spice = draw(st.sampled_from(SPICE))
        data[place : place + draw(st.sampled_from((0, 0, 1, len(spice))))] = spice
    head, _, _ = bytes(data).partition(b"\r\n\r\n")
    return head + b"\r\n\r\n"


def ours(data: bytes) -> RequestHead | None:
    try:
        return parse_head(data)
    except ClientError:
        return None


def theirs(data: bytes) -> tuple[h11.Request, h11.Connection] | None:
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(data)
    try:
        event = peer.next_event()
    except h11.RemoteProtocolError:
        return None
    return (event, peer) if isinstance(event, h11.Request) else None


def compare(data: bytes) -> None:
    head, read = ours(data), theirs(data)
    if head is None:
        return
    assert read is not None, "h11 refuses what we take"
    request, peer = read
    assert head.method == request.method
    assert head.target == request.target
    assert head.path + head.query == request.target
    assert head.http10 is (request.http_version == b"1.0")
    assert head.headers == [(bytes(name), bytes(value)) for name, value in request.headers]
    for name, value in head.fields.items():
        assert value == b", ".join(v for n, v in head.headers if n == name)
    length = body_length(head)
    if length is None:
        peer.receive_data(b"2\r\nhi\r\n0\r\n\r\n")
    else:
        peer.receive_data(b"x" * min(length, 100) + b"N")
    body = b""
    while isinstance(event := peer.next_event(), h11.Data):
        body += event.data
    if length is None:
        assert body == b"hi"
    elif length < 100:
        assert body == b"x" * length
        assert isinstance(event, h11.EndOfMessage)
    closes = peer.their_state is h11.MUST_CLOSE or peer.our_state is h11.MUST_CLOSE
    if length is None or length < 100:
        # An old client's keep-alive is granted here; h11 never does.
        assert head.keep_alive is (b"keep-alive" in head.fields.get(b"connection", b"").lower()) or not closes
        assert not (head.keep_alive and closes and not head.http10)


@given(mutated())
def test_what_h11_refuses_is_refused_and_what_is_taken_is_read_alike(data: bytes) -> None:
    compare(data)


@pytest.mark.parametrize("data", SEEDS)
def test_what_is_in_order_is_taken(data: bytes) -> None:
    assert ours(data) is not None
    compare(data)


def test_a_plain_head() -> None:
    head = parse_head(PLAIN)
    assert (head.method, head.path, head.query, head.target) == (
        b"POST",
        b"/v1/chat",
        b"?a=b",
        b"/v1/chat?a=b",
    )
    assert (body_length(head), head.keep_alive, head.http10) == (3, True, False)
    assert head.headers == [(b"host", b"h:1"), (b"content-length", b"3"), (b"x-a", b"b")]


def with_line(line: bytes) -> bytes:
    return b"POST /v1/x HTTP/1.1\r\nhost: h\r\n" + line + b"\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        # Framing that two readers may take differently. h11 lets the first pass, and reads it as chunked.
        with_line(b"content-length: 3\r\ntransfer-encoding: chunked"),
        with_line(b"content-length: 3\r\ncontent-length: 3"),
        with_line(b"content-length: 3\r\ncontent-length: 4"),
        with_line(b"content-length: 3, 3"),
        with_line(b"content-length: +3"),
        with_line(b"content-length: -3"),
        with_line(b"content-length: 0x3"),
        with_line(b"content-length: 3 3"),
        with_line(b"content-length: 3_0"),
        with_line(b"content-length: \xb2"),
        with_line(b"content-length:"),
        with_line(b"content-length: 9999999999999999999"),
        with_line(b"transfer-encoding: identity"),
        with_line(b"transfer-encoding: gzip, chunked"),
        with_line(b"transfer-encoding: chunked, chunked"),
        with_line(b"transfer-encoding: xchunked"),
        with_line(b"transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        with_line(b"transfer-encoding: \x0bchunked"),
        with_line(b"transfer-encoding : chunked"),
        b"POST /v1/x HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n",
        # Lines.
        with_line(b"x: a\r\n folded"),
        with_line(b" x: a"),
        with_line(b"x: a\rb"),
        with_line(b"x: a\nb: c"),
        with_line(b"x: a\0b"),
        with_line(b"x: a\x7fb"),
        with_line(b"x\0: a"),
        with_line(b"x y: a"),
        with_line(b": a"),
        with_line(b"nothing"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/2.0"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/0.9"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.2"),
        PLAIN.replace(b"HTTP/1.1", b"http/1.1"),
        PLAIN.replace(b"HTTP/1.1", b"RTSP/1.0"),
        PLAIN.replace(b" HTTP/1.1", b""),
        PLAIN.replace(b" HTTP", b"  HTTP"),
        PLAIN.replace(b"POST ", b"POST\t"),
        b" " + PLAIN,
        b"PRI * HTTP/2.0\r\n\r\n",
        # Hosts.
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost:\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a@b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a:99999999\r\n\r\n",
        # Fields that must not be two.
        with_line(b"authorization: Bearer a\r\nAuthorization: Bearer b"),
        with_line(b"content-type: application/json\r\ncontent-type: multipart/form-data"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        parse_head(data)
    assert (caught.value.http_status, caught.value.code) == (400, "bad_request")


@pytest.mark.parametrize(
    "target",
    [
        b"http://h/v1/x",
        b"//h/v1/x",
        b"v1/x",
        b"*",
        b"/v1/../x",
        b"/v1/./x",
        b"/v1/x/..",
        b"/..;/x",
        b"/v1/%2e%2e/x",
        b"/v1/%2E/x",
        b"/v1%2fx",
        b"/v1%2Fx",
        b"/v1\\x",
        b"/v1%5cx",
        b"/v1//x",
        b"/v1/x#y",
        b"/v1/x?a#y",
        b"/v1/%00",
        b"/v1/%0d%0a",
        b"/v1/%7f",
        b"/v1/%",
        b"/v1/%2",
        b"/v1/%zz",
        b'/v1/"x"',
        b"/v1/<x>",
        b"/v1/{x}",
        b"/v1/\xe9",
    ],
)
def test_paths_that_could_lead_elsewhere_are_refused(target: bytes) -> None:
    with pytest.raises(ClientError):
        parse_head(b"POST " + target + b" HTTP/1.1\r\nhost: h\r\n\r\n")


@pytest.mark.parametrize(
    "target",
    [b"/", b"/v1/models/ft:gpt-4o:org::id", b"/v1/models/a%20b~c", b"/v1/a...b", b"/x;y", b"/?q=%00//../"],
)
def test_paths_that_are_in_order(target: bytes) -> None:
    assert parse_head(b"GET " + target + b" HTTP/1.1\r\nhost: h\r\n\r\n").target == target


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"get", b"PROPFIND", b"POSTS"])
def test_methods_that_are_not_served(method: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        parse_head(method + b" /x HTTP/1.1\r\nhost: h\r\n\r\n")
    assert (caught.value.http_status, caught.value.code) == (501, "method_not_implemented")


@pytest.mark.parametrize(
    ("data", "keep"),
    [
        (with_line(b"connection: close"), False),
        (with_line(b"connection: Close, x"), False),
        (with_line(b"connection: keep-alive\r\nconnection: close"), False),
        (with_line(b"connection: close\r\nconnection: keep-alive"), False),
        (with_line(b"connection: x"), True),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", True),
    ],
)
def test_keeping_alive(data: bytes, keep: bool) -> None:
    assert parse_head(data).keep_alive is keep


def test_a_field_that_may_be_a_list_is_joined() -> None:
    head = parse_head(with_line(b"Accept: a\r\nx: 1\r\nACCEPT: b"))
    assert head.fields[b"accept"] == b"a, b"
    assert [value for name, value in head.headers if name == b"accept"] == [b"a", b"b"]


def test_a_large_head_that_fails_at_its_end_fails_fast() -> None:
    data = b"POST /" + b"a/" * 10_000 + b" HTTP/1.1\r\nhost: h\r\n" + b"x: " + b"y" * 40_000 + b"\0\r\n\r\n"
    with pytest.raises(ClientError):
        parse_head(data)
    with pytest.raises(ClientError):
        parse_head(b"POST " + b"/a" * 15_000 + b'" HTTP/1.1\r\nhost: h\r\n' + b"x: y\r\n" * 5_000 + b"\r\n")


def test_every_refusal_says_what_to_mend() -> None:
    with pytest.raises(
        ClientError, match=re.escape("send content-length, or transfer-encoding: chunked alone")
    ):
        parse_head(with_line(b"content-length: 3\r\ntransfer-encoding: chunked"))


@pytest.mark.parametrize("prefix", [b"/v1/models/", b"/v1beta/models/"])
def test_an_encoded_slash_in_a_models_name_is_a_slash(prefix: bytes) -> None:
    """The libraries of OpenAI and Anthropic ask for `models/openai%2Fgpt-4o` (openai 3.57, anthropic 2.14, 2026-11)."""
    for slash in (b"%2F", b"%2f"):
        head = parse_head(b"GET %sa%sb?x=%%2F HTTP/1.1\r\nhost: x\r\n\r\n" % (prefix, slash))
        assert (head.path, head.query) == (prefix + b"a/b", b"?x=%2F")
        assert head.target == prefix + b"a/b?x=%2F"
