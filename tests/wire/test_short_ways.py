"""What is read or written on a shorter way, where it is plain, is what the long way makes of it; and what only
looks plain goes the long way."""

from collections.abc import Iterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.usage import Usage
from chatvault.wire.anthropic.blocks_writer import BlockWriter, plain_block
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.anthropic.plain_reader import read_plain as plain_message
from chatvault.wire.anthropic.reply_reader import ReplyReading
from chatvault.wire.anthropic.reply_writer import ReplyWriting, sse
from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.dialect import ConversationDialect
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    Ended,
    Finished,
    FinishReason,
    PartBegun,
    PartEnded,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall
from chatvault.wire.json_value import Values, encode
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.chat.plain_reader import read_plain as plain_reply
from chatvault.wire.openai.chat.reply_reader import AnswerReader

CHAT = ChatDialect()
TEXT = st.text(max_size=8)
JUNK: tuple[object, ...] = (
    None,
    False,
    True,
    0,
    1,
    2.5,
    "",
    "x",
    "STOP",
    [],
    {},
    [{"type": "text", "text": "t"}],
    [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    {"name": "f", "arguments": "{}", "message": "m", "explanation": "e", "total_tokens": 3},
    ["https://example.com/"],
)


def spoiled(plain: Values, *more: str) -> Iterator[Values]:
    """The object as it is; and with each of its members, and of `more`, taken out or replaced by each kind of
    value there is."""
    yield plain
    for name in (*plain, *more):
        yield {each: value for each, value in plain.items() if each != name}
        for junk in JUNK:
            yield {**plain, name: junk}


_AROUND: Values = {"id": "c1", "created": 7, "model": "m", "service_tier": "default", "usage": None}
_BESIDE = ("text", "error", "stop_reason", "matched_stop", "delta", "message")
_SAID = (
    "tool_calls",
    "function_call",
    "reasoning",
    "reasoning_content",
    "annotations",
    "audio",
    "images",
    "x",
)


def _chat(inner: str, word: str | None) -> Iterator[Values]:
    """Answers of one text in `inner`, and such that are not quite."""
    said: Values = {"role": "assistant", "content": "Hé", "refusal": None}
    choice: Values = {"index": 0, inner: said, "logprobs": None, "finish_reason": word}
    for each in spoiled(said, *_SAID):
        yield {**_AROUND, "choices": [{**choice, inner: each}]}
    for each in spoiled(choice, *_BESIDE):
        yield {**_AROUND, "choices": [each]}
    yield from spoiled(
        {**_AROUND, "choices": [choice]}, "error", "citations", "search_results", "x_groq", "object", "detail"
    )
    yield {**_AROUND, "choices": [choice, {**choice, "index": 1}]}


def _long_reply(value: Values) -> list[AnyEvent] | str:
    reader = AnswerReader(whole=True)
    try:
        found = reader.feed(value)
    except ValueError as error:
        return str(error)
    if not reader.failed and not isinstance(value.get("choices"), list):
        return "The answer has no choices."
    return found + reader.end(whole=True)


def _short(dialect: ConversationDialect, value: Values) -> list[AnyEvent] | str:
    try:
        return dialect.read_reply(encode(value))
    except ValueError as error:
        return str(error)


def test_a_whole_chat_answer() -> None:
    for value in _chat("message", "stop"):
        assert _short(CHAT, value) == _long_reply(value), value


def test_chunks_of_a_chat_answer() -> None:
    begins: Values = {**_AROUND, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    thinks: Values = {"choices": [{"index": 0, "delta": {"content": None, "reasoning_content": "Hm"}}]}
    proven = {"type": "reasoning.text", "text": "Hm", "index": 0, "format": "anthropic-claude-v1"}
    details: Values = {"choices": [{"index": 0, "delta": {"reasoning_details": [proven]}}]}
    more: Values = {"choices": [{"index": 0, "delta": {"content": " more"}}]}
    told = [[begins, value, thinks, more] for value in _chat("delta", None)]
    for values in (*told, [begins, details, thinks, more, thinks]):
        short, long = CHAT.stream_reader(), AnswerReader(whole=False)
        for value in values:
            assert short.feed(b"data: " + encode(value) + b"\n\n") == long.feed(value), values
        assert short.end() == long.end(whole=False)


_USAGE: Values = {
    "input_tokens": 9,
    "output_tokens": 4,
    "cache_read_input_tokens": 2,
    "service_tier": "standard",
}


def _messages_told() -> Iterator[Values]:
    block: Values = {"type": "text", "text": "Hé"}
    message: Values = {
        "id": "msg_1",
        "type": "message",
        "model": "m",
        "content": [block],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": _USAGE,
    }
    for each in spoiled(block, "citations", "thinking", "x"):
        yield {**message, "content": [each]}
    for each in spoiled(_USAGE, "cache_creation", "server_tool_use"):
        yield {**message, "usage": each}
    yield from spoiled(message, "stop_details", "error")
    yield {**message, "content": [block, block]}


def test_a_whole_message_of_anthropics() -> None:
    for value in _messages_told():
        plain = plain_message(encode(value))
        if plain is None:
            continue
        content, reading = value["content"], ReplyReading()
        assert isinstance(content, list)
        found = reading.start(value)
        for at, block in enumerate(content):
            # A member of no meaning sends it the long way.
            found += reading.block_start(at, {**block, "nothing": None})
            found += reading.block_stop(at)
        found += reading.message_delta(value, {})
        assert plain.events(usage_first=True) == found + reading.stop(), value
        assert MESSAGES.read_reply(encode(value)) == plain.events(usage_first=True)


def test_plain_answers_are_taken_for_such() -> None:
    chat = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    message = {
        "type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "usage": _USAGE,
    }  # fmt: skip
    assert plain_reply(encode(chat)) is not None
    assert plain_message(encode(message)) is not None


_DELTAS: tuple[Values, ...] = (
    {"type": "text_delta", "text": "Hé"},
    {"type": "thinking_delta", "thinking": "Hm"},
    {"type": "input_json_delta", "partial_json": '{"answer":1'},
)
_BLOCKS: tuple[Values, ...] = (
    {"type": "text", "text": ""},
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
    {"type": "tool_use", "id": "t2", "name": "chatvault_wrapped_answer", "input": {}},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
)


@pytest.mark.parametrize(
    "block", [*_BLOCKS, None], ids=lambda block: str(block and block.get("name", block["type"]))
)
def test_deltas_of_anthropics_stream(block: Values | None) -> None:
    begins: list[Values] = [{"type": "message_start", "message": {"id": "m", "usage": _USAGE}}]
    if block is not None:
        begins.append({"type": "content_block_start", "index": 0, "content_block": block})
    ends: list[Values] = [{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]
    for delta in _DELTAS:
        event: Values = {"type": "content_block_delta", "index": 0, "delta": delta}
        odd = [{**event, "delta": each} for each in spoiled(delta, "text", "thinking")]
        for each in (*odd, *spoiled(event)):
            short, long = MESSAGES.stream_reader(), ReplyReading()
            for value in (*begins, each, event, *ends, event):
                packet = b"event: content_block_delta\ndata: " + encode(value) + b"\n\n"
                assert short.feed(packet) == long.event(value), each


USAGE = st.one_of(st.none(), st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9)))
PARTS: st.SearchStrategy[AnyPart] = st.one_of(
    st.just(Text(text="")),
    st.builds(Text, text=TEXT),
    st.just(Refusal(text="")),
    st.just(Thought(origin="openai.chat")),
    st.just(ToolCall(id="c1", name="f", arguments="")),
    st.just(ToolCall(id="c2", name="g", arguments="", custom=True)),
)


@st.composite
def answers(draw: st.DrawFn) -> list[AnyEvent]:
    """Mostly one text, else anything."""
    usage = draw(USAGE)
    told: list[AnyEvent] = [UsageTold(usage=usage)] if usage is not None else []
    first = draw(st.booleans())
    events: list[AnyEvent] = [Begun(id="x1", model="m", created=3), *(told if first else ())]
    for index, part in enumerate(draw(st.lists(PARTS, min_size=1, max_size=2))):
        choice = draw(st.sampled_from([0, 0, 0, 1]))
        events.append(PartBegun(index=index, part=part, choice=choice))
        for text in draw(st.lists(TEXT, min_size=1, max_size=2)):
            delta = ArgumentsDelta if isinstance(part, ToolCall) else TextDelta
            events.append(delta(index=index, text=text, choice=choice))
        events.append(PartEnded(index=index, choice=choice))
    events += () if first else told
    reasons: list[FinishReason] = ["stop", "length", "refusal", "stop_sequence", "error", "tool_calls"]
    reason = draw(st.sampled_from(reasons))
    sequence = "\n" if reason == "stop_sequence" else None
    detail = draw(st.sampled_from([None, "why"]))
    finished = Finished(
        reason=reason, sequence=sequence, detail=detail, choice=draw(st.sampled_from([0, 0, 1]))
    )
    return [*events, finished, Ended()]


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES], ids=lambda dialect: dialect.name)
@given(events=answers(), asked=st.sampled_from(['{"functions":[],"messages":[]}', '{"messages":[]}']))
def test_whole_answers_written(dialect: ConversationDialect, events: list[AnyEvent], asked: str) -> None:
    conversation = CHAT.read_request(asked.encode())
    short = dialect.write_reply(events, model="public", conversation=conversation)
    # Events that may be looked at once only go the long way.
    long = dialect.write_reply(iter(events), model="public", conversation=conversation)
    assert msgspec.json.decode(short) == msgspec.json.decode(long)


