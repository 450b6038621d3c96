"""Server-sent events: where they end, and what their data is. LF, CRLF and CR all end lines, and any mix of
them. Sans-IO.
"""

import re
from typing import Final

_BORDER: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_BOM: Final = b"\xef\xbb\xbf"
"""A stream may begin with it
(https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
"""
_LINES: Final = re.compile(rb"\r\n|\n|\r")


class EventSplitter:
    """Bytes in, whole events out, however the bytes were cut. What is not whole yet is in `partial`.

    An event longer than `max_event` bytes is not kept: `overflowed` becomes true, what there is of it comes
    out as it is, and the rest passes until the event's end.
    """

    __slots__ = ("_max", "end", "overflowed", "partial")

    def __init__(self, max_event: int = 8 << 20) -> None:
        self._max = max_event
        self.end = b"\n\n"
        self.partial = bytearray()
        self.overflowed = False

    def feed(self, data: bytes) -> bytes:
        """All events that are whole now, joined, with the blank lines that end them."""
        partial = self.partial
        if not partial and data.endswith(b"\n\n") and b"\r" not in data:
            self.overflowed = False
            return data
        start = max(0, len(partial) - 3)
        partial += data
        end = self._last_border(start)
        if end:
            self.overflowed = False
            whole = bytes(partial[:end])
            del partial[:end]
            return whole
        if len(partial) > self._max:
            self.overflowed = True
        return b""

    def _last_border(self, start: int) -> int:
        """Behind the last blank line, 0 if there is none. A CR at the very end may be half of a CRLF whose LF
        then begins the next event: an empty line more, which means nothing there.
        """
        partial = self.partial
        if partial.find(b"\r", start) < 0:
            at = partial.rfind(b"\n\n", start)
            return at + 2 if at >= 0 else 0
        end = 0
        for match in _BORDER.finditer(partial, start):
            end = match.end()
        return end


def events(whole: bytes) -> list[bytes]:
    """The events in `whole`, each with the blank line that ends it. Joined they are `whole` again."""
    if b"\r" not in whole:
        parts = whole.split(b"\n\n")
        found = [part + b"\n\n" for part in parts[:-1]]
        return [*found, parts[-1]] if parts[-1] else found
    found, at = [], 0
    for match in _BORDER.finditer(whole):
        found.append(whole[at : match.end()])
        at = match.end()
    if at < len(whole):
        found.append(whole[at:])
    return found


def data_of(event: bytes) -> bytes | None:
    """The data of an event: its `data` lines joined by LF. None if it has none (a comment, a ping)."""
    found = None
    for line in _LINES.split(event.removeprefix(_BOM)):
        if line.startswith(b"data:"):
            value = line[6:] if line.startswith(b"data: ") else line[5:]
            found = value if found is None else found + b"\n" + value
    return found
