"""Recorded exchanges through the hub: read, cut anywhere, written again, put together by the official library."""

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from openai import omit
from openai._models import construct_type
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from chatvault.core.errors import ClientError
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dialect import ConversationDialect
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.completions.dialect import CompletionsDialect
from chatvault.wire.openai.responses.dialect import ResponsesDialect
from chatvault.wire.openai.retold import usage_of
from chatvault.wire.sse import data_of, events
from tests.wire.openai.recordings import Exchange, Gist, Said, exchanges, gist, pieces

DIALECTS: dict[str, ConversationDialect] = {
    "openai.chat": ChatDialect(),
    "openai.responses": ResponsesDialect(),
    "openai.completions": CompletionsDialect(),
}
ASKED = Conversation(model="m", messages=(), stream=True, stream_usage=True, origin="openai.chat")
BYTE_BY_BYTE = 6_000
"""Streams up to so many bytes are read byte by byte too; longer ones in the longer proofs."""
MOST_NO_ANSWERS = {"openai.chat": 20, "openai.responses": 3, "openai.completions": 3}
"""Some recordings hold nothing, half of an answer, or another endpoint's."""


def read(
    dialect: ConversationDialect, exchange: Exchange, sizes: tuple[int, ...] = (1 << 30,)
) -> list[AnyEvent]:
    if not exchange.streaming:
        return dialect.read_reply(exchange.body)
    reader = dialect.stream_reader()
    return [event for piece in pieces(exchange.body, sizes) for event in reader.feed(piece)] + reader.end()


def own_usage(exchange: Exchange) -> Usage | None:
    """The provider's last word, found by another way."""
    found = None
    bodies = [exchange.body]
    if exchange.streaming:
        bodies = [data for event in events(exchange.body) if (data := data_of(event)) is not None]
    for body in bodies:
        try:
            value = json.loads(body)
        except ValueError:
            continue
        if not isinstance(value, dict):
            continue
        inner: dict[str, Any] = value["response"] if isinstance(value.get("response"), dict) else value
        found = usage_of(inner.get("usage") or (inner.get("x_groq") or {}).get("usage")) or found
        if found is not None and (searches := searched(inner)):
            found = msgspec.structs.replace(found, searches=searches)
        if exchange.streaming and value.get("type") in ("response.completed", "response.incomplete"):
            break
    return found


def searched(response: dict[str, Any]) -> int:
    calls = [item for item in response.get("output") or () if item.get("type") == "web_search_call"]
    return sum((call.get("action") or {}).get("type", "search") == "search" for call in calls)


def said_of(found: Gist) -> list[tuple[str, str, str, list[tuple[str, str, str]], str | None]]:
    """What has to survive, choice by choice. OpenAI has one word for a stop sequence and the model's own end."""
    told = []
    for _, said in sorted(found.choices.items()):
        finish = "stop" if said.finish == "stop_sequence" else said.finish
        told.append((said.text, said.refusal, said.thoughts, said.calls, finish))
    return told


