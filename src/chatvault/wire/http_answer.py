"""The head of an answer, by the letter of RFC 9110 and 9112: what another reader might understand otherwise is
refused. One regular expression is the grammar of a whole head, as in `http_head.py`.
"""

import re
from typing import Final

from chatvault.core.seam import Head, Header

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEAD: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n((?:"
    + _TOKEN
    + rb":[\t -~\x80-\xff]*\r\n)*)\r\n"
)
_FIELD: Final = re.compile(rb"([^:]+):([^\r]*)\r\n")
"""Takes a block apart that the grammar has let through."""
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))
_DIGITS: Final = re.compile(rb"[0-9]{1,15}")
_NO_BODY: Final = frozenset((204, 304))
BEGINNING: Final = b"HTTP/1."


class BadAnswer(Exception):
    """What came is not an answer in HTTP/1.1. `detail` is for the record."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class AnswerHead(Head, frozen=True, gc=False):
    """Where no `length` is announced the body is `chunked`, or goes on until the connection ends. A body that cannot be
    (status 204, 304, 1xx) has length 0. `keep_alive`: another answer may follow over the connection."""

    chunked: bool = False
    keep_alive: bool = False


def parse_answer(data: bytes) -> AnswerHead:
    """The head in `data`, which ends with its empty line. Raises BadAnswer."""
    match = _HEAD.fullmatch(data)
    if match is None:
        raise BadAnswer(f"the answer's head is not HTTP/1.1 as RFC 9112 has it: {data[:40]!r}")
    minor, digits, block = match.groups()
    headers = [(name.lower(), value.strip(b" \t")) for name, value in _FIELD.findall(block)]
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = _once(headers)
    status, length, chunked = int(digits), fields.get(b"content-length"), b"transfer-encoding" in fields
    if length is not None and (chunked or _DIGITS.fullmatch(length) is None):
        raise BadAnswer(f"content-length {length[:40]!r}, or transfer-encoding beside it")
    if chunked and fields[b"transfer-encoding"].lower() != b"chunked":
        raise BadAnswer(f"transfer-encoding {fields[b'transfer-encoding'][:40]!r}")
    size, keep_alive = int(length) if length is not None else None, minor == b"1"
    if b"connection" in fields:
        options = [each.strip() for each in fields[b"connection"].lower().split(b",")]
        keep_alive = b"close" not in options and (keep_alive or b"keep-alive" in options)
    if status >= 200 and status not in _NO_BODY:
        keep_alive = keep_alive and (chunked or size is not None)
        return AnswerHead(status, headers, size, chunked=chunked, keep_alive=keep_alive)
    if status == 101 or (status < 200 and (size or chunked)):
        raise BadAnswer(f"status {status}, which was not asked for, or an interim answer with a body")
    return AnswerHead(status, headers, 0, keep_alive=keep_alive)


def _once(headers: list[Header]) -> dict[bytes, bytes]:
    """The fields where one occurs more than once: a list, but not where that says where the body ends."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in fields:
            if name in _FRAMING:
                raise BadAnswer(f"the field {name.decode()} occurs twice")
            value = fields[name] + b", " + value
        fields[name] = value
    return fields
