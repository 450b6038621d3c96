"""The hub's events written as a stream of this dialect's
(https://docs.anthropic.com/en/docs/build-with-claude/streaming, seen 2026-11). A whole answer is the same stream
folded together (`whole_writer.py`).

Content blocks come one behind the other here. A part that begins while another is open waits until that one
has ended.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from chatvault.core.ids import new_id
from chatvault.core.usage import Usage
from chatvault.wire.anthropic.carrier import Proof, pack
from chatvault.wire.anthropic.errors import write_error_event
from chatvault.wire.anthropic.finish import READ, word_of
from chatvault.wire.anthropic.names import ME
from chatvault.wire.anthropic.searches import search_blocks, written_citation
from chatvault.wire.anthropic.tool_input import CUSTOM_INPUT
from chatvault.wire.anthropic.usage import retold
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    CitationTold,
    Ended,
    Failed,
    Finished,
    FinishReason,
    PartBegun,
    PartEnded,
    PartEvent,
    Pinged,
    SignatureTold,
    TextDelta,
    UsageTold,
    of_part,
)
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, Unknown
from chatvault.wire.hub.plain_answer import PlainAnswer
from chatvault.wire.json_value import Values, decode, encode, object_of, put

_TIERS: Final = {"default": "standard", "priority": "priority", "batch": "batch"}
_UNTOLD: Final = Usage()
_CUSTOM_BEGINS: Final = f'{{"{CUSTOM_INPUT}":"'
_CUSTOM_ENDS: Final = '"}'


class ReplyWriting:
    """The one mapping: the hub's events in, the API's events out as values. A `Failed` is not among them."""

    __slots__ = (
        "_at",
        "_begun",
        "_block",
        "_called",
        "_count",
        "_finished",
        "_model",
        "_open",
        "_proof",
        "_refused",
        "_started",
        "_usage",
        "_waiting",
    )

    def __init__(self, model: str) -> None:
        self._model = model
        self._begun = Begun()
        self._started = False
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._open: int | None = None
        """The part that is being told."""
        self._block: AnyPart | None = None
        self._at = -1
        self._count = 0
        self._proof: Proof | None = None
        self._waiting: dict[int, list[PartEvent]] = {}
        self._called = self._refused = False

    def plain(self, event: TextDelta | ArgumentsDelta) -> tuple[int, str] | None:
        """What streams are made of: more of the open block, and nothing else. The block's number, and what kind
        of delta it is; None for what goes the long way."""
        block = self._block
        if block is None or event.index != self._open or event.choice:
            return None
        if type(event) is ArgumentsDelta:
            return (self._at, "input_json") if type(block) is ToolCall and not block.custom else None
        return self._at, "thinking" if type(block) is Thought else "text"

    def event(self, event: AnyEvent) -> list[Values]:
        if of_part(event):
            if event.choice:
                return []  # one alternative is all this dialect has
            return self._part(event) if self._started else [*self.start(), *self._part(event)]
        if type(event) is Begun:
            self._begun = event
        elif type(event) is UsageTold:
            self._usage = event.usage
        elif type(event) is Pinged:
            return [{"type": "ping"}]
        elif type(event) is Finished and event.choice == 0:
            self._finished = event
        elif type(event) is Ended:
            return [*self.start(), *self._end()]
        return []

    def start(self) -> list[Values]:
        """`message_start`, once: as late as the first part, so that usage told by then is in it."""
        if self._started:
            return []
        self._started = True
        message = _message(self._begun, self._model, [], _NOT_STOPPED, self._usage)
        return [{"type": "message_start", "message": message}]

    def _part(self, event: PartEvent) -> list[Values]:
        if self._open is None and type(event) is PartBegun:
            self._open = event.index
            return self._begin(event.part)
        if event.index != self._open:
            if type(event) is PartBegun or event.index in self._waiting:
                self._waiting.setdefault(event.index, []).append(event)
            return []
        if type(event) is not PartEnded:
            return self._more(event)
        found = self._stop()
        return found + self._resume() if self._waiting else found

    def _resume(self) -> list[Values]:
        """The parts that waited, up to the first that has not ended yet."""
        found: list[Values] = []
        while self._open is None and self._waiting:
            for waited in self._waiting.pop(next(iter(self._waiting))):
                found += self._part(waited)
        return found

    def _begin(self, part: AnyPart) -> list[Values]:
        self._block = part
        if type(part) is Text or type(part) is Refusal:
            self._refused |= type(part) is Refusal
            found = self._block_start({"type": "text", "text": ""})
            return found + self._text_delta(part.text) if part.text else found
        match part:
            case Thought():
                return self._thought(part)
            case ToolCall():
                self._called = True
                found = []
                if part.signature and part.origin not in (None, ME):
                    found = self._carried(part, part.signature)
                found += self._block_start(
                    {"type": "tool_use", "id": part.id, "name": part.name, "input": {}} | _extra(part)
                )
                if part.custom:
                    found += self._input_delta(_CUSTOM_BEGINS)
                return found + (self._arguments(part, part.arguments) if part.arguments else [])
            case Unknown() if part.origin == ME:
                return self._whole(object_of(decode(bytes(part.raw))))
            case Unknown() if part.search is not None:
                return self._searched(search_blocks(part.search))
            case Media() if part.data is not None or part.url is not None:
                source = {"type": "base64", "media_type": part.mime, "data": part.data}
                if part.data is None:
                    source = {"type": "url", "url": part.url}
                return self._block_start({"type": part.kind, "source": source})
        self._block = None
        return []

    def _thought(self, part: Thought) -> list[Values]:
        self._proof = None
        if part.sealed is not None and part.origin == ME:
            return self._block_start({"type": "redacted_thinking", "data": part.sealed} | _extra(part))
        found = self._block_start({"type": "thinking", "thinking": "", "signature": ""} | _extra(part))
        if part.origin not in (None, ME):
            self._proof = Proof(
                origin=part.origin or "",
                signature=part.signature,
                sealed=part.sealed,
                id=part.id,
                summary=part.summary,
            )
        elif part.signature:
            found += self._signature_delta(part.signature)
        return found + (self._text_delta(part.text) if part.text else [])

    def _whole(self, block: Values) -> list[Values]:
        """A block as Anthropic streams it: the input of a server's tool in a delta, the rest at once."""
        given = block.get("input")
        if not isinstance(given, dict) or not given:
            return self._block_start(block)
        return self._block_start(block | {"input": {}}) + self._input_delta(encode(given).decode())

    def _searched(self, blocks: list[Values]) -> list[Values]:
        """The last of them ends with the part."""
        found: list[Values] = []
        for at, block in enumerate(blocks):
            if at:
                found.append({"type": "content_block_stop", "index": self._at})
            found += self._whole(block)
        return found

    def _carried(self, call: ToolCall, signature: str) -> list[Values]:
        """A block that takes along the proof of a call that another provider signed."""
        proof = Proof(origin=call.origin or "", call=call.id, signature=signature)
        found = self._block_start({"type": "redacted_thinking", "data": pack(proof)})
        found.append({"type": "content_block_stop", "index": self._at})
        return found

    def _more(self, event: PartEvent) -> list[Values]:
        block = self._block
        match event:
            case TextDelta() if block is not None:
                return self._text_delta(event.text)
            case ArgumentsDelta() if isinstance(block, ToolCall):
                return self._arguments(block, event.text)
            case SignatureTold() if isinstance(block, Thought):
                if block.origin in (None, ME):
                    return self._signature_delta(event.signature) if event.signature else []
                proof = self._proof or Proof(origin=block.origin or "")
                self._proof = msgspec.structs.replace(
                    proof, signature=event.signature or proof.signature, sealed=event.sealed or proof.sealed
                )
            case SignatureTold() if isinstance(block, ToolCall) and event.signature:
                self._proof = Proof(origin=block.origin or "", call=block.id, signature=event.signature)
            case CitationTold() if block is not None:
                return [
                    each
                    for citation in _citations(event)
                    for each in self._delta({"type": "citations_delta", "citation": citation})
                ]
        return []

    def _stop(self) -> list[Values]:
        """End the open part, if there is one."""
        found: list[Values] = []
        block, proof, self._proof = self._block, self._proof, None
        if type(block) is Thought and proof is not None:
            found += self._signature_delta(pack(proof))
        called = block if type(block) is ToolCall else None
        if called is not None and called.custom:
            found += self._input_delta(_CUSTOM_ENDS)
        if block is not None:
            found.append({"type": "content_block_stop", "index": self._at})
        if called is not None and proof is not None and called.origin not in (None, ME):
            found += self._carried(called, proof.signature or "")
        self._open = self._block = None
        return found

    def _block_start(self, block: Values) -> list[Values]:
        self._at = self._count
        self._count += 1
        return [{"type": "content_block_start", "index": self._at, "content_block": block}]

    def _delta(self, delta: Values) -> list[Values]:
        return [{"type": "content_block_delta", "index": self._at, "delta": delta}]

    def _text_delta(self, text: str) -> list[Values]:
        if isinstance(self._block, Thought):
            return self._delta({"type": "thinking_delta", "thinking": text})
        return self._delta({"type": "text_delta", "text": text})

    def _arguments(self, call: ToolCall, text: str) -> list[Values]:
        """Free text of a custom tool becomes the text of a JSON string, as it comes."""
        return self._input_delta(encode(text).decode()[1:-1] if call.custom else text)

    def _input_delta(self, text: str) -> list[Values]:
        return self._delta({"type": "input_json_delta", "partial_json": text})

    def _signature_delta(self, signature: str) -> list[Values]:
        return self._delta({"type": "signature_delta", "signature": signature})

    def _end(self) -> list[Values]:
        found: list[Values] = []
        while self._open is not None or self._waiting:
            found += self._stop() + self._resume()
        finished = self._finished or Finished(reason="stop")
        reason = finished.reason
        if finished.said in READ:
            pass  # this dialect's own word needs no correction
        elif reason == "stop" and self._called:
            reason = "tool_calls"
        elif reason == "stop" and self._refused:
            reason = "refusal"
        delta = _stopped(finished, reason)
        found.append({"type": "message_delta", "delta": delta, "usage": retold(self._usage or _UNTOLD)})
        found.append({"type": "message_stop"})
        return found


