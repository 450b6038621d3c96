"""Events as Gemini's answers: each batch of a stream becomes a chunk, a whole reply is all chunks in one."""

from collections.abc import Iterable

import msgspec

from chatvault.core.usage import Usage
from chatvault.wire.gemini.errors import failure_object
from chatvault.wire.gemini.finish import block_reason, written
from chatvault.wire.gemini.grounds import Grounds
from chatvault.wire.gemini.logprobs import write_logprobs
from chatvault.wire.gemini.names import DIALECT
from chatvault.wire.gemini.part_writer import write_part
from chatvault.wire.gemini.signatures import pack
from chatvault.wire.gemini.usage import retell
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    CitationTold,
    Ended,
    Failed,
    Finished,
    PartBegun,
    PartEnded,
    SignatureTold,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Text, Thought, ToolCall, Unknown
from chatvault.wire.json_value import Values, decode_object


class Candidate:
    """What a chunk says of one choice."""

    __slots__ = ("cited", "detail", "finish", "logprobs", "parts")

    def __init__(self) -> None:
        self.parts: list[Values] = []
        self.cited: Values = {}
        self.logprobs: list[msgspec.Raw] = []
        self.finish: str | None = None
        self.detail: str | None = None

    def add(self, part: Values) -> None:
        """Text and thoughts grow as long as no signature ends them."""
        last = self.parts[-1] if self.parts else None
        if (
            last is not None
            and last.keys() - {"thought"} == {"text"}
            and part.keys() - {"thought", "thoughtSignature"} == {"text"}
            and last.get("thought") == part.get("thought")
            and not ("thoughtSignature" in part and "thought" not in part)
        ):
            self.parts[-1] = {**last, **part, "text": f"{last['text']}{part['text']}"}
        else:
            self.parts.append(part)

    def as_object(self, index: int) -> Values:
        out: Values = {}
        if self.parts or self.finish is not None:
            out["content"] = {"parts": self.parts or [{"text": ""}], "role": "model"}
        if self.finish is not None:
            out["finishReason"] = self.finish
        if self.detail is not None:
            out["finishMessage"] = self.detail
        out["index"] = index
        out.update(self.cited)
        logprobs = write_logprobs(self.logprobs)
        if logprobs is not None:
            out["logprobsResult"] = logprobs
        return out


class ReplyWriter:
    """Events in by `feed`; `take` gives the chunk they make, None if they make none. Why choices ended, and
    usage, come with the end.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._id: str | None = None
        self._now: dict[int, Candidate] = {}
        self._calls: dict[tuple[int, int], tuple[ToolCall, list[str]]] = {}
        self._thoughts: dict[tuple[int, int], Thought] = {}
        """As it began, and with a text once there was one."""
        self._grounds: dict[int, Grounds] = {}
        self._finished: list[Finished] = []
        self._usage: Usage | None = None
        self._ended = False
        self.failed: Failed | None = None

    def feed(self, event: AnyEvent) -> None:
        match event:
            case TextDelta():
                self._text(event)
            case ArgumentsDelta():
                call = self._calls.get((event.choice, event.index))
                if call is not None:
                    call[1].append(event.text)
            case PartBegun():
                self._begin(event)
            case PartEnded():
                self._end(event)
            case SignatureTold():
                self._sign(event)
            case CitationTold():
                if event.origin == DIALECT:
                    self._candidate(event.choice).cited.update(decode_object(event.raw))
                elif event.cited:
                    self._grounded(event.choice).cite(event.index, event.cited)
            case Begun():
                self._id, self._model = event.id, event.model or self._model
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finished.append(event)
            case Failed():
                self.failed = event
            case Ended():
                self._ended = True
            case _:
                pass

    def _grounded(self, choice: int) -> Grounds:
        return self._grounds.setdefault(choice, Grounds())

    def _candidate(self, choice: int) -> Candidate:
        return self._now.setdefault(choice, Candidate())

    def _begin(self, event: PartBegun) -> None:
        part, key = event.part, (event.choice, event.index)
        if isinstance(part, ToolCall):
            self._calls[key] = (part, [part.arguments] if part.arguments else [])
            return
        if isinstance(part, Thought):
            self._thoughts[key] = part
        if isinstance(part, Text):
            self._grounded(event.choice).begin(event.index, part.text)
        if isinstance(part, Unknown) and part.search is not None and part.origin != DIALECT:
            self._grounded(event.choice).searches.append(part.search)
            return
        if isinstance(part, Text) and not part.text:
            return
        for each in write_part(part):
            self._candidate(event.choice).add(each)

    def _text(self, event: TextDelta) -> None:
        candidate, key = self._candidate(event.choice), (event.choice, event.index)
        if event.logprobs is not None:
            candidate.logprobs.append(event.logprobs)
        if not event.text:
            return
        if key in self._thoughts:
            self._thoughts[key] = msgspec.structs.replace(self._thoughts[key], text=event.text)
            candidate.add({"text": event.text, "thought": True})
        else:
            candidate.add({"text": event.text})
            self._grounded(event.choice).more(event.text)

    def _sign(self, event: SignatureTold) -> None:
        key = (event.choice, event.index)
        call = self._calls.get(key)
        if call is not None:
            self._calls[key] = (msgspec.structs.replace(call[0], signature=event.signature), call[1])
            return
        thought = self._thoughts.get(key, Thought())
        signature = pack(msgspec.structs.replace(thought, signature=event.signature, sealed=event.sealed))
        if signature is not None:
            part: Values = {"text": "", "thoughtSignature": signature}
            if thought.text:
                part["thought"] = True
            self._candidate(event.choice).add(part)

    def _end(self, event: PartEnded) -> None:
        self._grounded(event.choice).end(event.index)
        call = self._calls.pop((event.choice, event.index), None)
        if call is not None:
            whole = msgspec.structs.replace(call[0], arguments="".join(call[1]))
            for each in write_part(whole):
                self._candidate(event.choice).add(each)

    def take(self) -> Values | None:
        if self.failed is not None:
            return {"error": failure_object(self.failed)}
        now, self._now = self._now, {}
        out: Values = {}
        if self._ended:
            self._ended = False
            for event in self._finished:
                blocked = block_reason(event)
                if blocked is not None:
                    out["promptFeedback"] = {"blockReason": blocked}
                else:
                    candidate = now.setdefault(event.choice, Candidate())
                    candidate.finish, candidate.detail = written(event), event.detail
                    candidate.cited.update(self._grounded(event.choice).written())
            if self._usage is not None:
                out["usageMetadata"] = retell(self._usage)
        elif not now:
            return None
        if now:
            out["candidates"] = [now[choice].as_object(choice) for choice in sorted(now)]
        out["modelVersion"] = self._model
        if self._id is not None:
            out["responseId"] = self._id
        return out


def whole(events: Iterable[AnyEvent], model: str) -> Values:
    """Raises ValueError for events that make no answer at all."""
    writer = ReplyWriter(model)
    for event in events:
        writer.feed(event)
    out = writer.take()
    if out is None:
        raise ValueError("the answer is empty")
    return out
