"""The chunked transfer coding of a body, strictly: RFC 9112 section 7.1. Sans-IO."""

import re
from typing import Final

from chatvault.core.errors import ClientError

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t -~\x80-\xff]*)?\r\n")
_TRAILER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n")
_MAX_LINE: Final = 1024
_MAX_TRAILERS: Final = 16
_SIZES: Final = {b"%x" % size: size for size in range(1, 2048)}
"""How the size of a small chunk is mostly written."""


class ChunkedBody:
    """Feed it bytes; it gives the body's. `done` once the last chunk and its trailers are in; `rest` is what
    follows.
    """

    __slots__ = ("_between", "_buffer", "_left", "_trailers", "_where", "done", "rest")

    def __init__(self) -> None:
        self._between = True
        """Nothing of a next chunk is here yet."""
        self._buffer = b""
        self._left = 0
        self._where = "size"
        self._trailers = 0
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """What `data` holds of the body, in one piece: a body in chunks of two bytes is not to cost forty times its
        size. Raises ClientError (400). Trailers are checked and dropped."""
        part = self.one(data)
        if part is not None:
            return part
        parts = self.parts(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def one(self, data: bytes) -> bytes | None:
        """The body's bytes in `data` if it is one whole chunk, as an event of a stream mostly is, written the way it
        mostly is; None otherwise, and then nothing was taken."""
        if self._between:
            end = data.find(b"\r\n", 1, 5)
            size = _SIZES.get(data[:end])
            if size is not None and len(data) == end + size + 4 and data.endswith(b"\r\n"):
                return data[end + 2 : -2]
        return None

    def parts(self, data: bytes) -> list[bytes]:
        """As `feed`, chunk by chunk."""
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
                if len(data) - at > _MAX_LINE or (self._where == "border" and data[at:] != b"\r"):
                    raise _bad()
                break
            self._line(data[at : end + 1])
            at = end + 1
        if self.done:
            self.rest = data[at:]
        elif at < len(data):
            self._buffer = data[at:]
        self._between = self._where == "size" and not self._buffer
        return parts

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
