"""Bedrock's answers as events: whole, or as a stream of messages
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html, 2026-11). A whole answer is
read as if each of its blocks had come in one piece.

Blocks that only Bedrock understands (what its own tools were asked and said) are told whole, at their end.
"""

from typing import Final

import msgspec

from chatvault.wire.anthropic.answer_text import NAMES, AnswerText
from chatvault.wire.bedrock.errors import failure
from chatvault.wire.bedrock.event_stream import Message, MessageReader
from chatvault.wire.bedrock.finish import reason_of
from chatvault.wire.bedrock.names import DIALECT
from chatvault.wire.bedrock.usage import normalise
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    CitationTold,
    Ended,
    Finished,
    PartBegun,
    PartEnded,
    SignatureTold,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import AnyPart, Media, Text, Thought, ToolCall, Unknown
from chatvault.wire.json_value import (
    Values,
    decode_object,
    encode,
    integer,
    obj,
    object_of,
    objects_of,
    raw,
    text,
)

_TIERS: Final = {"standard": "default"}


class _Block(msgspec.Struct, gc=False):
    """A content block that is open. `index` is below 0 until it is known what it is; `whole` gathers one that is told
    in one piece; `answer` turns a structured answer back into text; `told` is whether a call's input was.
    """

    index: int = -1
    whole: Values | None = None
    answer: AnswerText | None = None
    called: bool = False
    told: bool = False


