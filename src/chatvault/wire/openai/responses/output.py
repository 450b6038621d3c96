"""One item of an answer's `output`, as parts of the hub."""

from collections.abc import Iterator
from typing import Final

import msgspec

from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    CitationTold,
    PartBegun,
    PartEnded,
    SignatureTold,
    TextDelta,
)
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, Unknown
from chatvault.wire.json_value import Values, list_of, name_of, number_of, object_of, objects_of, raw, text_of
from chatvault.wire.openai.chat.citations import citations_in
from chatvault.wire.openai.chat.messages import arguments_of
from chatvault.wire.openai.responses.items import CALLS
from chatvault.wire.openai.responses.proofs import ORIGIN, proof_in
from chatvault.wire.openai.responses.searches import search_in
from chatvault.wire.taken import unread

_CONTENT: Final = 1_000
"""Where the contents of a reasoning item begin to be counted; its summaries are before them."""
_TEXTS: Final = {
    "response.output_text.delta": "output_text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "summary_text",
    "response.reasoning_text.delta": "reasoning_text",
    "response.reasoning.delta": "reasoning_text",
    # The published name, and that of Open Responses (https://www.openresponses.org/specification, seen
    # 2026-11).
    "response.reasoning_summary.delta": "summary_text",
}
_ARGUMENTS: Final = frozenset(
    ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")
)


class _Part:
    __slots__ = ("citations", "ended", "index", "kind", "said")

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.said: list[str] = []
        self.citations = 0
        self.ended = False


_NO_TEXT = ("call", "whole")
"""Kinds of parts that no text is added to."""