@given(answers())
def test_a_stream_of_anthropics_written(events: list[AnyEvent]) -> None:
    if any(isinstance(event, Finished) and event.reason == "error" for event in events):
        return  # it ends with an error there
    writer, writing = (
        MESSAGES.stream_writer(Conversation(model="m", messages=(), origin="x"), model="m"),
        (ReplyWriting("m")),
    )
    for event in events:
        assert writer.feed([event]) == b"".join(map(sse, writing.event(event)))


@given(answers(), st.booleans())
def test_a_chat_stream_written(events: list[AnyEvent], usage: bool) -> None:
    conversation = Conversation(model="m", messages=(), stream_usage=usage, origin="openai.chat")
    short, long = (CHAT.stream_writer(conversation, model="m") for _ in range(2))
    for event in events:
        closer: AnyEvent = event
        if isinstance(event, TextDelta) and event.text:
            closer = msgspec.structs.replace(event, logprobs=msgspec.Raw(b"null"))
        assert short.feed([event]) == long.feed([closer])


@given(st.lists(st.tuples(st.sampled_from(["system", "developer", "user", "assistant"]), TEXT), max_size=4))
def test_messages_of_one_text(said: Sequence[tuple[str, str]]) -> None:
    plain: list[Values] = [{"role": role, "content": text} for role, text in said]
    long = [{**message, "nothing": None} for message in plain]
    for dialect in (CHAT, MESSAGES):
        read = [
            dialect.read_request(encode({"model": "m", "max_tokens": 5, "messages": messages}))
            for messages in (plain, long)
        ]
        assert read[0] == read[1]
        # A name keeps a message from being plain; what it is beside that is written the same.
        for target in (CHAT, MESSAGES):
            named = [msgspec.structs.replace(message, name="n") for message in read[0].messages]
            written = [
                _messages(target.write_request(conversation, Dropped()))
                for conversation in (read[0], msgspec.structs.replace(read[0], messages=tuple(named)))
            ]
            assert written[0] == written[1]


