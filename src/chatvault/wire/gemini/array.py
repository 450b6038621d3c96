"""Gemini's streams without `alt=sse`: one JSON array whose elements come one by one. Sans-IO, with the
interface of `sse.EventSplitter`.
"""

import json
import re
from typing import Final

_SIGNS: Final = re.compile(rb'[\[\]{}"\\]')
_decode = json.JSONDecoder().raw_decode


class ArraySplitter:
    """Bytes in, whole elements out, with what stands between them. `ended`: the bracket that closes the
    array was there.

    An element longer than `max_event` bytes is not kept: `overflowed` becomes true, and what there is of it
    is in `partial`.
    """

    __slots__ = ("_at", "_depth", "_escaped", "_max", "_quoted", "end", "ended", "overflowed", "partial")

    def __init__(self, max_event: int = 8 << 20) -> None:
        self._max = max_event
        self.end = b""
        self._depth = 0
        self._at = 0
        self._quoted = False
        self._escaped = -1
        self.partial = bytearray()
        self.overflowed = False
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        partial = self.partial
        if not partial and self._at:
            # What there was of an element that is too long was taken out.
            self._escaped = 0 if self._escaped == self._at else -1
            self._at = 0
        partial += data
        end = self._scan()
        if end:
            self.overflowed = False
            whole = bytes(partial[:end])
            del partial[:end]
            self._at -= end
            self._escaped -= end
            return whole
        if len(partial) > self._max:
            self.overflowed = True
        return b""

    def _scan(self) -> int:
        """Behind the last element that is whole, or behind the array's end."""
        partial, end = self.partial, 0
        for match in _SIGNS.finditer(partial, self._at):
            at = match.start()
            if at == self._escaped:
                continue
            sign = partial[at]
            if self._quoted:
                if sign == _BACKSLASH:
                    self._escaped = at + 1
                elif sign == _QUOTE:
                    self._quoted = False
            elif sign == _QUOTE:
                self._quoted = True
            elif sign in _OPENING:
                self._depth += 1
            elif sign in _CLOSING:
                self._depth -= 1
                if self._depth <= 1:
                    end = at + 1
                    self.ended = self._depth <= 0
        self._at = len(partial)
        return end


_BACKSLASH: Final = ord("\\")
_QUOTE: Final = ord('"')
_OPENING: Final = frozenset(b"[{")
_CLOSING: Final = frozenset(b"]}")


def elements(whole: bytes) -> list[object]:
    """The elements in what `feed` gave out. Raises ValueError for what is no JSON."""
    said, at = whole.decode(errors="replace"), 0
    found: list[object] = []
    while True:
        while at < len(said) and said[at] in " \t\r\n,[":
            at += 1
        if at >= len(said) or said[at] == "]":
            return found
        value, at = _decode(said, at)
        found.append(value)
