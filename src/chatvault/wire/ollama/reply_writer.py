"""Events as Ollama's answers: each batch of a stream becomes a line, a whole reply is all of them in one."""

from collections.abc import Iterable
from typing import Final

from chatvault.core.clock import iso, now_us
from chatvault.core.usage import Usage
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    Ended,
    Failed,
    Finished,
    PartBegun,
    PartEnded,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Media, Refusal, Text, Thought, ToolCall
from chatvault.wire.json_value import Values, decode, encode, obj, objects_of, put
from chatvault.wire.ollama.errors import write_error
from chatvault.wire.ollama.finish import written
from chatvault.wire.ollama.usage import retell

_END_OF_YEARS: Final = 253_402_300_800
"""Seconds since the epoch; what is beyond is no date (some providers count in milliseconds)."""


class ReplyWriter:
    """Events in by `feed`; `take` gives the line they make, None if they make none. Ollama has one choice;
    others are passed over.
    `generate`: in the words of `/api/generate`.
    """

    def __init__(self, model: str, *, generate: bool = False) -> None:
        self._model = model
        self._created: int | None = None
        self._generate = generate
        self._thoughts: set[int] = set()
        self._pending: dict[int, tuple[ToolCall, list[str]]] = {}
        self._called = 0
        self._clear()
        self._finished: Finished | None = None
        self._usage: Usage | None = None
        self._ended = False
        self.failed: Failed | None = None

    def _clear(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._media: list[Values] = []
        self._calls: list[Values] = []
        self._logprobs: list[Values] = []

    def feed(self, event: AnyEvent) -> None:
        match event:
            case TextDelta(choice=0):
                (self._thinking if event.index in self._thoughts else self._text).append(event.text)
                if event.logprobs is not None:
                    self._logprobs += objects_of((obj(decode(event.logprobs)) or {}).get("content"))
            case ArgumentsDelta(choice=0):
                if event.index in self._pending:
                    self._pending[event.index][1].append(event.text)
            case PartBegun(choice=0):
                self._begin(event)
            case PartEnded(choice=0):
                self._end(event.index)
            case Begun():
                self._model = event.model or self._model
                self._created = event.created if (event.created or 0) < _END_OF_YEARS else None
            case UsageTold():
                self._usage = event.usage
            case Finished(choice=0):
                self._finished = event
            case Failed():
                self.failed = event
            case Ended():
                self._ended = True
            case _:
                pass

    def _begin(self, event: PartBegun) -> None:
        match event.part:
            case Text() | Refusal():
                self._text.append(event.part.text)
            case Thought():
                self._thoughts.add(event.index)
                self._thinking.append(event.part.text)
            case Media() as media if media.data is not None or media.url is not None:
                self._media.append(_shown(media))
            case ToolCall():
                self._pending[event.index] = (event.part, [event.part.arguments])
            case _:
                pass

    def _end(self, index: int) -> None:
        if index not in self._pending:
            return
        part, pieces = self._pending.pop(index)
        function: Values = {
            "index": self._called,
            "name": part.name,
            "arguments": _arguments("".join(pieces)),
        }
        self._calls.append({"id": part.id, "function": function})
        self._called += 1

    def take(self) -> Values | None:
        said, thinking = "".join(self._text), "".join(self._thinking)
        calls, media, logprobs, ended = self._calls, self._media, self._logprobs, self._ended
        if not (said or thinking or calls or media or logprobs or ended):
            return None
        self._clear()
        self._ended = False
        created = iso(self._created * 1_000_000 if self._created is not None else now_us())
        out: Values = {"model": self._model, "created_at": created}
        if self._generate:
            out["response"] = said
            if thinking:
                out["thinking"] = thinking
            if media:
                out["media"] = media
        else:
            message: Values = {"role": "assistant", "content": said}
            for name, value in (("thinking", thinking), ("media", media), ("tool_calls", calls)):
                if value:
                    message[name] = value
            out["message"] = message
        out["done"] = ended
        if ended:
            out["done_reason"] = written(self._finished) if self._finished is not None else "stop"
        if logprobs:
            out["logprobs"] = logprobs
        if ended and self._usage is not None:
            out.update(retell(self._usage))
        return out


def _shown(media: Media) -> Values:
    """Ollama's models answer with text alone. What else comes stands where no client looks for anything: its
    library for Python takes `images` of an answer for an error (seen of ollama 0.6, 2026-11).
    """
    out: Values = {"type": media.kind}
    put(out, mime_type=media.mime, data=media.data, url=media.url)
    return out


def _arguments(said: str) -> Values:
    """Arguments that are no JSON object are kept under one name."""
    if not said.strip():
        return {}
    try:
        value = decode(said.encode())
    except (ValueError, UnicodeEncodeError):
        value = said
    return value if isinstance(value, dict) else {"arguments": value}


def whole(events: Iterable[AnyEvent], model: str, *, generate: bool) -> bytes:
    """Raises ValueError for events that make no answer at all."""
    writer = ReplyWriter(model, generate=generate)
    for event in events:
        writer.feed(event)
    if writer.failed is not None:
        return write_error(writer.failed)
    out = writer.take()
    if out is None:
        raise ValueError("the answer is empty")
    return encode(out)


class OllamaStreamWriter:
    def __init__(self, model: str, *, generate: bool) -> None:
        self._writer = ReplyWriter(model, generate=generate)
        self._failed = False

    def feed(self, events: Iterable[AnyEvent]) -> bytes:
        """Nothing follows an error."""
        if self._failed:
            return b""
        for event in events:
            self._writer.feed(event)
        out, failed = self._writer.take(), self._writer.failed
        said = encode(out) + b"\n" if out is not None else b""
        if failed is None:
            return said
        self._failed = True
        return said + write_error(failed) + b"\n"
