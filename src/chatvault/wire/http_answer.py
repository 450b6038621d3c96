"""The head of an answer, by the letter of RFC 9110 and 9112: what another reader might understand otherwise is
refused. One regular expression is the grammar of a whole head, as in `http_head.py`.
"""

import re
from typing import Final

import msgspec

from chatvault.core.seam import Header

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEAD: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n((?:"
    + _TOKEN
    + rb":[\t -~\x80-\xff]*\r\n)*)\r\n"
)
_DIGITS: Final = re.compile(rb"[0-9]{1,15}")
_NO_BODY: Final = frozenset((204, 304))
BEGINNING: Final = b"HTTP/1."


class BadAnswer(Exception):
    """What came is not an answer in HTTP/1.1. `detail` is for the record."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class AnswerHead(msgspec.Struct, frozen=True, gc=False):
    """`length` is the body's in bytes, None where it is not announced: then it is `chunked`, or goes on until the
    connection ends. A body that cannot be (status 204, 304, 1xx) has length 0. `keep_alive`: another answer may
    follow over the connection."""

    status: int
    headers: list[Header]
    length: int | None
    chunked: bool
    keep_alive: bool


def parse_answer(data: bytes) -> AnswerHead:
    """The head in `data`, which ends with its empty line. Raises BadAnswer."""
    match = _HEAD.fullmatch(data)
    if match is None:
        raise BadAnswer(f"the answer's head is not HTTP/1.1 as RFC 9112 has it: {data[:40]!r}")
    minor, digits, block = match.groups()
    status, keep_alive = int(digits), minor == b"1"
    headers: list[Header] = []
    length: int | None = None
    chunked, options = False, b""
    if block:
        for line in block[:-2].split(b"\r\n"):
            name, _, value = line.partition(b":")
            name, value = name.lower(), value.strip(b" \t")
            headers.append((name, value))
            if name == b"content-length":
                if length is not None or _DIGITS.fullmatch(value) is None:
                    raise BadAnswer(f"content-length {value[:40]!r}, or more than one")
                length = int(value)
            elif name == b"transfer-encoding":
                if chunked or value.lower() != b"chunked":
                    raise BadAnswer(f"transfer-encoding {value[:40]!r}")
                chunked = True
            elif name == b"connection":
                options += value.lower() + b","
    if options:
        named = [each.strip() for each in options.split(b",")]
        keep_alive = b"close" not in named and (keep_alive or b"keep-alive" in named)
    if chunked and length is not None:
        raise BadAnswer("content-length beside transfer-encoding")
    if status == 101 or (status < 200 and (length or chunked)):
        raise BadAnswer(f"status {status}, which was not asked for, or an interim answer with a body")
    if status in _NO_BODY or status < 200:
        return AnswerHead(status, headers, 0, False, keep_alive)
    return AnswerHead(status, headers, length, chunked, keep_alive and (chunked or length is not None))
