"""An answer of this dialect, whole or streamed, read into the hub's events through one mapping.

Each item of `output` is read as it is announced, grows and ends; a whole answer announces and ends each
at once, and what a stream told of an item is taken off when the item ends. So an item that was told in
full, in part or not at all comes out the same.
"""

import re
from itertools import count
from typing import Final

import msgspec

from chatvault.core.usage import Usage
from chatvault.wire.hub.events import (
    AnyEvent,
    Begun,
    Ended,
    Finished,
    FinishReason,
    Pinged,
    UsageTold,
)
from chatvault.wire.json_value import Values, decode, list_of, name_of, number_of, object_of, text_of
from chatvault.wire.openai.responses.output import OutputReader
from chatvault.wire.openai.retold import failure_of, usage_of
from chatvault.wire.sse import EventSplitter, data_of, events

_ENDS: Final = frozenset(("response.completed", "response.incomplete", "response.failed", "response.done"))
_ERROR_EVENT: Final = re.compile(rb"(?:^|[\r\n])event: ?error[\r\n]")
_INCOMPLETE: Final[dict[str, FinishReason]] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
"""https://platform.openai.com/docs/api-reference/responses/object, seen 2026-11"""


class AnswerReader:
    """What is known of an answer. Feed it the events of a stream, or end it with a whole answer."""

    __slots__ = ("_begun", "_items", "_numbers", "_usage", "done")

    def __init__(self) -> None:
        self._begun = False
        self._items: dict[int, OutputReader] = {}
        self._numbers = count()
        self._usage: Usage | None = None
        self.done = False
        """The answer ended or failed: nothing follows."""

    def feed(self, value: Values) -> list[AnyEvent]:
        kind = text_of(value.get("type"))
        if self.done:
            return []
        if kind in _ENDS:
            return self.end(object_of(value.get("response")))
        if kind.startswith("response.") and "output_index" in value:
            return self._item(kind, value)
        found: list[AnyEvent] = []
        if isinstance(value.get("response"), dict):
            self._begin(object_of(value["response"]), found)
        elif kind == "error" or value.get("error"):
            self._fail(value.get("error") or value, found)
        elif kind == "keepalive":
            found.append(Pinged())
        return found

    def end(self, response: Values) -> list[AnyEvent]:
        """`response` is the answer as it is at its end."""
        found: list[AnyEvent] = []
        self._begin(response, found)
        self._usage = usage_of(response.get("usage")) or self._usage
        status = text_of(response.get("status"))
        if response.get("error") or status == "failed":
            self._fail(response.get("error") or {"message": "The response failed."}, found)
            return found
        for index, item in enumerate(list_of(response.get("output"))):
            if isinstance(item, dict):
                found += self._reader(index, item).end(item)
        for reader in self._items.values():
            found += reader.end({})
        if self._usage is not None:
            searches = sum(reader.searched for reader in self._items.values())
            usage = msgspec.structs.replace(self._usage, searches=searches) if searches else self._usage
            found.append(UsageTold(usage=usage))
        found += [self._finished(response, status), Ended()]
        self.done = True
        return found

    def told(self) -> list[AnyEvent]:
        """What is known of an answer that broke off."""
        return [UsageTold(usage=self._usage)] if self._usage is not None and not self.done else []

    def _begin(self, response: Values, found: list[AnyEvent]) -> None:
        if self._begun:
            return
        self._begun = True
        begun = Begun(
            id=name_of(response.get("id")),
            model=name_of(response.get("model")),
            created=number_of(response.get("created_at")) or None,
            service_tier=name_of(response.get("service_tier")),
        )
        found.append(begun)

    def _item(self, kind: str, value: Values) -> list[AnyEvent]:
        found: list[AnyEvent] = []
        self._begin({}, found)
        item = object_of(value.get("item"))
        reader = self._reader(number_of(value.get("output_index")) or 0, item)
        if kind == "response.output_item.done":
            found += reader.end(item)
        else:
            found += reader.feed(kind, value)
        return found

    def _reader(self, index: int, item: Values) -> OutputReader:
        reader = self._items.get(index)
        if reader is None:
            reader = self._items[index] = OutputReader(index, item, self._numbers)
        return reader

    def _finished(self, response: Values, status: str) -> Finished:
        if status == "incomplete":
            said = text_of(object_of(response.get("incomplete_details")).get("reason"))
            return Finished(reason=_INCOMPLETE.get(said, "length"), said=said or status)
        if status in ("queued", "in_progress"):
            return Finished(reason="pause", said=status)
        if status == "cancelled":
            return Finished(reason="error", said=status)
        called = any(reader.called for reader in self._items.values())
        refused = any(reader.refused for reader in self._items.values())
        return Finished(
            reason="tool_calls" if called else "refusal" if refused else "stop", said=status or None
        )

    def _fail(self, error: object, found: list[AnyEvent]) -> None:
        if self._usage is not None:
            found.append(UsageTold(usage=self._usage))
        failure = failure_of(error)
        if failure.kind == "error":
            failure = msgspec.structs.replace(failure, kind=None)  # the type of the event
        found.append(failure)
        self.done = True


def read_reply(body: bytes) -> list[AnyEvent]:
    """Raises ValueError for what is no answer of this dialect."""
    value = decode(body)
    if not isinstance(value, dict):
        raise ValueError("The answer is not a JSON object.")
    if not isinstance(value.get("output"), list) and not value.get("error"):
        raise ValueError("The answer has no output.")
    return AnswerReader().end(value)


class ResponsesStreamReader:
    """Packets in, events out."""

    __slots__ = ("_reader", "_splitter")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._reader = AnswerReader()

    def feed(self, data: bytes) -> list[AnyEvent]:
        whole = self._splitter.feed(data)
        return self._read(whole) if whole else []

    def end(self) -> list[AnyEvent]:
        partial = bytes(self._splitter.partial)
        self._splitter.partial.clear()
        try:
            found = self._read(partial) if partial.strip().endswith(b"}") else []
        except ValueError:
            found = []  # cut within its last event
        return found + self._reader.told()

    def _read(self, whole: bytes) -> list[AnyEvent]:
        found: list[AnyEvent] = []
        for event in events(whole):
            # Nearly all events are these two lines, which need no closer look.
            at = event.find(b"\ndata: {") if event.startswith(b"event: response.") else -1
            plain = at > 0 and event.count(b"\n") == 3 and event.endswith(b"}\n\n")
            data = event[at + 7 : -2] if plain else data_of(event)
            if data is None:
                found.append(Pinged())
                continue
            try:
                value = decode(data)
            except ValueError:
                value = None
            if isinstance(value, dict):
                found += self._reader.feed(value)
            elif _ERROR_EVENT.search(event) is not None:
                found += self._reader.feed({"type": "error", "message": data.decode(errors="replace")})
            elif data.strip() not in (b"", b"[DONE]"):
                raise ValueError("An event of the stream is not a JSON object.")
        return found