# What a provider adds to the dialect is no item the library knows: it says so, and goes on.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.recorded
@pytest.mark.parametrize("name", DIALECTS)
def test_answers(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    dialect, count = DIALECTS[name], Counter[str]()
    for exchange in exchanges(name):
        if exchange.status != 200 or not exchange.body:
            continue
        try:
            told = read(dialect, exchange)
        except ValueError:
            count["no answer"] += 1
            continue
        found = gist(told)
        assert not found.whole or found.usage == own_usage(exchange), exchange.id
        if exchange.streaming:
            for sizes in ((1,), (5, 2, 333)) if len(exchange.body) < BYTE_BY_BYTE else ((5, 2, 333),):
                assert gist(read(dialect, exchange, sizes)) == found, exchange.id
        if not found.whole:
            count["failed" if found.failure else "cut"] += 1
            continue
        count["streamed" if exchange.streaming else "whole"] += 1
        again(dialect, told, found, exchange)
    with capsys.disabled():
        print(f"\n{name:20} {dict(count)}")
    assert count["no answer"] <= MOST_NO_ANSWERS[name]


@pytest.mark.prove
@pytest.mark.recorded
@pytest.mark.parametrize("name", DIALECTS)
def test_long_streams_byte_by_byte(name: str) -> None:
    dialect = DIALECTS[name]
    for exchange in exchanges(name):
        if (
            exchange.status != 200
            or not exchange.streaming
            or not BYTE_BY_BYTE <= len(exchange.body) < 60_000
        ):
            continue
        try:
            found = gist(read(dialect, exchange))
        except ValueError:
            continue  # no answer: test_answers bounds how many
        assert gist(read(dialect, exchange, (1,))) == found, exchange.id


def again(dialect: ConversationDialect, told: list[AnyEvent], found: Gist, exchange: Exchange) -> None:
    """Written in the same dialect, whole and streamed, it says the same."""
    whole = gist(dialect.read_reply(dialect.write_reply(told, model="m")))
    writer = dialect.stream_writer(ASKED, model="m")
    body = b"".join(writer.feed([event]) for event in told)
    reader = dialect.stream_reader()
    streamed = gist(reader.feed(body) + reader.end())
    if dialect.name == "openai.completions":
        texts = [said.text for _, said in sorted(found.choices.items())]
        assert [said.text for _, said in sorted(whole.choices.items())] == texts, exchange.id
        assert [said.text for _, said in sorted(streamed.choices.items())] == texts, exchange.id
        return
    for other in (whole, streamed):
        assert said_of(other) == said_of(found), exchange.id
        assert other.usage == found.usage
    datas = [data for event in events(body) if (data := data_of(event)) is not None]
    meant = found.choices.get(0, Said())
    text, calls = library_chat(datas) if dialect.name == "openai.chat" else library_responses(datas)
    assert text == meant.text, exchange.id
    assert calls == meant.calls or not calls, exchange.id


def library_chat(datas: list[bytes]) -> tuple[str, list[tuple[str, str, str]]]:
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for data in datas[:-1]:
        chunk: Any = construct_type(type_=ChatCompletionChunk, value=json.loads(data))
        state.handle_chunk(chunk)
    try:
        choices = state.current_completion_snapshot.choices
    except AssertionError:
        return "", []  # an answer without choices
    message = next((choice.message for choice in choices if choice.index == 0), None)
    if message is None:
        return "", []
    calls: list[Any] = list(message.tool_calls or [])
    return message.content or "", [
        (call.id, call.function.name, call.function.arguments) for call in calls if call.type == "function"
    ]


def library_responses(datas: list[bytes]) -> tuple[str, list[tuple[str, str, str]]]:
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    final: Any = None
    for data in datas:
        event: Any = construct_type(type_=ResponseStreamEvent, value=json.loads(data))
        for handled in state.handle_event(event):
            final = handled
    items: list[Any] = list(final.response.output)
    output = [item for item in items if item.type == "function_call"]
    # The library makes nothing of the items of providers that it does not know.
    return final.response.output_text, [(item.call_id, item.name, item.arguments) for item in output]


@pytest.mark.recorded
@pytest.mark.parametrize("name", DIALECTS)
def test_requests(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    dialect, count, dropped_by = DIALECTS[name], Counter[str](), Counter[str]()
    for exchange in exchanges(name):
        if not isinstance(exchange.request_body, dict):
            continue
        body = json.dumps(exchange.request_body).encode()
        try:
            conversation = dialect.read_request(body)
        except ClientError as refusal:
            count["refused" if refusal.param else "refused without saying what"] += 1
            continue
        dropped = Dropped()
        written = dialect.write_request(conversation, dropped)
        assert not dropped, exchange.id
        count["read"] += 1
        kept(exchange.request_body, json.loads(written), exchange.id)
        once = dialect.write_request(dialect.read_request(written), dropped)
        assert json.loads(once) == json.loads(written), exchange.id
        for other in DIALECTS.values():
            if other is not dialect:
                lost = Dropped()
                json.loads(other.write_request(conversation, lost))
                dropped_by[other.name] += bool(lost)
    assert "refused without saying what" not in count
    with capsys.disabled():
        print(f"\n{name:20} {dict(count)}, with drops: {dict(dropped_by)}")


NORMAL = frozenset(("messages", "input", "stream_options", "tools", "response_format", "stop", "prompt"))
"""Fields that may be said in another way with the same meaning; those of the messages are compared below."""


def kept(sent: dict[str, Any], written: dict[str, Any], id: str) -> None:
    for field, value in sent.items():
        if field not in NORMAL and value not in (None, False, [], {}):
            told = (
                {name: each for name, each in value.items() if each is not None}
                if isinstance(value, dict)
                else value
            )
            assert written.get(field) == told, (id, field)
    if "messages" in sent and "messages" in written:
        assert [plain(message) for message in sent["messages"]] == [
            plain(each) for each in written["messages"]
        ], id


def plain(message: dict[str, Any]) -> tuple[Any, ...]:
    content = message.get("content") or ""
    if isinstance(content, list):
        parts = [{name: part[name] for name in part if name != "cache_control"} for part in content]
        for part in parts:
            if isinstance(part.get("image_url"), str):
                part["image_url"] = {"url": part["image_url"]}
        content = parts[0]["text"] if len(parts) == 1 and parts[0].get("type") == "text" else parts
    calls = [(call.get("function"), call.get("custom")) for call in message.get("tool_calls") or []]
    return message["role"], content, calls, message.get("tool_call_id"), message.get("name")
