"""What events say in the end: the parts of an answer, put together."""

from collections.abc import Iterable
from typing import Any

import msgspec

from chatvault.core.usage import Usage
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
from chatvault.wire.hub.parts import ToolCall, Unknown


class Told(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    parts: list[dict[str, Any]] = []
    finish: Finished | None = None
    usage: Usage | None = None
    ended: bool = False
    failed: Failed | None = None
    open: set[int] = set()


def told(events: Iterable[AnyEvent]) -> Told:
    """Fails if the events are out of order."""
    said = Told()
    for event in events:
        assert not said.ended
        match event:
            case Begun():
                said.id, said.model = event.id, event.model
            case PartBegun():
                assert event.index == len(said.parts)
                said.open.add(event.index)
                said.parts.append(_part(event))
            case TextDelta():
                assert event.index in said.open
                said.parts[event.index]["text"] += event.text
            case ArgumentsDelta():
                assert event.index in said.open
                said.parts[event.index]["arguments"] += event.text
            case SignatureTold():
                assert event.index in said.open
                said.parts[event.index]["signature"] = event.signature
            case CitationTold():
                said.parts[event.index].setdefault("citations", []).append(msgspec.json.decode(event.raw))
            case PartEnded():
                said.open.remove(event.index)
            case UsageTold():
                said.usage = event.usage
            case Finished():
                assert not said.open
                assert said.finish is None
                said.finish = event
            case Ended():
                assert not said.open
                said.ended = True
            case Failed():
                said.failed = event
    for part in said.parts:
        if part["part"] == "tool_call":
            part["arguments"] = _values(part["arguments"])
    return said


def _part(event: PartBegun) -> dict[str, Any]:
    part: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event.part))
    if not isinstance(event.part, ToolCall | Unknown):
        part.setdefault("text", "")
    return part


def _values(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