def _messages(body: bytes) -> object:
    values = msgspec.json.decode(body)
    messages = [{name: each for name, each in said.items() if name != "name"} for said in values["messages"]]
    return messages, values.get("system")


@given(
    st.one_of(
        PARTS,
        st.builds(Text, text=TEXT, cache=st.sampled_from([None, "5m"])),
        st.builds(
            Text, text=TEXT, extra=st.just({"x": msgspec.Raw(b"1")}), origin=st.just("anthropic.messages")
        ),
        st.just(Media(kind="image", url="https://example.com/a.png")),
    ),
    st.booleans(),
)
def test_blocks_of_plain_texts(part: AnyPart, own: bool) -> None:
    plain = plain_block(part)
    if plain is not None:
        assert plain == BlockWriter(Dropped(), own=own).block(part, "messages[0].content[0]")
    if type(part) is Text and part == Text(text=part.text) and part.text:
        assert plain is not None


def test_a_message_keeps_what_is_beside_its_text() -> None:
    marked = Text(text="x", cache="5m")
    conversation = Conversation(
        model="claude-3-7", messages=(Message(role="user", parts=(marked,)),), origin="x"
    )
    written = msgspec.json.decode(MESSAGES.write_request(conversation, Dropped()))
    assert written["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "5m"}
