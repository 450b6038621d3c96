"""An answer read into the hub's events: whole, or as a stream of events
(https://docs.anthropic.com/en/docs/build-with-claude/streaming, seen 2026-11). Both go through
`ReplyReading`: a whole answer is read as if each of its blocks had come in one piece.

Blocks that only Anthropic understands are told whole, at their end; all else as it comes. Unheard-of events
and deltas are tolerated.
"""

from typing import Final

import msgspec

from chatvault.wire.anthropic.answer_text import NAMES, AnswerText
from chatvault.wire.anthropic.errors import read_error
from chatvault.wire.anthropic.finish import reason_of
from chatvault.wire.anthropic.names import ME
from chatvault.wire.anthropic.plain_reader import read_plain, tier_of
from chatvault.wire.anthropic.searches import citations_in, search_in
from chatvault.wire.anthropic.tool_input import INVALID_JSON, arguments_of
from chatvault.wire.anthropic.usage import merged, normalise
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    CitationTold,
    Ended,
    Finished,
    PartBegun,
    PartEnded,
    Pinged,
    SignatureTold,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import AnyPart, Text, Thought, ToolCall, Unknown
from chatvault.wire.json_value import (
    Values,
    decode,
    encode,
    list_of,
    name_of,
    number_of,
    object_of,
    raw,
    text_of,
)
from chatvault.wire.taken import unread

_EMPTY: Final = Text(text="")


class _Block(msgspec.Struct, gc=False):
    """A content block that is open. `whole` gathers one that only Anthropic understands; `answer` turns a
    structured answer back into text; `told` is whether a tool's arguments were.
    """

    index: int = -1
    whole: Values | None = None
    text: list[str] = []
    answer: AnswerText | None = None
    given: Values | None = None
    told: bool = False