_NOT_STOPPED: Final[Values] = {"stop_reason": None, "stop_sequence": None}


def _message(begun: Begun, model: str, content: list[Values], stopped: Values, usage: Usage | None) -> Values:
    told = retold(usage or _UNTOLD)
    put(told, service_tier=_TIERS.get(begun.service_tier or ""))
    return {
        "id": begun.id or f"msg_{new_id()}",
        "type": "message",
        "role": "assistant",
        "model": begun.model or model,
        "content": content,
        **stopped,
        "usage": told,
    }


def _stopped(finished: Finished, reason: FinishReason) -> Values:
    said: Values = {"stop_reason": word_of(reason, finished.said), "stop_sequence": finished.sequence}
    if finished.detail is not None:
        said["stop_details"] = {"type": "refusal", "category": None, "explanation": finished.detail}
    return said


def plain_message(answer: PlainAnswer, model: str) -> Values:
    """A whole answer that is one text: the same as its stream folded together."""
    content: list[Values] = [{"type": "text", "text": answer.text}]
    stopped = _stopped(answer.finished, answer.finished.reason)
    return _message(answer.begun, model, content, stopped, answer.usage)


def _extra(part: AnyPart) -> Values:
    return dict(part.extra) if part.extra and part.origin == ME else {}


def _citations(event: CitationTold) -> list[object]:
    """Anthropic's own as it came, pages of the web from others; none for what has no counterpart."""
    return [event.raw] if event.origin == ME else [written_citation(each) for each in event.cited]