class ReplyReading:
    """The one mapping. Feed it the API's events by name; what nobody has heard of is tolerated."""

    __slots__ = ("_answered", "_begun", "_blocks", "_called", "_count", "_finished", "_usage")

    def __init__(self) -> None:
        self._blocks: dict[int | None, _Block] = {}
        self._count = 0
        self._begun = self._answered = self._called = False
        self._finished: Finished | None = None
        self._usage: UsageTold | None = None

    @property
    def finished(self) -> bool:
        return self._finished is not None

    def event(self, name: str, values: Values) -> list[AnyEvent]:
        at = integer(values.get("contentBlockIndex"))
        match name:
            case "contentBlockDelta":
                return self._delta(at, object_of(values.get("delta")))
            case "contentBlockStart":
                return self._start(at, object_of(values.get("start")))
            case "contentBlockStop":
                return self._stop(at)
            case "messageStart":
                return self.begin()
            case "messageStop":
                return self.stop(values)
            case "metadata":
                self.metadata(values)
        return []

    def begin(self, tier: str | None = None) -> list[AnyEvent]:
        if self._begun:
            return []
        self._begun = True
        return [Begun(service_tier=_TIERS.get(tier or "", tier))]

    # --- blocks

    def block(self, at: int, block: Values) -> list[AnyEvent]:
        """A block of a whole answer."""
        call, thought = obj(block.get("toolUse")), obj(block.get("reasoningContent"))
        cited = obj(block.get("citationsContent"))
        said = text(block.get("text"))
        if said is not None:
            return [*self._delta(at, {"text": said}), *self._stop(at)]
        if call is not None and call.get("type") != "server_tool_use":
            found = self._start(at, {"toolUse": call})
            return [*found, *self._input(self._blocks[at], _arguments(call.get("input"))), *self._stop(at)]
        if thought is not None:
            proved = obj(thought.get("reasoningText"))
            deltas = [thought] if proved is None else [{name: value} for name, value in proved.items()]
            found = [event for each in deltas for event in self._delta(at, {"reasoningContent": each})]
            return [*found, *self._stop(at)]
        if cited is not None:
            deltas = [{"text": each.get("text")} for each in objects_of(cited.get("content"))]
            deltas += [{"citation": each} for each in objects_of(cited.get("citations"))]
            return [*(event for each in deltas for event in self._delta(at, each)), *self._stop(at)]
        self._blocks[at] = _Block(whole=block)
        return self._stop(at)

    def _start(self, at: int | None, start: Values) -> list[AnyEvent]:
        found = [*self.begin(), *self._stop(at)]
        block = self._blocks[at] = _Block()
        call = obj(start.get("toolUse"))
        if call is None or call.get("type") == "server_tool_use":
            block.whole = dict(start) or None  # of a text nothing is said before it comes
            return found
        name = text(call.get("name")) or ""
        if name in NAMES:
            block.answer = AnswerText(name)
            self._answered = True
            return [*found, *self._open(block, Text(text=""))]
        block.called = self._called = True
        made = text(call.get("toolUseId")) or f"tooluse_{self._count}"
        return [*found, *self._open(block, ToolCall(id=made, name=name, arguments=""))]

    def _delta(self, at: int | None, delta: Values) -> list[AnyEvent]:
        found = self.begin()
        block = self._blocks.get(at)
        if block is None:
            block = self._blocks[at] = _Block()
        if block.whole is not None:
            _gather(block.whole, delta)
            return found
        said, thought, call = (
            text(delta.get("text")),
            obj(delta.get("reasoningContent")),
            obj(delta.get("toolUse")),
        )
        if said is not None:
            return [*found, *self._say(block, Text(text=""), said)]
        if thought is not None:
            return [*found, *self._think(block, thought)]
        if call is not None:
            return [*found, *self._input(block, text(call.get("input")) or "")]
        citation = obj(delta.get("citation"))
        if citation is not None:
            found += self._open(block, Text(text="")) if block.index < 0 else []
            return [*found, CitationTold(index=block.index, raw=raw(citation), origin=DIALECT)]
        if block.index < 0 and delta:
            block.whole = {}
            _gather(block.whole, delta)
        return found

    def _say(self, block: _Block, part: AnyPart, said: str) -> list[AnyEvent]:
        if block.index < 0:
            if not said:
                return []  # some models begin with an empty text
            return [*self._open(block, part), TextDelta(index=block.index, text=said)]
        return [TextDelta(index=block.index, text=said)] if said else []

    def _think(self, block: _Block, thought: Values) -> list[AnyEvent]:
        said, signature, sealed = (
            text(thought.get(name)) for name in ("text", "signature", "redactedContent")
        )
        found: list[AnyEvent] = []
        if sealed is not None and block.index < 0:
            return self._open(block, Thought(sealed=sealed, origin=DIALECT))
        if said:
            found += self._say(block, Thought(origin=DIALECT), said)
        if signature or sealed:
            if block.index < 0:
                found += self._open(block, Thought(origin=DIALECT))
            found.append(SignatureTold(index=block.index, signature=signature or None, sealed=sealed))
        return found

    def _input(self, block: _Block, said: str) -> list[AnyEvent]:
        if not said:
            return []
        block.told = True
        if block.answer is not None:
            shown = block.answer.feed(said)
            return [TextDelta(index=block.index, text=shown)] if shown else []
        return [ArgumentsDelta(index=block.index, text=said)] if block.called else []

    def _open(self, block: _Block, part: AnyPart) -> list[AnyEvent]:
        block.index = self._count
        self._count += 1
        return [PartBegun(index=block.index, part=part)]

    def _stop(self, at: int | None) -> list[AnyEvent]:
        block = self._blocks.pop(at, None)
        if block is None:
            return []
        found: list[AnyEvent] = []
        if block.whole is not None:
            found += self._open(block, _whole_part(block.whole))
        elif block.called and not block.told:
            found += self._input(block, "{}")
        elif block.answer is not None and (rest := block.answer.end()):
            found.append(TextDelta(index=block.index, text=rest))
        return [*found, PartEnded(index=block.index)] if block.index >= 0 else found

    # --- the end

    def stop(self, values: Values) -> list[AnyEvent]:
        found = [*self.begin(), *(event for at in [*self._blocks] for event in self._stop(at))]
        said = text(values.get("stopReason")) or "end_turn"
        reason = reason_of(said)
        if reason == "tool_calls" and self._answered and not self._called:
            reason, said = "stop", "end_turn"
        more = object_of(values.get("additionalModelResponseFields"))
        self._finished = self._finished or Finished(
            reason=reason, said=said, sequence=text(more.get("stop_sequence")), detail=_guarded(values)
        )
        return found

    def metadata(self, values: Values) -> None:
        usage = normalise(object_of(values.get("usage")))
        if usage is not None:
            self._usage = UsageTold(usage=usage)
        detail = _guarded(values)
        if detail is not None and self._finished is not None and self._finished.detail is None:
            self._finished = msgspec.structs.replace(self._finished, detail=detail)

    def end(self) -> list[AnyEvent]:
        """What is told at the end: the usage, which comes last here, before the reason. Empty: the answer was cut."""
        if self._finished is None:
            return [self._usage] if self._usage is not None else []
        return [*([self._usage] if self._usage is not None else []), self._finished, Ended()]