class ReplyReading:
    """The one mapping. Feed it the API's events as values."""

    __slots__ = (
        "_answered",
        "_blocks",
        "_called",
        "_count",
        "_usage",
        "begun",
        "ended",
        "failed",
        "finished",
    )

    def __init__(self) -> None:
        self._blocks: dict[int | None, _Block] = {}
        self._count = 0
        self._usage: Values = {}
        self._answered = self._called = False
        self.begun = self.finished = self.ended = self.failed = False

    def event(self, values: Values) -> list[AnyEvent]:
        """Any event but the commonest deltas, which `delta` takes without values."""
        kind, at = values.get("type"), number_of(values.get("index"))
        if self.ended or self.failed:
            return []
        match kind:
            case "message_start":
                return self.start(object_of(values.get("message")))
            case "content_block_start":
                return self.block_start(at, object_of(values.get("content_block")))
            case "content_block_delta":
                return self._delta(at, object_of(values.get("delta")))
            case "content_block_stop":
                return self.block_stop(at)
            case "message_delta":
                return self.message_delta(object_of(values.get("delta")), object_of(values.get("usage")))
            case "message_stop":
                return self.stop()
            case "ping":
                return [Pinged()]
        if kind == "error" or (kind is None and values.get("error")):
            self.failed = True
            return [read_error(None, encode(values))]
        return []

    def start(self, message: Values) -> list[AnyEvent]:
        usage = object_of(message.get("usage"))
        if self.begun:
            return [
                *self._close(),
                *self._used(usage),
            ]  # some gateways begin again where they went on elsewhere
        self.begun = True
        begun = Begun(
            id=name_of(message.get("id")),
            model=name_of(message.get("model")),
            service_tier=tier_of(usage),
        )
        return [begun, *self._used(usage)]

    def _used(self, usage: Values) -> list[AnyEvent]:
        if not usage:
            return []
        self._usage = merged(self._usage, usage)
        counted = normalise(self._usage)
        return [UsageTold(usage=counted)] if counted is not None else []

    def block_start(self, at: int | None, block: Values) -> list[AnyEvent]:
        """`block` may hold all that the API tells in deltas as well."""
        found = self.block_stop(at) if at in self._blocks else []
        kind = block.get("type")
        text = block.get("text")
        if kind == "text" and len(block) == 2 and type(text) is str:
            opened = self._blocks[at] = _Block()
            found += self._begin(opened, _EMPTY)  # what nearly all blocks are; the same as below
            if text:
                found.append(TextDelta(index=opened.index, text=text))
            return found
        rest = {name: value for name, value in block.items() if name != "type"}
        opened = self._blocks[at] = _Block()
        match kind:
            case "text":
                found += self._text(at, opened, rest)
            case "thinking":
                found += self._thinking(at, opened, rest)
            case "redacted_thinking":
                sealed = text_of(rest.pop("data", None))
                found += self._begin(opened, Thought(sealed=sealed, origin=ME, extra=unread(rest)))
            case "tool_use":
                found += self._tool_use(opened, rest)
            case _:
                opened.whole = dict(block)
        return found

    def _text(self, at: int | None, block: _Block, rest: Values) -> list[AnyEvent]:
        text, citations = text_of(rest.pop("text", None)), list_of(rest.pop("citations", None))
        extra = unread(rest)
        found = self._begin(block, Text(text="", origin=ME if extra else None, extra=extra))
        found += self.delta(at, "text_delta", text) if text else []
        for citation in citations:
            found += self._delta(at, {"type": "citations_delta", "citation": citation})
        return found

    def _thinking(self, at: int | None, block: _Block, rest: Values) -> list[AnyEvent]:
        text, signature = text_of(rest.pop("thinking", None)), text_of(rest.pop("signature", None))
        found = self._begin(block, Thought(origin=ME, extra=unread(rest)))
        found += self.delta(at, "thinking_delta", text) if text else []
        if signature:
            found += self._delta(at, {"type": "signature_delta", "signature": signature})
        return found

    def _tool_use(self, block: _Block, rest: Values) -> list[AnyEvent]:
        block.given = object_of(rest.pop("input", None))
        id, name = text_of(rest.pop("id", None)), text_of(rest.pop("name", None))
        if name in NAMES:
            block.answer = AnswerText(name)
            self._answered = True
            return self._begin(block, Text(text=""))
        self._called = True
        extra = unread(rest)
        call = ToolCall(
            id=id or f"toolu_{self._count}",
            name=name,
            arguments="",
            origin=ME if extra else None,
            extra=extra,
        )
        return self._begin(block, call)

    def _begin(self, block: _Block, part: AnyPart) -> list[AnyEvent]:
        block.index = self._count
        self._count += 1
        return [PartBegun(index=block.index, part=part)]

    def delta(self, at: int | None, kind: str, text: str) -> list[AnyEvent]:
        """The deltas that streams are made of."""
        block = self._blocks.get(at)
        if block is not None and block.whole is None and kind != "input_json_delta":
            return [TextDelta(index=block.index, text=text)]
        found: list[AnyEvent] = []
        if block is None:
            if kind == "input_json_delta":
                return []
            # A provider forgot to say that the block begins.
            found = self.block_start(at, {"type": "thinking" if kind == "thinking_delta" else "text"})
            block = self._blocks[at]
        if block.whole is not None:
            block.text.append(text)
        elif kind != "input_json_delta":
            found.append(TextDelta(index=block.index, text=text))
        elif text and block.answer is not None:
            block.told = True
            if shown := block.answer.feed(text):
                found.append(TextDelta(index=block.index, text=shown))
        elif text:
            block.told = True
            found.append(ArgumentsDelta(index=block.index, text=text))
        return found

    def _delta(self, at: int | None, delta: Values) -> list[AnyEvent]:
        kind = text_of(delta.get("type"))
        for known, name in _TEXTS.items():
            if kind == known:
                return self.delta(at, kind, text_of(delta.get(name)))
        block = self._blocks.get(at)
        if block is None:
            return []
        if block.whole is not None:
            _gather(block.whole, delta)
        elif kind == "signature_delta" and isinstance(delta.get("signature"), str):
            return [SignatureTold(index=block.index, signature=text_of(delta["signature"]))]
        elif kind == "citations_delta" and delta.get("citation") is not None:
            citation = delta["citation"]
            cited = citations_in(object_of(citation))
            return [CitationTold(index=block.index, raw=raw(citation), origin=ME, cited=cited)]
        return []

    def block_stop(self, at: int | None) -> list[AnyEvent]:
        block = self._blocks.pop(at, None)
        if block is None:
            return []
        found: list[AnyEvent] = []
        if block.whole is not None:
            found += self._begin(block, _unknown(block.whole, "".join(block.text)))
        elif block.given is not None and not block.told:
            found += self._arguments(block, arguments_of(block.given))
        if block.answer is not None and (rest := block.answer.end()):
            found.append(TextDelta(index=block.index, text=rest))
        return [*found, PartEnded(index=block.index)]

    def _arguments(self, block: _Block, text: str) -> list[AnyEvent]:
        """Those that came with the call and not behind it; a call without any has an empty object."""
        if block.answer is None:
            return [ArgumentsDelta(index=block.index, text=text)]
        shown = block.answer.feed(text)
        return [TextDelta(index=block.index, text=shown)] if shown else []

    def message_delta(self, delta: Values, usage: Values) -> list[AnyEvent]:
        found = self._close()
        found += self._used(usage)
        said = name_of(delta.get("stop_reason"))
        if said is None or self.finished:
            return found
        self.finished = True
        reason = reason_of(said)
        if reason == "tool_calls" and self._answered and not self._called:
            reason, said = "stop", None
        sequence, details = delta.get("stop_sequence"), delta.get("stop_details")
        if sequence is None and details is None:
            found.append(Finished(reason=reason, said=said))
            return found
        finished = Finished(
            reason=reason,
            said=said,
            sequence=name_of(sequence),
            detail=name_of(object_of(details).get("explanation")),
        )
        return [*found, finished]

    def _close(self) -> list[AnyEvent]:
        if not self._blocks:
            return []
        return [event for at in list(self._blocks) for event in self.block_stop(at)]

    def stop(self) -> list[AnyEvent]:
        self.ended = True
        return [*self._close(), Ended()]


