"""The head of a request, by the letter of RFC 9110 and 9112: what another reader might understand otherwise
is refused.

One regular expression is the grammar of a whole head. What it does not match is a bad request, so obsolete
folding, a bare CR or LF, NUL, blanks before a colon, HTTP/0.9 and 2.0 never get further. What remains to
check is what a grammar cannot say: see `body_length`, `_split_target`.
"""

import re
from functools import lru_cache
from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.core.seam import Header

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEAD: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ([!-~]+) HTTP/1\.([01])\r\n((?:"
    + _TOKEN
    + rb":[\t -~\x80-\xff]*\r\n)*)\r\n"
)
_OTHER_METHOD: Final = re.compile(_TOKEN + rb" [!-~]+ HTTP/1\.[01]\r\n")
_HOST: Final = re.compile(rb"(?:[0-9A-Za-z\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_PATH: Final = re.compile(rb"(?:/[0-9A-Za-z\-._~%!$&'()*+,;=:@]*)+")
_UNSAFE_PATH: Final = re.compile(
    rb"//|/\.\.?(?:[/;]|$)|%(?:2[eEfF]|5[cC]|0[0-9a-fA-F]|1[0-9a-fA-F]|7[fF]|(?![0-9a-fA-F]{2}))"
)
_MODELS: Final = (b"/v1/models/", b"/v1beta/models/")
"""Below these stands a model's name, in which libraries write a slash as `%2F`."""
_SLASH: Final = re.compile(rb"%2[fF]")
_REMEMBERED: Final = 256
"""Bytes of a target or host whose check may be remembered."""
_MOST_DIGITS: Final = 15
_DIGITS: Final = re.compile(rb"[0-9]{1,15}")
_LENGTH_LINE: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_KEPT: Final = 4 << 10
"""Bytes of a head that is kept for comparison."""


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """`fields` holds each field name once, in lower case, with all its values joined by commas; `headers` all
    fields as they came.
    """

    method: bytes
    target: bytes
    path: bytes
    query: bytes
    keep_alive: bool
    http10: bool
    headers: list[Header]
    fields: dict[bytes, bytes]


class HeadReader:
    """Reads the heads of one connection. A client mostly sends the same head again, but for the length of its
    body; then that alone is read anew, and the rest is what it was, byte for byte."""

    __slots__ = ("_after", "_before", "_last")

    def __init__(self) -> None:
        self._last: RequestHead | None = None
        self._before = self._after = b""

    def read(self, data: bytes) -> tuple[RequestHead, int | None]:
        """The head, as `parse_head`, and the length of the body in bytes, None when it is chunked. The same head is the
        same object again; its own field `content-length` is then that of the first request."""
        last, before, after = self._last, self._before, self._after
        if last is not None and data.startswith(before) and data.endswith(after):
            digits = data[len(before) : len(data) - len(after)]
            whole = len(before) + len(digits) + len(after) == len(data)
            if whole and digits.isdigit() and len(digits) <= _MOST_DIGITS:
                return last, int(digits)
        head = parse_head(data)
        length = body_length(head)
        self._last = None
        line = _LENGTH_LINE.search(data) if len(data) <= _KEPT else None
        if line is not None:
            self._last = head
            self._before, self._after = data[: line.start(1)], data[line.end(1) :]
        return head, length


def parse_head(data: bytes) -> RequestHead:
    """The head in `data`, which ends with its empty line. Raises ClientError (400, or 501 for a method that
    is not ours).
    """
    match = _HEAD.fullmatch(data)
    if match is None:
        if _OTHER_METHOD.match(data) and not data.startswith(
            (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")
        ):
            raise ClientError(
                "This method is not served here. Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.",
                code="method_not_implemented",
                status=501,
            )
        raise _bad("the request's head is not HTTP/1.1 as RFC 9112 has it")
    method, target, minor, block = match.groups()
    headers: list[Header] = []
    fields: dict[bytes, bytes] = {}
    if block:
        for line in block[:-2].split(b"\r\n"):
            name, _, value = line.partition(b":")
            name, value = name.lower(), value.strip(b" \t")
            headers.append((name, value))
            fields[name] = value
    if len(fields) != len(headers):
        fields = _joined(headers)
    http10 = minor == b"0"
    if target == b"*" and method == b"OPTIONS":
        path, query = target, b""
    else:
        path, query = (_split_known_target if len(target) <= _REMEMBERED else _split_target)(target)
        if len(path) + len(query) != len(target):
            target = path + query  # nobody behind this sees the other spelling
    host = fields.get(b"host")
    if host is not None:
        (_check_known_host if len(host) <= _REMEMBERED else _check_host)(host)
    elif not http10:
        raise _bad("the field host is missing")
    connection = fields.get(b"connection")
    if connection is None:
        keep_alive = not http10
    else:
        connection = connection.lower()
        keep_alive = b"keep-alive" in connection if http10 else b"close" not in connection
    head = RequestHead(method, target, path, query, keep_alive, http10, headers, fields)
    body_length(head)
    return head


_ONCE: Final = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"authorization",
        b"x-api-key",
        b"expect",
        b"content-encoding",
        b"api-key",
        b"x-goog-api-key",
        b"proxy-authorization",
    )
)


def _joined(headers: list[Header]) -> dict[bytes, bytes]:
    """The fields where one occurs more than once: a list, as RFC 9110 section 5.3 has it, or refused."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in fields:
            if name in _ONCE:
                raise _bad(f"the field {name.decode()} occurs twice")
            value = fields[name] + b", " + value
        fields[name] = value
    return fields


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query (with its question mark), checked. In a model's name, an encoded slash is a slash."""
    path, mark, query = target.partition(b"?")
    if b"%" in path and path.startswith(_MODELS):
        path = _SLASH.sub(b"/", path)
    if not path.startswith(b"/"):
        raise _bad("the target must be a path that begins with a slash")
    if _PATH.fullmatch(path) is None or _UNSAFE_PATH.search(path) is not None:
        raise _bad(
            "the path holds an empty or dot segment, an encoded slash, dot or control character, "
            "or a character no path may hold"
        )
    if b"#" in query:
        raise _bad("the target holds a fragment")
    return path, mark + query


def _check_host(host: bytes) -> None:
    if _HOST.fullmatch(host) is None:
        raise _bad("the field host is not a host name")


# Clients ask for few paths of few hosts. A long one is not kept, since it is the client's choice.
_split_known_target: Final = lru_cache(maxsize=512)(_split_target)
_check_known_host: Final = lru_cache(maxsize=64)(_check_host)


def body_length(head: RequestHead) -> int | None:
    """The length of the body that a head announces, None when it is chunked. Raises ClientError."""
    fields = head.fields
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None:
        if length is not None or head.http10 or coding.lower() != b"chunked":
            raise _bad(
                "the body's framing is ambiguous: send content-length, "
                "or transfer-encoding: chunked alone under HTTP/1.1"
            )
        return None
    if length is None:
        return 0
    if _DIGITS.fullmatch(length) is None:
        raise _bad("the field content-length is not a number")
    return int(length)


def _bad(what: str) -> ClientError:
    return ClientError(f"Bad request: {what}.", code="bad_request")