class OutputReader:
    """`numbers` gives each part its own, over all items."""

    __slots__ = ("_at", "_ended", "_item", "_numbers", "_parts", "called", "refused", "searched")

    def __init__(self, at: int, item: Values, numbers: Iterator[int]) -> None:
        self._at = at
        self._numbers = numbers
        self._item = item
        """As it was announced."""
        self._parts: dict[int, _Part] = {}
        self._ended = False
        self.called = self.refused = self.searched = False

    def feed(self, kind: str, value: Values) -> list[AnyEvent]:
        found: list[AnyEvent] = []
        if self._ended:
            return found
        if (text := _TEXTS.get(kind)) is not None:
            part = self._text(text, value, found)
            self._more(part, text_of(value.get("delta")), found, value.get("logprobs"))
        elif kind in _ARGUMENTS:
            self._argue(self._call(found), text_of(value.get("delta")), found)
        elif kind == "response.output_item.added":
            self._item = object_of(value.get("item")) or self._item
            if text_of(self._item.get("type")) in CALLS and self._item.get("name"):
                self._call(found)
        elif kind in ("response.content_part.added", "response.reasoning_summary_part.added"):
            self._text(text_of(object_of(value.get("part")).get("type")), value, found)
        elif kind == "response.output_text.annotation.added":
            self._cite(self._text("output_text", value, found), value.get("annotation"), found)
        elif kind == "response.content_part.done":
            self._part_done(value, found)
        return found

    def end(self, item: Values) -> list[AnyEvent]:
        """`item` is the item in full: what was not told of it yet is told now. Empty: no more is known than
        was told."""
        found: list[AnyEvent] = []
        if self._ended:
            return found
        item = item or self._item
        self._ended, self._item = True, {**self._item, **item}
        kind = text_of(item.get("type"))
        if kind == "message":
            for at, part in enumerate(objects_of(item.get("content"))):
                self._complete(
                    self._text(text_of(part.get("type")), {"content_index": at}, found), part, found
                )
        elif kind == "reasoning":
            self._thought(item, found)
        elif kind in CALLS:
            call = self._call(found)
            arguments = arguments_of(item.get("input" if CALLS[kind] else "arguments"))
            self._argue(call, arguments[len("".join(call.said)) :], found)
        elif kind:
            other = _other(kind, item)
            self.searched = isinstance(other, Unknown) and other.search is not None
            self._whole(other, found)
        for each in self._parts.values():
            self._close(each, found)
        return found

    def _thought(self, item: Values, found: list[AnyEvent]) -> None:
        for at, part in enumerate(objects_of(item.get("summary"))):
            self._complete(self._text("summary_text", {"summary_index": at}, found), part, found)
        for at, part in enumerate(objects_of(item.get("content"))):
            self._complete(self._text("reasoning_text", {"content_index": at}, found), part, found)
        sealed = name_of(item.get("encrypted_content"))
        if not sealed:
            return
        proof = proof_in(sealed)  # one of ours, if this comes from another gateway
        signature, sealed = (None, proof.value) if proof.kind == "sealed" else (proof.value, None)
        told = [part for part in self._parts.values() if not part.ended]
        if told:
            found.append(SignatureTold(index=told[-1].index, signature=signature, sealed=sealed))
        else:
            id = name_of(item.get("id"))
            self._whole(Thought(signature=signature, sealed=sealed, id=id, origin=proof.origin), found)

    def _text(self, kind: str, value: Values, found: list[AnyEvent]) -> _Part:
        """The text part that the event is of; it begins if it was not announced."""
        summary = kind == "summary_text"
        at = number_of(value.get("summary_index" if summary else "content_index")) or 0
        number = at if summary or kind != "reasoning_text" else at + _CONTENT
        known = self._parts.get(number)
        if known is not None:
            return known
        for each in self._parts.values():
            self._close(each, found)
        part: AnyPart
        if kind in ("summary_text", "reasoning_text"):
            part = Thought(id=name_of(self._item.get("id")), summary=summary, origin=ORIGIN)
        elif kind == "refusal":
            part, self.refused = Refusal(text=""), True
        else:
            part = Text(text="")
        return self._begin(number, kind, part, found)

    def _call(self, found: list[AnyEvent]) -> _Part:
        known = self._parts.get(0)
        if known is not None:
            return known
        item = self._item
        self.called = True
        call = ToolCall(
            id=name_of(item.get("call_id")) or name_of(item.get("id")) or f"call_{self._at}",
            name=text_of(item.get("name")),
            arguments="",
            custom=item.get("type") == "custom_tool_call",
            origin=ORIGIN,
        )
        return self._begin(0, "call", call, found)

    def _begin(self, number: int, kind: str, part: AnyPart, found: list[AnyEvent]) -> _Part:
        state = self._parts[number] = _Part(next(self._numbers), kind)
        found.append(PartBegun(index=state.index, part=part))
        return state

    def _whole(self, part: AnyPart, found: list[AnyEvent]) -> None:
        self._begin(len(self._parts), "whole", part, found)

    def _more(self, part: _Part, text: str, found: list[AnyEvent], logprobs: object = None) -> None:
        if part.kind in _NO_TEXT:
            return  # the item calls itself one thing and its events another
        told = raw({"content": logprobs}) if isinstance(logprobs, list) and logprobs else None
        if (text or told is not None) and not part.ended:
            part.said.append(text)
            found.append(TextDelta(index=part.index, text=text, logprobs=told))

    def _argue(self, part: _Part, text: str, found: list[AnyEvent]) -> None:
        if text and not part.ended and part.kind == "call":
            part.said.append(text)
            found.append(ArgumentsDelta(index=part.index, text=text))

    def _part_done(self, value: Values, found: list[AnyEvent]) -> None:
        said = object_of(value.get("part"))
        kind = text_of(said.get("type"))
        part = self._text(kind, value, found)
        self._complete(part, said, found)

    def _complete(self, part: _Part, said: Values, found: list[AnyEvent]) -> None:
        """Tells what is left of a text that is known in full now."""
        if part.ended:
            return
        text = text_of(said.get("refusal" if part.kind == "refusal" else "text"))
        before = "".join(part.said)
        logprobs = None if part.said else said.get("logprobs")
        self._more(part, text[len(before) :] if text.startswith(before) else "", found, logprobs)
        for citation in list_of(said.get("annotations"))[part.citations :]:
            self._cite(part, citation, found)

    def _cite(self, part: _Part, citation: object, found: list[AnyEvent]) -> None:
        if isinstance(citation, dict) and not part.ended:
            part.citations += 1
            cited = citations_in(citation)
            found.append(CitationTold(index=part.index, raw=raw(citation), origin=ORIGIN, cited=cited))

    def _close(self, part: _Part, found: list[AnyEvent]) -> None:
        if not part.ended:
            part.ended = True
            found.append(PartEnded(index=part.index))


def _other(kind: str, item: Values) -> AnyPart:
    """An item that only this dialect has; but an image is one everywhere."""
    result = item.get("result")
    if kind == "image_generation_call" and isinstance(result, str) and result:
        rest: dict[str, msgspec.Raw] | None = unread({name: item[name] for name in item if name != "result"})
        format = name_of(item.get("output_format")) or "png"
        return Media(kind="image", mime=f"image/{format}", data=result, extra=rest, origin=ORIGIN)
    return Unknown(kind=kind, raw=raw(item), search=search_in(item), origin=ORIGIN)
