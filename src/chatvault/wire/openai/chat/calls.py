"""The tool calls of a streamed chat answer: their pieces, put together whatever a provider leaves out.

OpenAI numbers calls, and names each once
(https://platform.openai.com/docs/guides/function-calling#streaming, seen 2026-11). Others send no number,
the same number for all, the whole call in every piece, the name again with each piece, the arguments as
an object, or no id.
"""

import msgspec

from chatvault.wire.hub.events import AnyEvent, ArgumentsDelta, PartBegun, PartEnded
from chatvault.wire.hub.parts import ToolCall
from chatvault.wire.json_value import Values, decode, name_of, number_of, object_of, text_of
from chatvault.wire.openai.chat.messages import OLD_CALL, arguments_of, signature_in


class _Call:
    __slots__ = ("custom", "held", "id", "index", "name", "number", "said", "signature")

    def __init__(self, number: int | None) -> None:
        self.number = number
        """As the provider numbered it."""
        self.index = -1
        """Of the part; -1 until its name is known, -2 when it ended."""
        self.id: str | None = None
        self.name: str | None = None
        self.custom = False
        self.signature: str | None = None
        self.held = ""
        """Arguments that came before the name."""
        self.said: list[str] = []


class Calls:
    """The calls of one choice. `next_index` gives each part its number."""

    __slots__ = ("_calls", "_choice", "_old")

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._calls: list[_Call] = []
        self._old: _Call | None = None

    def __bool__(self) -> bool:
        return bool(self._calls)

    def feed(self, value: Values, index: int) -> list[AnyEvent]:
        """A piece of a call; `index` is free for a part that begins."""
        inner = value.get("custom") if isinstance(value.get("custom"), dict) else value.get("function")
        said = object_of(inner) or value  # some have no such object
        id, name = name_of(value.get("id")), name_of(said.get("name"))
        call, events = self._find(number_of(value.get("index")), id, name)
        call.id = call.id or id
        call.name = call.name or name
        call.custom = call.custom or "custom" in value
        call.signature = call.signature or signature_in(value.get("extra_content"))
        arguments = said.get("input") if call.custom else said.get("arguments")
        return events + self._told(call, arguments_of(arguments), index)

    def feed_old(self, value: Values, index: int) -> list[AnyEvent]:
        """A piece of a call of the old kind, `function_call`: there is one at most."""
        call = self._old
        if call is None:
            call = self._old = _Call(None)
            call.id = OLD_CALL + "0"
            self._calls.append(call)
        call.name = call.name or name_of(value.get("name"))
        return self._told(call, arguments_of(value.get("arguments")), index)

    def end(self) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for call in self._calls:
            if call.index >= 0:
                events.append(PartEnded(index=call.index, choice=self._choice))
                call.index = -2
        return events

    def _find(self, number: int | None, id: str | None, name: str | None) -> tuple[_Call, list[AnyEvent]]:
        for call in reversed(self._calls):
            if id is not None and call.id == id:
                return call, []
            same = call.number == number if number is not None else call is self._calls[-1]
            other = id is not None and call.id is not None and name is not None
            begins = (
                number is None
                and name is not None
                and call.name is not None
                and (id is None or call.id is None)
            )
            if same and not other and not begins:
                return call, []
        events = self._done()
        call = _Call(number)
        self._calls.append(call)
        return call, events

    def _done(self) -> list[AnyEvent]:
        """Ends the calls whose arguments are whole, as another begins; those that come interleaved stay
        open."""
        events: list[AnyEvent] = []
        for call in self._calls:
            if call.index >= 0 and call.said and _whole("".join(call.said)):
                events.append(PartEnded(index=call.index, choice=self._choice))
                call.index = -2
        return events

    def _told(self, call: _Call, text: str, index: int) -> list[AnyEvent]:
        if call.name is None:
            call.held += text
            return []
        events: list[AnyEvent] = []
        if call.index == -1:
            call.index = index
            number = self._calls.index(call)
            part = ToolCall(
                id=call.id or f"call_{self._choice}_{number}_{call.name}",
                name=call.name,
                arguments="",
                custom=call.custom,
                signature=call.signature,
                origin="openai.chat",
            )
            events.append(PartBegun(index=index, part=part, choice=self._choice))
            text = call.held + text
        if text and call.index >= 0:
            call.said.append(text)
            events.append(ArgumentsDelta(index=call.index, text=text, choice=self._choice))
        return events


def _whole(arguments: str) -> bool:
    try:
        decode(arguments.encode("utf-8", "replace"))
    except (ValueError, msgspec.DecodeError):
        return False
    return True


def text_pieces(value: object) -> list[tuple[str, Values]]:
    """The pieces of a `content`: (`text`, ...) and (`thinking`, ...) with the text in `text`, all others by
    their type."""
    if isinstance(value, str):
        return [("text", {"text": value})] if value else []
    found: list[tuple[str, Values]] = []
    for part in value if isinstance(value, list) else ():
        if isinstance(part, str):
            found.append(("text", {"text": part}))
        elif isinstance(part, dict):
            kind = text_of(part.get("type"))
            if kind == "thinking":
                inner = part.get("thinking")
                pieces = inner if isinstance(inner, list) else [{"text": inner}]
                text = "".join(text_of(object_of(piece).get("text")) for piece in pieces)
                part = {**part, "text": text}
            found.append((kind, part))
    return found
