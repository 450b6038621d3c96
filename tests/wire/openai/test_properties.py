"""Whatever is answered: written by either dialect, whole or as a stream cut anywhere, it reads the same again."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dialect import ConversationDialect
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    Ended,
    Finished,
    PartBegun,
    PartEnded,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Text, Thought, ToolCall
from chatvault.wire.json_value import encode
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.responses.dialect import ResponsesDialect
from tests.wire.openai.recordings import gist, pieces

DIALECTS: dict[str, ConversationDialect] = {
    "openai.chat": ChatDialect(),
    "openai.responses": ResponsesDialect(),
}
ASKED = Conversation(model="m", messages=(), stream=True, stream_usage=True, origin="openai.chat")
TEXTS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> list[AnyEvent]:
    events: list[AnyEvent] = [Begun(id="resp_x", model="m", created=1)]
    index = 0
    for text in draw(st.lists(TEXTS, max_size=1)):
        events.append(PartBegun(index=index, part=Thought(origin="openai.chat")))
        events += [TextDelta(index=index, text=piece) for piece in text]
        events.append(PartEnded(index=index))
        index += 1
    for text in draw(st.lists(TEXTS, max_size=1)):
        events.append(PartBegun(index=index, part=Text(text="")))
        events += [TextDelta(index=index, text=piece) for piece in text]
        events.append(PartEnded(index=index))
        index += 1
    calls = draw(
        st.lists(
            st.tuples(st.sampled_from(["f", "g"]), st.sampled_from(['{"a":1}', "{}", '{"b":"é"}'])),
            max_size=3,
        )
    )
    for name, arguments in calls:
        cut = draw(st.integers(0, len(arguments)))
        events.append(PartBegun(index=index, part=ToolCall(id=f"call_{index}", name=name, arguments="")))
        events += [
            ArgumentsDelta(index=index, text=text) for text in (arguments[:cut], arguments[cut:]) if text
        ]
        events.append(PartEnded(index=index))
        index += 1
    spent, out = draw(st.integers(0, 999)), draw(st.integers(0, 999))
    cached = draw(st.integers(0, spent))
    usage = Usage(input=spent, cached=cached, cache_write=draw(st.integers(0, spent)), output=out)
    events += [UsageTold(usage=usage), Finished(reason="tool_calls" if calls else "stop"), Ended()]
    return events


def cuts(body: bytes) -> Iterator[tuple[int, ...]]:
    yield (1,)
    yield (7, 3, 64)
    yield (len(body),)


@pytest.mark.parametrize("name", DIALECTS)
@given(events=answers())
@settings(max_examples=60, deadline=None)
def test_whole_streamed_and_cut_agree(name: str, events: list[AnyEvent]) -> None:
    dialect = DIALECTS[name]
    meant = gist(events)
    whole = gist(dialect.read_reply(dialect.write_reply(events, model="m")))
    assert whole == meant
    writer = dialect.stream_writer(ASKED, model="m")
    body = b"".join(writer.feed([event]) for event in events)
    for sizes in cuts(body):
        reader = dialect.stream_reader()
        read = [event for piece in pieces(body, sizes) for event in reader.feed(piece)] + reader.end()
        assert gist(read) == meant


@given(body=st.binary(max_size=200), size=st.integers(1, 9))
@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("name", DIALECTS)
def test_noise_in_a_stream_is_refused_or_has_no_end(name: str, body: bytes, size: int) -> None:
    reader = DIALECTS[name].stream_reader()
    with suppress(ValueError):
        for piece in pieces(b"data: {" + body + b"\n\n" + body, (size,)):
            reader.feed(piece)
    assert not any(isinstance(event, Ended) for event in reader.end())


FIELDS = [
    *(
        "id",
        "model",
        "choices",
        "delta",
        "message",
        "content",
        "role",
        "tool_calls",
        "function",
        "name",
        "arguments",
    ),
    *(
        "index",
        "finish_reason",
        "usage",
        "reasoning_details",
        "reasoning",
        "annotations",
        "audio",
        "images",
        "error",
    ),
    *(
        "type",
        "text",
        "response",
        "output",
        "item",
        "output_index",
        "summary",
        "status",
        "logprobs",
        "data",
        "code",
    ),
    *("prompt_tokens", "output_tokens", "created", "call_id", "input", "encrypted_content", "part", "object"),
]
TYPES = [
    *(
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_text.delta",
    ),
    *(
        "response.content_part.done",
        "response.completed",
        "response.failed",
        "response.function_call_arguments.delta",
    ),
    *("response.reasoning_summary_text.delta", "response.output_text.annotation.added", "error", "keepalive"),
]
KINDS = ["message", "reasoning", "function_call", "custom_tool_call", "image_generation_call", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)


@pytest.mark.parametrize("name", DIALECTS)
@given(
    values=st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), max_size=4), data=st.data()
)
@settings(max_examples=200, deadline=None)
def test_shapes_unheard_of_raise_nothing(
    name: str, values: list[dict[str, object]], data: st.DataObject
) -> None:
    reader, seen = DIALECTS[name].stream_reader(), list[AnyEvent]()
    for value in values:
        if name == "openai.chat":
            choice = {
                "index": 0,
                "delta": value,
                "finish_reason": data.draw(st.sampled_from([None, "stop", 5])),
            }
            value = {**value, "choices": [choice]} if data.draw(st.booleans()) else value
        else:
            item = {**value, "type": data.draw(st.sampled_from(KINDS))}
            value = {**value, "type": data.draw(st.sampled_from(TYPES)), "item": item, "output_index": 0}
        seen += reader.feed(b"data: " + encode(value) + b"\n\n")
    gist(seen + reader.end())
