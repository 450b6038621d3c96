"""A provider's stream of this dialect in: packets cut anywhere, the hub's events out."""

from typing import Final

import msgspec

from chatvault.wire.anthropic.reply_reader import ReplyReading
from chatvault.wire.hub.events import AnyEvent
from chatvault.wire.json_value import decode
from chatvault.wire.sse import EventSplitter, data_of, events


class _Delta(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None


class _DeltaEvent(msgspec.Struct, gc=False):
    type: str
    index: int
    delta: _Delta


_decode_delta: Final = msgspec.json.Decoder(_DeltaEvent).decode
_DELTA: Final = b"event: content_block_delta\ndata: {"


class ReplyStream:
    """A provider's stream in. Raises ValueError for events that are not JSON objects."""

    __slots__ = ("_reading", "_splitter")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._reading = ReplyReading()

    def feed(self, data: bytes) -> list[AnyEvent]:
        whole = self._splitter.feed(data)
        if self._splitter.overflowed:
            raise ValueError("An event of the stream is too long to be one of Anthropic's.")
        return self._read(whole) if whole else []

    def end(self) -> list[AnyEvent]:
        """A last event may lack the blank line that ends it."""
        rest = bytes(self._splitter.partial)
        self._splitter.partial.clear()
        if not rest.strip():
            return []
        try:
            return self._read(rest)
        except ValueError:
            return []  # it was cut

    def _read(self, whole: bytes) -> list[AnyEvent]:
        if (
            whole.startswith(_DELTA)
            and whole.find(b"\n", len(_DELTA)) == len(whole) - 2
            and b"\r" not in whole
            and (told := self._delta(whole[len(_DELTA) - 1 : -2])) is not None
        ):
            return told  # what nearly all packets are; the same as below
        if whole.find(b"\n\n") == len(whole) - 2 and b"\r" not in whole:
            # The commonest packet by a slice: one event with one line of data, its last.
            at = whole.find(b"\ndata: ")
            if at > 0 and whole.find(b"\n", at + 1) == len(whole) - 2:
                data: bytes | None = whole[at + 7 : -2]
                return self._event(data) if data else []
        found: list[AnyEvent] = []
        for event in events(whole):
            data = data_of(event)
            if data is not None and data.strip():
                found += self._event(data)
        return found

    def _delta(self, data: bytes) -> list[AnyEvent] | None:
        """The commonest deltas; None for all other events, and for deltas of another shape."""
        reading = self._reading
        if reading.ended or reading.failed:
            return None
        try:
            event = _decode_delta(data)
        except (msgspec.DecodeError, RecursionError):
            return None
        delta, text = event.delta, None
        if delta.type == "text_delta":
            text = delta.text
        elif delta.type == "input_json_delta":
            text = delta.partial_json
        elif delta.type == "thinking_delta":
            text = delta.thinking
        if text is None or event.type != "content_block_delta":
            return None
        return reading.delta(event.index, delta.type, text)

    def _event(self, data: bytes) -> list[AnyEvent]:
        if b"content_block_delta" in data and (told := self._delta(data)) is not None:
            return told
        if data.strip() == b"[DONE]":
            return []  # some who speak this dialect end their streams in OpenAI's way
        values = decode(data)
        if not isinstance(values, dict):
            raise ValueError("An event of the stream is JSON, but not an object.")
        return self._reading.event(values)
