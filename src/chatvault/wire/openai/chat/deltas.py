"""The hub's events of one choice as pieces of a chat message; a whole message is their sum. There is one
mapping for both."""

from typing import Final

from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    CitationTold,
    Finished,
    PartBegun,
    PartEnded,
    SignatureTold,
    TextDelta,
)
from chatvault.wire.hub.parts import Media, Refusal, Text, Thought, ToolCall
from chatvault.wire.hub.search import Citation
from chatvault.wire.json_value import Values, object_of, text_of
from chatvault.wire.openai.chat.citations import annotation, flat, nested
from chatvault.wire.openai.chat.finish import WRITTEN
from chatvault.wire.openai.chat.thoughts import FORMATS
from chatvault.wire.openai.media import data_url

_FIELDS: Final[dict[type[Text | Refusal], str]] = {Text: "content", Refusal: "refusal"}


class _Thought:
    """`number` and `seal` are the indices of its details, -1 as long as they have none."""

    __slots__ = ("number", "part", "seal")

    def __init__(self, part: Thought) -> None:
        self.part = part
        self.number = self.seal = -1


class _Call:
    __slots__ = ("custom", "number")

    def __init__(self, number: int, custom: bool) -> None:
        self.number = number
        self.custom = custom


class Deltas:
    """`old`: the client offered `functions`, and is answered with `function_call`."""

    __slots__ = (
        "_begins",
        "_calls",
        "_cited",
        "_details",
        "_held",
        "_images",
        "_length",
        "_old",
        "_parts",
        "_refused",
        "_thoughts",
    )

    def __init__(self, *, old: bool) -> None:
        self._old = old
        self._parts: dict[int, str | _Thought | _Call | None] = {}
        self._calls = self._cited = self._details = self._images = self._length = self._thoughts = 0
        self._refused = False
        self._begins: dict[int, int] = {}
        """Where texts begin among all that is shown."""
        self._held: dict[int, list[Citation]] = {}

    def plain(self, index: int, text: str) -> str | None:
        """The member that more text of the part at `index` belongs to, `content` or `refusal`; None for a part
        that is no plain text, whose deltas `of` makes."""
        kind = self._parts.get(index)
        if kind == "content":
            self._length += len(text)
        return kind if type(kind) is str else None

    def of(self, event: AnyEvent) -> Values | None:
        """None for an event that a message does not tell."""
        if type(event) is PartBegun:
            return self._begin(event)
        if type(event) is TextDelta:
            return self._text(event.index, event.text)
        if type(event) is ArgumentsDelta:
            return self._arguments(event)
        if type(event) is SignatureTold:
            return self._signed(event)
        if type(event) is CitationTold:
            return self._cite(event)
        if type(event) is PartEnded:
            return self._end(event.index)
        return None

    def _cite(self, event: CitationTold) -> Values | None:
        """At once if it says its place, or if nothing else can be known of it; at the end of the text that rests on
        it otherwise."""
        if not event.origin.startswith("openai."):
            self._held.setdefault(event.index, []).extend(event.cited)
            return None
        begin = self._begins.get(event.index, 0)
        told = annotation(event.raw, event.origin, self._length)
        if told is not None and event.origin != "openai.chat" and begin:
            told = nested(flat(event.cited[0], begin, self._length)) if event.cited else told
        return self._annotations([told]) if told is not None else None

    def _end(self, index: int) -> Values | None:
        held, begin = self._held.pop(index, None), self._begins.get(index, 0)
        if not held:
            return None
        return self._annotations([nested(flat(each, begin, self._length)) for each in held])

    def _annotations(self, told: list[Values | None]) -> Values:
        found = [{"index": self._cited + at, **each} for at, each in enumerate(told) if each is not None]
        self._cited += len(found)
        return {"annotations": found}

    def finish(self, event: Finished) -> str:
        if event.reason == "refusal" and self._refused:
            return "stop"
        if event.reason == "tool_calls" and self._old:
            return "function_call"
        return WRITTEN[event.reason]

    def _begin(self, event: PartBegun) -> Values | None:
        part = event.part
        if type(part) is Text or type(part) is Refusal:
            self._parts[event.index] = _FIELDS[type(part)]
            self._begins[event.index] = self._length
            self._refused = self._refused or type(part) is Refusal
            return self._text(event.index, part.text) if part.text else None
        if isinstance(part, Thought):
            return self._thought(event.index, part)
        if isinstance(part, ToolCall):
            return self._call(event.index, part)
        return self._media(part) if isinstance(part, Media) else None

    def _text(self, index: int, text: str) -> Values | None:
        field = self.plain(index, text)
        if field is not None:
            return {field: text}
        kind = self._parts.get(index)
        if not isinstance(kind, _Thought) or not text:
            return None
        return self._reasoned(kind, text)

    def _thought(self, index: int, part: Thought) -> Values | None:
        state = _Thought(part)
        self._parts[index] = state
        out: Values = {}
        if part.text:
            out.update(self._reasoned(state, part.text))
        if part.signature or part.sealed:
            details = self._proved(state, part.signature, part.sealed)
            out["reasoning_details"] = [*_list(out.get("reasoning_details")), *details]
        return out or None

    def _reasoned(self, state: _Thought, text: str) -> Values:
        """A thought that its provider may want proof of is told in details too."""
        begins = state.number == -1
        shown = text
        if begins:
            state.number = self._details
            shown = "\n\n" + text if self._thoughts else text
            self._thoughts += 1
        out: Values = {"reasoning_content": shown}
        part = state.part
        # Once there are details, readers take them for all there is.
        if part.id or part.signature or part.origin in FORMATS or self._details:
            kind = "summary" if part.summary else "text"
            out["reasoning_details"] = [
                self._detail(state, begins, {"type": f"reasoning.{kind}", kind: text})
            ]
        return out

    def _detail(self, state: _Thought, begins: bool, said: Values) -> Values:
        """What names a thought is told once, since clients join the texts of details with one index."""
        if begins:
            self._details += 1
            said["format"] = FORMATS.get(state.part.origin or "", "unknown")
            if state.part.id:
                said["id"] = state.part.id
        return {**said, "index": state.number}

    def _proved(self, state: _Thought, signature: str | None, sealed: str | None) -> list[Values]:
        details: list[Values] = []
        if signature:
            begins = state.number == -1
            if begins:
                state.number = self._details
            details.append(self._detail(state, begins, {"type": "reasoning.text", "signature": signature}))
        if sealed:
            begins = state.seal == -1
            if begins:
                state.seal = self._details
            said = self._detail(state, begins, {"type": "reasoning.encrypted", "data": sealed})
            details.append({**said, "index": state.seal})
        return details

    def _signed(self, event: SignatureTold) -> Values | None:
        state = self._parts.get(event.index)
        if isinstance(state, _Thought):
            details = self._proved(state, event.signature, event.sealed)
            return {"reasoning_details": details} if details else None
        if isinstance(state, _Call) and event.signature and state.number >= 0:
            return {"tool_calls": [{"index": state.number, **_proof(event.signature)}]}
        return None

    def _call(self, index: int, part: ToolCall) -> Values:
        if self._old and not part.custom:
            self._parts[index] = _Call(-1, custom=False)
            return {"function_call": {"name": part.name, "arguments": part.arguments}}
        state = self._parts[index] = _Call(self._calls, part.custom)
        self._calls += 1
        out: Values = {"index": state.number, "id": part.id}
        if part.custom:
            out |= {"type": "custom", "custom": {"name": part.name, "input": part.arguments}}
        else:
            out |= {"type": "function", "function": {"name": part.name, "arguments": part.arguments}}
        if part.signature:
            out |= _proof(part.signature)
        return {"tool_calls": [out]}

    def _arguments(self, event: ArgumentsDelta) -> Values | None:
        state = self._parts.get(event.index)
        if not isinstance(state, _Call):
            return None
        if state.number == -1:
            return {"function_call": {"arguments": event.text}}
        said = {"custom": {"input": event.text}} if state.custom else {"function": {"arguments": event.text}}
        return {"tool_calls": [{"index": state.number, **said}]}

    def _media(self, part: Media) -> Values | None:
        if part.kind == "audio":
            return {"audio": {"id": part.name or "audio", "data": part.data or "", **(part.extra or {})}}
        url = part.url if part.data is None else data_url(part.mime, part.data, part.kind)
        if part.kind != "image" or url is None:
            return None
        # As OpenRouter tells images (https://openrouter.ai/docs/features/multimodal/image-generation, seen
        # 2026-11).
        image = {"type": "image_url", "index": self._images, "image_url": {"url": url}}
        self._images += 1
        return {"images": [image]}