class ReplyStreamWriter:
    """A client's stream out."""

    __slots__ = ("_over", "_writing")

    def __init__(self, model: str) -> None:
        self._writing = ReplyWriting(model)
        self._over = False

    def feed(self, events: Iterable[AnyEvent]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._over:
                break
            if type(event) is TextDelta or type(event) is ArgumentsDelta:
                plain = self._writing.plain(event)
                if plain is not None:  # the same as below
                    at, kind = plain
                    out.append(_FRAMES[kind] % (at, encode(event.text)))
                    continue
            failed = failure_of(event)
            if failed is not None:
                self._over = True
                out.append(write_error_event(failed))
                break
            out += map(sse, self._writing.event(event))
            self._over = type(event) is Ended
        return out[0] if len(out) == 1 else b"".join(out)


_FRAMES: Final = {
    kind: b"event: content_block_delta\ndata: "
    b'{"type":"content_block_delta","index":%%d,"delta":{"type":"%b_delta","%b":%%b}}\n\n'
    % (kind.encode(), name)
    for kind, name in (("text", b"text"), ("thinking", b"thinking"), ("input_json", b"partial_json"))
}
"""What `sse` makes of a delta, but for its block's number and its text."""


def sse(values: Values) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(values["type"]).encode(), encode(values))


def failure_of(event: AnyEvent) -> Failed | None:
    """An answer that ended with an error, which this dialect has no reason for, is an error here."""
    if type(event) is Finished and event.reason == "error" and event.choice == 0:
        return Failed(
            message=event.detail or "The provider ended its answer with an error.", kind="api_error"
        )
    return event if type(event) is Failed else None
