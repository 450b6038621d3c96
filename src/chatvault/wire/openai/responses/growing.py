"""Items of an answer while they grow, and the events that tell of it."""

from typing import Protocol

import msgspec

from chatvault.wire.hub.events import (
    ArgumentsDelta,
    CitationTold,
    PartEnded,
    PartEvent,
    SignatureTold,
    TextDelta,
)
from chatvault.wire.hub.parts import AnyPart, Refusal, Text, Thought, ToolCall
from chatvault.wire.hub.search import Citation
from chatvault.wire.json_value import Values, list_of, object_of, objects_of, text_of
from chatvault.wire.openai.chat.citations import flat, flat_citation
from chatvault.wire.openai.responses.proofs import ORIGIN, carried

Told = dict[str, object]
"""An event of this dialect, but for its number."""


class Growing(Protocol):
    fields: Values

    def takes(self, part: AnyPart) -> bool:
        """Whether the part belongs to this item, too."""

    def begin(self, index: int, part: AnyPart, out: list[Told]) -> None: ...

    def more(self, event: PartEvent, out: list[Told]) -> None: ...

    def end(self, out: list[Told]) -> None: ...

    def announce(self, out: list[Told]) -> None: ...


class GrowingItem:
    __slots__ = ("_at", "_ended", "_id", "fields")

    def __init__(self, id: str, at: int, fields: Values) -> None:
        self._id = id
        self._at = at
        self._ended = False
        self.fields = fields

    def announce(self, out: list[Told]) -> None:
        out.append(
            {"type": "response.output_item.added", "output_index": self._at, "item": _copied(self.fields)}
        )

    def end(self, out: list[Told]) -> None:
        if self._ended:
            return
        self._ended = True
        self._close(out)
        out.append({"type": "response.output_item.done", "output_index": self._at, "item": self.fields})

    def _close(self, out: list[Told]) -> None:
        """What is to be told before the item is done."""

    def _told(self, kind: str, **members: object) -> Told:
        return {"type": f"response.{kind}", "item_id": self._id, "output_index": self._at, **members}


class _Content:
    __slots__ = ("cited", "fields", "length", "logprobs", "name", "number", "said")

    def __init__(self, number: int, fields: Values, name: str) -> None:
        self.number = number
        self.fields = fields
        self.name = name
        """Of the member that holds its text."""
        self.said: list[str] = []
        self.logprobs: list[object] = []
        self.cited: list[Citation] = []
        self.length = 0


class MessageItem(GrowingItem):
    """Texts and refusals that follow each other."""

    __slots__ = ("_contents",)

    def __init__(self, id: str, at: int) -> None:
        content: list[object] = []
        super().__init__(
            id,
            at,
            {"type": "message", "id": id, "status": "in_progress", "role": "assistant", "content": content},
        )
        self._contents: dict[int, _Content] = {}

    def takes(self, part: AnyPart) -> bool:
        return isinstance(part, Text | Refusal)

    def begin(self, index: int, part: AnyPart, out: list[Told]) -> None:
        fields: Values
        if isinstance(part, Refusal):
            fields, name = {"type": "refusal", "refusal": ""}, "refusal"
        else:
            fields, name = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}, "text"
        content = self._contents[index] = _Content(len(self._contents), fields, name)
        list_of(self.fields["content"]).append(fields)
        out.append(self._told("content_part.added", content_index=content.number, part=_copied(fields)))
        if isinstance(part, Text | Refusal) and part.text:
            self._more(content, part.text, [], out)

    def more(self, event: PartEvent, out: list[Told]) -> None:
        content = self._contents[event.index]
        if type(event) is TextDelta:
            self._more(content, event.text, _logprobs(event.logprobs), out)
        elif type(event) is CitationTold:
            self._cite(content, event, out)
        elif type(event) is PartEnded:
            self._done(content, out)

    def _more(self, content: _Content, text: str, logprobs: list[object], out: list[Told]) -> None:
        content.said.append(text)
        content.length += len(text)
        if content.name == "refusal":
            out.append(self._told("refusal.delta", content_index=content.number, delta=text))
            return
        content.logprobs += logprobs
        out.append(
            self._told("output_text.delta", content_index=content.number, delta=text, logprobs=logprobs)
        )

    def _cite(self, content: _Content, event: CitationTold, out: list[Told]) -> None:
        if content.name == "refusal":
            return
        if event.origin == ORIGIN:
            self._annotate(content, object_of(msgspec.json.decode(event.raw)), out)
        elif event.origin.startswith("openai."):
            said = flat_citation(event.raw, content.length)
            if said is not None:
                self._annotate(content, said, out)
        else:
            content.cited += event.cited  # all of the text may rest on it

    def _annotate(self, content: _Content, said: Values, out: list[Told]) -> None:
        annotations = list_of(content.fields["annotations"])
        annotations.append(said)
        told = self._told("output_text.annotation.added", content_index=content.number)
        out.append({**told, "annotation_index": len(annotations) - 1, "annotation": said})

    def _done(self, content: _Content, out: list[Told]) -> None:
        for cited in content.cited:
            self._annotate(content, flat(cited, 0, content.length), out)
        text = content.fields[content.name] = "".join(content.said)
        number = content.number
        if content.name == "refusal":
            out.append(self._told("refusal.done", content_index=number, refusal=text))
        else:
            content.fields["logprobs"] = content.logprobs
            out.append(
                self._told("output_text.done", content_index=number, text=text, logprobs=content.logprobs)
            )
        out.append(self._told("content_part.done", content_index=number, part=content.fields))

    def _close(self, out: list[Told]) -> None:
        self.fields["status"] = "completed"