def _proof(signature: str) -> Values:
    return {"extra_content": {"google": {"thought_signature": signature}}}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class MessageSum:
    """The sum of pieces: a whole message."""

    __slots__ = ("_calls", "_details", "_message")

    def __init__(self) -> None:
        self._message: Values = {"role": "assistant", "content": None, "refusal": None}
        self._calls: dict[object, Values] = {}
        self._details: dict[object, Values] = {}

    def plain(self, field: str, text: str) -> None:
        """The same as adding `{field: text}`."""
        self._message[field] = text_of(self._message.get(field)) + text

    def add(self, delta: Values) -> None:
        message = self._message
        for name, value in delta.items():
            if name == "tool_calls":
                for piece in _list(value):
                    assert isinstance(piece, dict)  # we made it
                    _join(self._calls.setdefault(piece["index"], {}), piece)
            elif name == "reasoning_details":
                for piece in _list(value):
                    assert isinstance(piece, dict)
                    _join(self._details.setdefault(piece["index"], {}), piece)
            elif isinstance(value, list):
                message[name] = [*_list(message.get(name)), *value]
            else:
                _join(message, {name: value})

    def whole(self) -> Values:
        message = self._message
        for name in ("annotations", "images"):
            if name in message:
                message[name] = [_unnumbered(piece) for piece in _list(message[name])]
        if self._details:
            message["reasoning_details"] = list(self._details.values())
        if self._calls:
            message["tool_calls"] = [_unnumbered(call) for call in self._calls.values()]
        return message


def _unnumbered(piece: object) -> Values:
    """Only the lists of a stream are numbered."""
    return {name: value for name, value in object_of(piece).items() if name != "index"}


_NAMES: Final = frozenset(("type", "format", "id", "index", "name", "role"))


def _join(whole: Values, piece: Values) -> None:
    for name, value in piece.items():
        known = whole.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            _join(known, value)
        elif isinstance(value, str) and name not in _NAMES:
            whole[name] = text_of(known) + value
        else:
            whole[name] = dict(value) if isinstance(value, dict) else value


def logprobs_sum(pieces: list[Values]) -> Values | None:
    """The log probabilities of a whole answer from those of its pieces."""
    whole: Values = {}
    for piece in pieces:
        for name, value in piece.items():
            whole[name] = [*_list(whole.get(name)), *value] if isinstance(value, list) else whole.get(name)
    return whole or None
