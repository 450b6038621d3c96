"""Gemini's streams: server-sent events, or one JSON array, in and out."""

from collections.abc import Iterable

from chatvault.wire.gemini.array import ArraySplitter, elements
from chatvault.wire.gemini.reply_reader import ReplyReader
from chatvault.wire.gemini.reply_writer import ReplyWriter
from chatvault.wire.hub.events import AnyEvent, Ended
from chatvault.wire.json_value import decode, encode
from chatvault.wire.sse import EventSplitter, data_of, events


class GeminiStreamReader:
    """Knows by the first byte which of the two it reads."""

    def __init__(self) -> None:
        self._splitter: EventSplitter | ArraySplitter | None = None
        self._reader = ReplyReader()

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Raises ValueError for what is no stream of this dialect."""
        if self._splitter is None:
            data = data.lstrip()
            if not data:
                return []
            self._splitter = ArraySplitter() if data.startswith((b"[", b"{")) else EventSplitter()
        whole = self._splitter.feed(data)
        if self._splitter.overflowed:
            raise ValueError("an event of the stream is too long")
        return self._read(whole) if whole else []

    def _read(self, whole: bytes) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        if isinstance(self._splitter, ArraySplitter):
            for element in elements(whole):
                out += self._reader.chunk(element)
            return out
        if whole.startswith(b"data: {") and whole.endswith(b"}\r\n\r\n") and whole.count(b"\n") == 2:
            return self._reader.chunk(decode(whole[6:-4]))  # what nearly all packets are; the same as below
        for event in events(whole):
            data = data_of(event)
            if data is not None and data.strip() and data.strip() != b"[DONE]":
                out += self._reader.chunk(decode(data))
        return out

    def end(self) -> list[AnyEvent]:
        splitter, out = self._splitter, list[AnyEvent]()
        cut = splitter is None
        if isinstance(splitter, EventSplitter) and splitter.partial:
            # The last event may lack its blank line; it counts if it is whole without.
            try:
                out += self._read(bytes(splitter.partial) + b"\n\n")
            except ValueError:
                cut = True
        elif isinstance(splitter, ArraySplitter):
            cut = not splitter.ended
        told = self._reader.finish()
        return out + ([event for event in told if not isinstance(event, Ended)] if cut else told)


class GeminiStreamWriter:
    def __init__(self, model: str, *, array: bool) -> None:
        self._writer = ReplyWriter(model)
        self._array = array
        self._begun = False
        self._failed = False

    def feed(self, events: Iterable[AnyEvent]) -> bytes:
        if self._failed:
            return b""
        out, ended = b"", False
        for event in events:
            self._writer.feed(event)
            ended = ended or isinstance(event, Ended)
        chunk = self._writer.take()
        self._failed = self._writer.failed is not None
        if chunk is not None:
            out = self._framed(encode(chunk))
        return out + b"]" if self._array and (ended or self._failed) else out

    def _framed(self, chunk: bytes) -> bytes:
        if not self._array:
            return b"data: " + chunk + b"\r\n\r\n"
        between = b",\r\n" if self._begun else b"["
        self._begun = True
        return between + chunk
