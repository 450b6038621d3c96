"""Items whose own word and whose events disagree: what is told stays in order, and nothing of another kind is told of it."""

import msgspec
import pytest

from chatvault.wire.hub.events import AnyEvent, ArgumentsDelta, PartBegun, TextDelta
from chatvault.wire.hub.parts import ToolCall
from chatvault.wire.openai.responses.dialect import ResponsesDialect


def told(*values: dict[str, object]) -> list[AnyEvent]:
    reader, found = ResponsesDialect().stream_reader(), list[AnyEvent]()
    for value in values:
        found += reader.feed(b"data: " + msgspec.json.encode(value) + b"\n\n")
    return found + reader.end()


CALL = {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "abc"}


@pytest.mark.parametrize(
    "values",
    [
        (
            {"type": "response.output_text.delta", "output_index": 0, "delta": "said"},
            {"type": "response.output_item.done", "output_index": 0, "item": CALL},
        ),
        (
            {"type": "response.output_item.added", "output_index": 0, "item": CALL},
            {"type": "response.output_text.delta", "output_index": 0, "delta": "said"},
        ),
        (
            {"type": "response.output_text.delta", "output_index": 0, "delta": "said"},
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
        ),
    ],
)
def test_a_part_is_told_as_what_it_began_as(values: tuple[dict[str, object], ...]) -> None:
    events = told(*values)
    calls = {
        event.index: isinstance(event.part, ToolCall) for event in events if isinstance(event, PartBegun)
    }
    assert calls
    for event in events:
        if isinstance(event, TextDelta):
            assert not calls[event.index]
        elif isinstance(event, ArgumentsDelta):
            assert calls[event.index]