class ReasoningItem(GrowingItem):
    """Thoughts that belong together: those with one id. Thoughts of other dialects are shown as summaries,
    which is what clients of this one show."""

    __slots__ = ("_contents", "_id_said", "_proof")

    def __init__(self, id: str, at: int) -> None:
        super().__init__(id, at, {"type": "reasoning", "id": id, "summary": []})
        self._contents: dict[int, _Content] = {}
        self._proof: dict[int, Thought] = {}
        self._id_said: str | None = None

    def takes(self, part: AnyPart) -> bool:
        return isinstance(part, Thought) and part.id is not None and part.id == self._id_said

    def begin(self, index: int, part: AnyPart, out: list[Told]) -> None:
        assert isinstance(part, Thought)
        self._id_said = part.id
        self._proof[index] = part
        if part.text:
            self._more(self._content(index, out), part.text, out)
        if part.signature or part.sealed:
            self._prove(part.origin, part.signature, part.sealed)

    def more(self, event: PartEvent, out: list[Told]) -> None:
        if type(event) is TextDelta:
            self._more(self._content(event.index, out), event.text, out)
        elif type(event) is SignatureTold:
            self._prove(self._proof[event.index].origin, event.signature, event.sealed)
        elif type(event) is PartEnded and event.index in self._contents:
            self._done(self._contents[event.index], out)

    def _content(self, index: int, out: list[Told]) -> _Content:
        known = self._contents.get(index)
        if known is not None:
            return known
        part = self._proof[index]
        kind = "summary" if part.summary or part.origin != ORIGIN else "content"
        fields: Values = {"type": "summary_text" if kind == "summary" else "reasoning_text", "text": ""}
        list_of(self.fields.setdefault(kind, [])).append(fields)
        number = len(list_of(self.fields[kind])) - 1
        content = self._contents[index] = _Content(number, fields, kind)
        if kind == "summary":
            out.append(self._told("reasoning_summary_part.added", summary_index=number, part=dict(fields)))
        else:
            out.append(self._told("content_part.added", content_index=number, part=dict(fields)))
        return content

    def _more(self, content: _Content, text: str, out: list[Told]) -> None:
        content.said.append(text)
        if content.name == "summary":
            out.append(self._told("reasoning_summary_text.delta", summary_index=content.number, delta=text))
        else:
            out.append(self._told("reasoning_text.delta", content_index=content.number, delta=text))

    def _prove(self, origin: str | None, signature: str | None, sealed: str | None) -> None:
        if signature:
            self.fields["encrypted_content"] = carried(origin, "signature", signature)
        elif sealed:
            self.fields["encrypted_content"] = carried(origin, "sealed", sealed)

    def _done(self, content: _Content, out: list[Told]) -> None:
        text = content.fields["text"] = "".join(content.said)
        number = content.number
        if content.name == "summary":
            out.append(self._told("reasoning_summary_text.done", summary_index=number, text=text))
            out.append(self._told("reasoning_summary_part.done", summary_index=number, part=content.fields))
        else:
            out.append(self._told("reasoning_text.done", content_index=number, text=text))
            out.append(self._told("content_part.done", content_index=number, part=content.fields))


class CallItem(GrowingItem):
    __slots__ = ("_kind", "_name", "_said")

    def __init__(self, id: str, at: int, part: ToolCall) -> None:
        self._kind = "custom_tool_call_input" if part.custom else "function_call_arguments"
        self._name = "input" if part.custom else "arguments"
        self._said: list[str] = []
        fields: Values = {"type": "custom_tool_call" if part.custom else "function_call", "id": id}
        fields |= {"call_id": part.id, "name": part.name, self._name: "", "status": "in_progress"}
        super().__init__(id, at, fields)

    def takes(self, part: AnyPart) -> bool:
        return False

    def begin(self, index: int, part: AnyPart, out: list[Told]) -> None:
        if isinstance(part, ToolCall) and part.arguments:
            self._more(part.arguments, out)

    def more(self, event: PartEvent, out: list[Told]) -> None:
        if type(event) is ArgumentsDelta:
            self._more(event.text, out)
        elif type(event) is PartEnded:
            self.end(out)

    def _more(self, text: str, out: list[Told]) -> None:
        self._said.append(text)
        out.append(self._told(f"{self._kind}.delta", delta=text))

    def _close(self, out: list[Told]) -> None:
        text = "".join(self._said)
        if not text and self._name == "arguments":
            text = "{}"  # a call without arguments; clients decode them
            out.append(self._told(f"{self._kind}.delta", delta=text))
        self.fields[self._name] = text
        self.fields["status"] = "completed"
        named = {"name": self.fields["name"]} if self._name == "arguments" else {}
        out.append(self._told(f"{self._kind}.done", **{self._name: text}, **named))


def _logprobs(raw: msgspec.Raw | None) -> list[object]:
    if raw is None:
        return []
    tokens = objects_of(object_of(msgspec.json.decode(raw)).get("content"))
    return [
        {**_token(token), "top_logprobs": [_token(each) for each in objects_of(token.get("top_logprobs"))]}
        for token in tokens
    ]


def _token(said: Values) -> Values:
    """The members that this dialect has, of one token; some providers leave some out, or write bytes as a
    text."""
    spelt = said.get("bytes")
    return {
        "token": text_of(said.get("token")),
        "logprob": said.get("logprob"),
        "bytes": spelt if isinstance(spelt, list) else list(text_of(said.get("token")).encode()),
    }


def _copied(fields: Values) -> Values:
    """As it is now: what is told later must not change what was told before."""
    return {name: list(value) if isinstance(value, list) else value for name, value in fields.items()}