def _whole_part(whole: Values) -> AnyPart:
    image = obj(whole.get("image"))
    data = text(object_of(image.get("source")).get("bytes")) if image is not None else None
    if image is not None and data is not None:
        return Media(kind="image", mime=f"image/{text(image.get('format')) or 'png'}", data=data)
    return Unknown(kind=next(iter(whole), ""), raw=raw(whole), origin=DIALECT)


def _gather(whole: Values, delta: Values) -> None:
    """A delta of a block that is told whole: its texts and lists grow, and what is new is added."""
    for name, value in delta.items():
        had = whole.get(name)
        if isinstance(had, dict) and isinstance(value, dict):
            _gather(had, value)
        elif isinstance(had, str) and isinstance(value, str):
            whole[name] = had + value
        elif isinstance(had, dict) and isinstance(value, list):
            had["content"] = [*(content if isinstance(content := had.get("content"), list) else []), *value]
        else:
            whole[name] = value


def _arguments(given: object) -> str:
    return encode(given if given is not None else {}).decode()


def _guarded(values: Values) -> str | None:
    """Why a guardrail stepped in."""
    guardrail = object_of(object_of(values.get("trace")).get("guardrail"))
    return text(guardrail.get("actionReason"))


def read_reply(body: bytes) -> list[AnyEvent]:
    """A whole answer. Raises ValueError for what is none of this dialect."""
    values = decode_object(body)
    message = obj(object_of(values.get("output")).get("message"))
    content = message.get("content") if message is not None else None
    if not isinstance(content, list):
        raise ValueError("The answer is no message of Bedrock's: it has no content.")
    reading = ReplyReading()
    found = reading.begin(text(object_of(values.get("serviceTier")).get("type")))
    for at, block in enumerate(objects_of(content)):
        found += reading.block(at, block)
    found += reading.stop(values)
    reading.metadata(values)
    return [*found, *reading.end()]


class ReplyStream:
    """A provider's stream in. The last message is `metadata`, with the usage; all that comes at the end is told with
    it. Raises ValueError for what is no event stream."""

    __slots__ = ("_messages", "_over", "_reading")

    def __init__(self) -> None:
        self._messages = MessageReader()
        self._reading = ReplyReading()
        self._over = False

    def feed(self, data: bytes) -> list[AnyEvent]:
        found: list[AnyEvent] = []
        for message in self._messages.feed(data):
            if not self._over:
                found += self._message(message)
        return found

    def _message(self, message: Message) -> list[AnyEvent]:
        failed = failure(message)
        if failed is not None:
            self._over = True
            return [failed]
        name = message.text(":event-type")
        found = self._reading.event(name, decode_object(message.payload))
        if name == "metadata" and self._reading.finished:
            self._over = True
            found += self._reading.end()
        return found

    def end(self) -> list[AnyEvent]:
        """One that said why it stopped, and nothing of its usage, was whole; one that broke within a message not."""
        if self._over or self._messages.partial:
            return []
        self._over = True
        return self._reading.end()
