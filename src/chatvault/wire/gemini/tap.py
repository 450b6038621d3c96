"""The tap beside a Gemini stream: usage, finish reason, errors inside it, and whether it came to its end.

Each chunk has its usage so far, so the latest one is kept and only read when somebody asks; a chunk that may
tell more is read at once.
A tap never fails: what it cannot read it passes on.
"""

from chatvault.wire.gemini.array import elements
from chatvault.wire.gemini.facts import Chunk, chunk_of, learn, read_chunk
from chatvault.wire.openai.reply import Facts
from chatvault.wire.sse import data_of, events


class StreamTap:
    """Of server-sent events or of an array's elements; `scan` takes what `sse.EventSplitter` or
    `array.ArraySplitter` gives out.

    `hide` is for dialects in which the gateway asks for usage: here it always comes, and nothing is hidden.
    """

    __slots__ = ("_array", "_facts", "_unread", "done", "ended", "events", "last", "plain", "plain_size")

    def __init__(self, *, hide: bool = False) -> None:
        self._facts = Facts()
        self._unread = b""
        self._array: bool | None = None
        self.done = False
        """The array was closed. Server-sent events end with the answer alone."""
        self.ended = False
        """A finish reason was there: the model had said all."""
        self.events = 0
        self.plain = self.plain_size = 0
        """Events that carried nothing but content and the usage so far, and their bytes."""
        self.last = b""
        """The latest packet that carried plain content, for an estimate."""

    @property
    def facts(self) -> Facts:
        unread, self._unread = self._unread, b""
        if unread:
            self._read(unread)
        return self._facts

    def scan(self, whole: bytes) -> bytes:
        """Whole events in, and out again as they are."""
        if (
            b'"finishReason"' in whole
            or b'"error"' in whole
            or b'"promptFeedback"' in whole
            or b'"groundingMetadata"' in whole
            or b'"finish_reason"' in whole
            or not self.events
        ):
            self._unread = b""
            self.events += self._read(whole)
            return whole
        if self._array:
            plain = whole.count(b'"candidates"')
            self.done = self.done or whole.rstrip().endswith(b"]")
        else:
            plain = whole.count(b"data:")
        self.events += plain
        self.plain += plain
        self.plain_size += len(whole)
        if plain:
            self.last = self._unread = whole
        return whole

    def again(self, event: bytes) -> None:
        """One more event that is like the last plain one but for what it says."""
        self.events += 1
        self.plain += 1
        self.plain_size += len(event)
        self.last = event

    def may_hide(self, partial: bytes | bytearray) -> bool:
        """Whether a part of an event may turn out to be one that is taken out."""
        return False

    def _read(self, whole: bytes) -> int:
        """How many events there were."""
        if self._array is None:
            begin = whole.lstrip()[:1]
            self._array = begin in (b"[", b"{") if begin else None
        found = _elements(whole) if self._array else _events(whole)
        for chunk in found:
            if chunk is not None:
                learn(self._facts, chunk)
        self.ended = self.ended or self._facts.finish is not None
        if self._array and whole.rstrip().endswith(b"]"):
            self.done = True
        return len(found)


def _events(whole: bytes) -> list[Chunk | None]:
    """A chunk an event that has data; None for one that cannot be read."""
    found: list[Chunk | None] = []
    for event in events(whole):
        data = data_of(event)
        if data is not None:
            try:
                found.append(read_chunk(data))
            except ValueError:
                found.append(None)
    return found


def _elements(whole: bytes) -> list[Chunk | None]:
    try:
        return [chunk_of(element) for element in elements(whole)]
    except ValueError:
        return [None]