_TEXTS: Final = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking"}


def _gather(whole: Values, delta: Values) -> None:
    """A delta of a block nobody else understands: its members join the block's."""
    for name, value in delta.items():
        if name == "type":
            continue
        if name == "citation":
            whole["citations"] = [*list_of(whole.get("citations")), value]
            continue
        had = whole.get(name)
        whole[name] = had + value if isinstance(had, str) and isinstance(value, str) else value


def _unknown(whole: Values, text: str) -> Unknown:
    """`text` is what came of the input of a server's tool."""
    if text:
        try:
            whole["input"] = decode(text.encode())
        except ValueError:
            whole["input"] = {INVALID_JSON: text}
    return Unknown(kind=text_of(whole.get("type")), raw=raw(whole), search=search_in(whole), origin=ME)


def read_reply(body: bytes) -> list[AnyEvent]:
    """A whole answer. Raises ValueError for what is none of this dialect."""
    plain = read_plain(body)
    if plain is not None:
        return plain.events(usage_first=True)
    values = decode(body)
    if not isinstance(values, dict):
        raise ValueError("The answer is JSON, but not an object.")
    if values.get("type") == "error" or ("content" not in values and values.get("error")):
        return [read_error(None, body)]
    content = values.get("content")
    if not isinstance(content, list | str):
        raise ValueError("The answer is no message of Anthropic's: it has no content.")
    reading = ReplyReading()
    found = reading.start(values)
    for at, block in enumerate([{"type": "text", "text": content}] if isinstance(content, str) else content):
        found += reading.block_start(at, object_of(block))
        found += reading.block_stop(at)
    found += reading.message_delta(values, {})
    return [*found, *reading.stop()]
