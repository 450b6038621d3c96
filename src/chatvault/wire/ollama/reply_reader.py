"""Ollama's answers as events: a whole reply is one line, a stream many, and both go through `ReplyReader`."""

from chatvault.core.clock import from_iso
from chatvault.wire.base64_text import standard_base64
from chatvault.wire.call_ids import made_id
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    Ended,
    PartBegun,
    PartEnded,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Media, Text, Thought, ToolCall
from chatvault.wire.json_value import Values, obj, objects_of, raw, text
from chatvault.wire.ollama.errors import failure
from chatvault.wire.ollama.finish import finished
from chatvault.wire.ollama.images import mime_of
from chatvault.wire.ollama.messages_reader import arguments_text
from chatvault.wire.ollama.names import DIALECT
from chatvault.wire.ollama.usage import normalise


class ReplyReader:
    """Lines in, events out; the line that is `done` tells the end. `/api/generate` says at the top what
    `/api/chat` says in a message.
    """

    __slots__ = ("_begun", "_called", "_failed", "_index", "_open", "done")

    def __init__(self) -> None:
        self._begun = False
        self._called = 0
        self._index = -1
        self._open: type[Text] | type[Thought] | None = None
        self._failed = False
        self.done = False

    def line(self, reply: Values) -> list[AnyEvent]:
        """Raises ValueError for what is no line of this dialect."""
        if reply.get("error") is not None:
            self._failed = True
            return [failure(reply)]
        if not reply.keys() & {"message", "response", "done"}:
            raise ValueError("no field of an answer of Ollama")
        out: list[AnyEvent] = []
        created = text(reply.get("created_at")) or ""
        if not self._begun:
            self._begun = True
            out.append(Begun(model=text(reply.get("model")), created=_seconds(created)))
        message = obj(reply.get("message")) or {}
        self._say(Thought, text(message.get("thinking")) or text(reply.get("thinking")), None, out)
        said = text(message.get("content")) or text(reply.get("response"))
        self._say(Text, said, reply.get("logprobs"), out)
        images = message.get("images")
        for each in images if isinstance(images, list) else ():
            if isinstance(each, str):
                self._image(each, out)
        for call in objects_of(message.get("tool_calls")):
            self._call(call, created, out)
        if reply.get("done") is True and not self.done:
            self._end(reply, out)
        return out

    def _end(self, reply: Values, out: list[AnyEvent]) -> None:
        self.done = True
        self._close(out)
        usage = normalise(reply)
        if usage is not None:
            out.append(UsageTold(usage=usage))
        out.append(finished(text(reply.get("done_reason")), called=bool(self._called)))

    def finish(self) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        if self._failed:
            return out
        if self.done:
            return [Ended()]
        self._close(out)
        return out

    def _say(
        self, kind: type[Text] | type[Thought], said: str | None, logprobs: object, out: list[AnyEvent]
    ) -> None:
        known = isinstance(logprobs, list) and bool(logprobs)
        told = raw({"content": logprobs, "refusal": None}) if known else None
        if not said and (told is None or self._open is not kind):
            return
        if self._open is not kind:
            self._close(out)
            self._index += 1
            self._open = kind
            part = Text(text="") if kind is Text else Thought(origin=DIALECT)
            out.append(PartBegun(index=self._index, part=part))
        out.append(TextDelta(index=self._index, text=said or "", logprobs=told))

    def _image(self, data: str, out: list[AnyEvent]) -> None:
        data = standard_base64(data)
        self._close(out)
        self._index += 1
        out.append(PartBegun(index=self._index, part=Media(kind="image", mime=mime_of(data), data=data)))
        out.append(PartEnded(index=self._index))

    def _call(self, call: Values, seed: str, out: list[AnyEvent]) -> None:
        function = obj(call.get("function")) or {}
        name = text(function.get("name")) or ""
        self._close(out)
        self._index += 1
        self._called += 1
        made = text(call.get("id")) or made_id(seed, self._called, name)
        out.append(PartBegun(index=self._index, part=ToolCall(id=made, name=name, arguments="")))
        out.append(ArgumentsDelta(index=self._index, text=arguments_text(function.get("arguments"))))
        out.append(PartEnded(index=self._index))

    def _close(self, out: list[AnyEvent]) -> None:
        if self._open is not None:
            self._open = None
            out.append(PartEnded(index=self._index))


def _seconds(created: str) -> int | None:
    """Nanoseconds, as Go tells them, are more than Python reads."""
    if not created:
        return None
    whole, dot, rest = created.partition(".")
    zone = rest.lstrip("0123456789")
    try:
        return from_iso(whole + zone if dot else whole) // 1_000_000
    except ValueError:
        return None
