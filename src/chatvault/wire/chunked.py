"""The chunked transfer coding of a request body, strictly: RFC 9112 section 7.1. Sans-IO."""

import re
from typing import Final

from chatvault.core.errors import ClientError

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t -~\x80-\xff]*)?\r\n")
_TRAILER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n")
_MAX_LINE: Final = 1024
_MAX_TRAILERS: Final = 16


class ChunkedBody:
    """Feed it bytes; it yields the body's parts. `done` once the last chunk and its trailers are in; `rest`
    is what follows.
    """

    __slots__ = ("_buffer", "_left", "_trailers", "_where", "done", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._where = "size"
        self._trailers = 0
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The parts of the body in `data`. Raises ClientError (400). Trailers are checked and dropped."""
        data, at, parts = self._buffer + data, 0, list[bytes]()
        self._buffer = b""
        while at < len(data) and not self.done:
            if self._where == "data":
                part = data[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                if not self._left:
                    self._where = "border"
                continue
            end = data.find(b"\n", at)
            if end < 0:
                if len(data) - at > _MAX_LINE:
                    raise _bad()
                break
            self._line(data[at : end + 1])
            at = end + 1
        if self.done:
            self.rest = data[at:]
        elif at < len(data):
            self._buffer = data[at:]
        # One part a packet: a body in chunks of two bytes is not to cost forty times its size.
        return parts if len(parts) < 2 else [b"".join(parts)]

    def _line(self, line: bytes) -> None:
        if self._where == "border":
            if line != b"\r\n":
                raise _bad()
            self._where = "size"
        elif self._where == "size":
            match = _SIZE.fullmatch(line)
            if match is None or len(line) > _MAX_LINE:
                raise _bad()
            self._left = int(match[1], 16)
            self._where = "data" if self._left else "trailers"
        elif line == b"\r\n":
            self.done = True
        else:
            self._trailers += 1
            if self._trailers > _MAX_TRAILERS or len(line) > _MAX_LINE or _TRAILER.fullmatch(line) is None:
                raise _bad()


def _bad() -> ClientError:
    return ClientError("Bad request: the chunked body is malformed.", code="bad_request")
