"""The hub's events, written as an answer of this dialect, whole or streamed.

The stream is the mapping: each event of the hub changes the answer and is told as events of this dialect;
a whole answer is what they lead to. The official library puts a stream together by item ids and indices,
so each is announced, grows and ends under its own
(https://platform.openai.com/docs/api-reference/responses-streaming, seen 2026-11).
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.events import (
    AnyEvent,
    Begun,
    Ended,
    Failed,
    Finished,
    PartBegun,
    Pinged,
    UsageTold,
    of_part,
)
from chatvault.wire.hub.parts import Media, Refusal, Text, Thought, ToolCall, Unknown
from chatvault.wire.hub.search import Search
from chatvault.wire.json_value import Values, encode, object_of
from chatvault.wire.openai.responses.answer import Answer
from chatvault.wire.openai.responses.growing import CallItem, Growing, MessageItem, ReasoningItem, Told
from chatvault.wire.openai.responses.growing_search import SearchItem
from chatvault.wire.openai.responses.proofs import ORIGIN, carried
from chatvault.wire.openai.retold import error_value

_PING: Final = b": ping\n\n"


class AnswerWriter:
    """Events in, events of this dialect out; `answer` is what they lead to. This dialect has one choice:
    others are not told."""

    __slots__ = (
        "_asked",
        "_finished",
        "_items",
        "_last",
        "_model",
        "_parts",
        "_searches",
        "answer",
        "failed",
    )

    def __init__(self, conversation: Conversation | None, model: str) -> None:
        self._asked = conversation
        self._model = model
        self._finished: Finished | None = None
        self._items: list[Growing] = []
        self._parts: dict[int, Growing] = {}
        self._searches: dict[str, SearchItem] = {}
        self._last: Growing | None = None
        """The item that the next part may belong to."""
        self.answer: Answer | None = None
        self.failed: Failed | None = None

    def feed(self, event: AnyEvent, out: list[Told]) -> None:
        if self.answer is None:
            self._begin(event if type(event) is Begun else Begun(), out)
        if type(event) is PartBegun:
            if event.choice == 0:
                self._part(event, out)
        elif of_part(event):
            item = self._parts.get(event.index) if event.choice == 0 else None
            if item is not None:
                item.more(event, out)
        elif type(event) is Finished:
            self._finished = event if event.choice == 0 else self._finished
        else:
            self._frame(event, out)

    def _begin(self, begun: Begun, out: list[Told]) -> None:
        self.answer = Answer(self._asked, begun, self._model)
        out.append({"type": "response.created", "response": self.answer.now()})
        out.append({"type": "response.in_progress", "response": self.answer.now()})

    def _frame(self, event: AnyEvent, out: list[Told]) -> None:
        assert self.answer is not None
        if type(event) is UsageTold:
            self.answer.usage = event.usage
        elif type(event) is Failed:
            self.failed = event
            error = error_value(event)
            out.append({"type": "error", "code": error["code"], "message": error["message"], "param": None})
            kind = self.answer.fail(event)
            out.append({"type": kind, "response": self.answer.now()})
        elif type(event) is Ended:
            for item in self._items:
                item.end(out)
            kind = self.answer.finish(self._finished)
            if (
                kind == "response.incomplete"
                and self.answer.items
                and self.answer.items[-1].get("type") == "message"
            ):
                self.answer.items[-1]["status"] = "incomplete"
            out.append({"type": kind, "response": self.answer.now()})

    def _part(self, event: PartBegun, out: list[Told]) -> None:
        part = event.part
        last = self._last
        if last is not None and not last.takes(part):
            if not isinstance(last, CallItem):
                last.end(out)  # a call ends with its part: calls may overlap
            last = self._last = None
        if isinstance(part, Text | Refusal | Thought | ToolCall):
            if isinstance(part, ToolCall) and part.signature:
                self._prove(part, out)
            if last is None:
                last = self._last = self._grow(part, out)
            self._parts[event.index] = last
            last.begin(event.index, part, out)
        elif isinstance(part, Unknown) and part.origin == ORIGIN:
            self._whole(object_of(msgspec.json.decode(part.raw)), out)
        elif isinstance(part, Unknown) and part.search is not None:
            self._search(part.search, out)
        elif isinstance(part, Media) and part.kind == "image" and part.data is not None:
            extra = part.extra if part.origin == ORIGIN and part.extra else {}
            item: Values = {"type": "image_generation_call", "id": self._id("ig"), "status": "completed"}
            self._whole({**item, **extra, "result": part.data}, out)

    def _search(self, search: Search, out: list[Told]) -> None:
        """A search is one item here, which some dialects tell in two parts."""
        assert self.answer is not None
        item = self._searches.get(search.id)
        if item is None:
            item = self._searches[search.id] = SearchItem(len(self.answer.items), search)
            self._items.append(item)
            self.answer.items.append(item.fields)
            item.announce(out)
        if search.found:
            item.found(search, out)

    def _grow(self, part: Text | Refusal | Thought | ToolCall, out: list[Told]) -> Growing:
        assert self.answer is not None
        item: Growing
        at = len(self.answer.items)
        if isinstance(part, Thought):
            item = ReasoningItem(part.id if part.id and part.origin == ORIGIN else self._id("rs"), at)
        elif isinstance(part, ToolCall):
            item = CallItem(self._id("ctc" if part.custom else "fc"), at, part)
        else:
            item = MessageItem(self._id("msg"), at)
        self._items.append(item)
        self.answer.items.append(item.fields)
        item.announce(out)
        return item

    def _prove(self, part: ToolCall, out: list[Told]) -> None:
        """The client sends it back before the call that it proves."""
        assert part.signature is not None
        proof = carried(part.origin, "call", part.signature)
        self._whole(
            {"type": "reasoning", "id": self._id("rs"), "summary": [], "encrypted_content": proof}, out
        )

    def _whole(self, item: Values, out: list[Told]) -> None:
        assert self.answer is not None
        at = len(self.answer.items)
        self.answer.items.append(item)
        out.append({"type": "response.output_item.added", "output_index": at, "item": item})
        out.append({"type": "response.output_item.done", "output_index": at, "item": item})

    def _id(self, kind: str) -> str:
        """Of an item: the answer's own, with its place."""
        assert self.answer is not None
        return f"{kind}_{str(self.answer.fields['id']).removeprefix('resp_')}_{len(self.answer.items)}"


def write_reply(events: Iterable[AnyEvent], model: str, conversation: Conversation | None) -> bytes:
    """A whole answer; the error's shape if the provider failed in it."""
    writer, told = AnswerWriter(conversation, model), list[Told]()
    for event in events:
        writer.feed(event, told)
        told.clear()
    if writer.failed is not None:
        return encode({"error": error_value(writer.failed)})
    if writer.answer is None:
        writer.feed(Ended(), told)
    assert writer.answer is not None
    return encode(writer.answer.now())


class ResponsesStreamWriter:
    """Events in, server-sent events out, each at once, numbered."""

    __slots__ = ("_number", "_writer")

    def __init__(self, conversation: Conversation, model: str) -> None:
        self._writer = AnswerWriter(conversation, model)
        self._number = 0

    def feed(self, events: Iterable[AnyEvent]) -> bytes:
        out: list[bytes] = []
        told: list[Told] = []
        for event in events:
            if isinstance(event, Pinged):
                out.append(_PING)
                continue
            self._writer.feed(event, told)
            for each in told:
                each["sequence_number"] = self._number
                self._number += 1
                out += (b"event: ", str(each["type"]).encode(), b"\ndata: ", encode(each), b"\n\n")
            told.clear()
        return b"".join(out)
