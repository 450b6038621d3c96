"""Requests: golden conversations, what is kept, what is reported, what is refused."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.call_ids import is_made
from chatvault.wire.gemini.dialect import GEMINI
from chatvault.wire.hub.conversation import (
    Conversation,
    Message,
    Output,
    Reasoning,
    ServerTool,
    Tool,
    ToolChoice,
)
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import Media, Refusal, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from chatvault.wire.ollama.request import read as read_fields
from chatvault.wire.ollama.request import read_embedding

GOLDEN = Path(__file__).parent / "golden"


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def conversation(*messages: Message, **fields: Any) -> Conversation:
    return Conversation(model="m", messages=messages, origin="openai.chat", **fields)


def user(*parts: Any) -> Message:
    return Message(role="user", parts=parts)


def written(asked: Conversation) -> tuple[dict[str, Any], tuple[str, ...]]:
    dropped = Dropped()
    return json.loads(OLLAMA.write_request(asked, dropped)), dropped.paths


def read(request: dict[str, Any]) -> Conversation:
    return OLLAMA.read_request(json.dumps({"model": "m", **request}).encode())


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_golden_conversations(file: Path) -> None:
    golden = json.loads(file.read_bytes())
    asked = read(golden["ollama"])
    assert written(asked) == (golden["ollama"], ())
    assert OLLAMA.request_path(asked) == b"/api/chat"
    dropped = Dropped()
    assert json.loads(GEMINI.write_request(asked, dropped)) == golden["gemini"]
    assert list(dropped.paths) == golden["dropped"]


def test_it_streams_unless_told_otherwise() -> None:
    assert read({"messages": []}).stream
    assert not read({"messages": [], "stream": False}).stream
    assert not OLLAMA.read_request(b'{"model": "m"}', stream=False).stream
    assert read_fields(b'{"model": "m"}').stream
    assert not read_fields(b'{"model": "m", "stream": false}').stream
    assert not read_embedding(b'{"model": "m", "prompt": "x"}').stream


def test_what_is_odd_is_left_to_the_provider() -> None:
    request = {
        "messages": [
            {"role": "developer", "content": "d"},
            {"role": "assistant", "content": "", "name": "bot", "weight": 1},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"function": {"name": "f", "arguments": {"a": 1}, "note": 1}, "extra": 2},
                ],
            },
            {"role": "tool", "content": "r", "hint": 3},
        ],
        "tools": [
            {
                "type": "function",
                "cache": 1,
                "function": {"name": "f", "strict": False, "parameters": {}, "more": 1},
            }
        ],
        "options": {"temperature": "hot", "num_predict": -1, "stop": [1], "mirostat": 2},
        "format": 7,
        "think": 7,
        "logprobs": "yes",
        "new": {"a": 1},
        "new.field": 1,
    }
    found = read({**request, "stream": True})
    assert written(found) == ({"model": "m", "stream": True, **request}, ())
    GEMINI.write_request(found, reported := Dropped())
    assert {"options.num_predict", "options.mirostat", "format", "new", "messages[1].weight"} <= set(
        reported.paths
    )
    assert "messages[2].tool_calls[0].extra" in reported.paths


def test_thinking_in_words_and_in_truth() -> None:
    assert read({"messages": [], "think": True}).reasoning == Reasoning(adaptive=True, show=True)
    assert read({"messages": [], "think": "high"}).reasoning == Reasoning(effort="high", show=True)
    for asked, think in (
        (Reasoning(effort="none"), False),
        (Reasoning(effort="minimal"), "low"),
        (Reasoning(effort="xhigh"), "max"),
        (Reasoning(budget=0), False),
        (Reasoning(budget=8000), "medium"),
        (Reasoning(adaptive=True), True),
        (Reasoning(summary="auto"), True),
        (Reasoning(), None),
    ):
        out, dropped = written(conversation(user(Text(text="q")), reasoning=asked))
        assert (out.get("think"), dropped) == (think, ())


def test_results_find_their_calls_without_ids() -> None:
    found = read(
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"function": {"name": "f", "arguments": '{"a": 1}'}},
                        {"function": {"name": "g", "arguments": "oh no"}},
                    ],
                },
                {"role": "tool", "tool_name": "g", "content": "2"},
                {"role": "tool", "content": "1"},
                {"role": "tool", "tool_call_id": "lost", "content": "0"},
                {"role": "tool", "content": "-"},
            ]
        }
    )
    first, second = (part for part in found.messages[0].parts if isinstance(part, ToolCall))
    results = [
        part for message in found.messages[1:] for part in message.parts if isinstance(part, ToolResult)
    ]
    assert [result.call for result in results[:3]] == [second.id, first.id, "lost"]
    assert is_made(results[3].call)
    assert (first.arguments, second.arguments) == ('{"a": 1}', '"oh no"')
    out, _ = written(found)
    assert out["messages"][0]["tool_calls"][1]["function"]["arguments"] == {"arguments": "oh no"}
    assert "id" not in out["messages"][0]["tool_calls"][0]


def test_what_ollama_has_no_words_for_is_reported() -> None:
    out, dropped = written(
        conversation(
            Message(role="developer", parts=(Text(text="s", cache="5m"),)),
            user(
                Text(text="a", citations=(raw({}),)),
                Text(text="b"),
                Media(kind="image", data="AAAA", detail="high"),
                Media(kind="image", url="https://x.test/a.png"),
                Media(kind="document", text="plain", name="notes"),
                Media(kind="audio", data="AAAA"),
            ),
            Message(
                role="assistant",
                parts=(
                    Thought(text="t", signature="s"),
                    Thought(sealed="x"),
                    Thought(text="u", sealed="x"),
                    Refusal(text="no"),
                    ToolCall(id="c", name="f", arguments="", signature="s", origin="x", extra={"k": raw(1)}),
                    Unknown(kind="k", raw=raw({}), origin="x"),
                ),
                origin="x",
                extra={"odd": raw(1)},
            ),
            user(
                ToolResult(
                    call="c",
                    failed=True,
                    parts=(Text(text="r"), Media(kind="image", data="BBBB"), Unknown(kind="k", raw=raw({}))),
                ),
                Text(text="and"),
            ),
            tools=(
                Tool(name="f", strict=True, cache="1h", origin="x", extra={"e": raw(1)}),
                Tool(name="c", custom=True),
                ServerTool(kind="web_search", origin="x", raw=raw({})),
            ),
            tool_choice=ToolChoice(mode="named", name="f"),
            parallel_tools=False,
            output=Output(kind="json_schema", description="d", schema=raw({"type": "object"})),
            choices=2,
            user="u",
            metadata={},
            service_tier="flex",
            modalities=("text", "audio"),
            extra={"logit_bias": raw({})},
        )
    )
    assert out["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a\nb\nplain", "images": ["AAAA"]},
        {
            "role": "assistant",
            "content": "no",
            "thinking": "t\nu",
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}],
        },
        {"role": "tool", "content": "r", "images": ["BBBB"], "tool_name": "f", "tool_call_id": "c"},
        {"role": "user", "content": "and"},
    ]
    assert out["format"] == {"type": "object"}
    assert [tool["function"]["name"] for tool in out["tools"]] == ["f"]
    assert set(dropped) == {
        "messages[0].content[0].cache_control",
        "messages[1].content[0].citations",
        "messages[1].content[2].detail",
        "messages[1].content[4].title",
        "messages[1].content[3]",
        "messages[1].content[5]",
        "messages[2].content[0].signature",
        "messages[2].content[1]",
        "messages[2].content[2].sealed",
        "messages[2].content[4]",
        "messages[2].tool_calls[0].signature",
        "messages[2].tool_calls[0].k",
        "messages[2].odd",
        "messages[3].is_error",
        "messages[3].content[2]",
        "tools[0].strict",
        "tools[0].cache_control",
        "tools[0].e",
        "tools[1]",
        "tools[2]",
        "tool_choice",
        "parallel_tool_calls",
        "response_format.description",
        "n",
        "user",
        "metadata",
        "service_tier",
        "modalities",
        "logit_bias",
    }


def test_no_tools_are_offered_where_none_may_be_called() -> None:
    out, dropped = written(
        conversation(user(Text(text="q")), tools=(Tool(name="f"),), tool_choice=ToolChoice(mode="none"))
    )
    assert "tools" not in out
    assert not dropped
    out, _ = written(conversation(user(Text(text="q")), tools=(Tool(name="f"),)))
    assert out["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"messages": 1}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "images": "x"}]}, "messages[0].images"),
        ({"messages": [{"role": "user", "images": [1]}]}, "messages[0].images[0]"),
        ({"messages": [{"role": "assistant", "tool_calls": 1}]}, "messages[0].tool_calls"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"messages": [], "options": 1}, "options"),
        ({"messages": [], "tools": 1}, "tools"),
        ({"messages": [], "tools": [{}]}, "tools[0].function.name"),
        ({"messages": [], "stream": 1}, "stream"),
        ({"messages": [], "model": ""}, "model"),
    ],
)
def test_refusals_name_the_place(request_: dict[str, Any], param: str) -> None:
    with pytest.raises(ClientError) as caught:
        read(request_)
    assert caught.value.param == param


def test_a_prompt_is_a_conversation() -> None:
    body = {
        "model": "m",
        "prompt": "Why?",
        "system": "Be brief.",
        "images": ["iVBORw0KGgo="],
        "template": "{{ .Prompt }}",
        "context": [1, 2],
        "raw": False,
        "suffix": "",
        "options": {"num_ctx": 9},
        "keep_alive": 0,
        "stream": False,
    }
    found = OLLAMA_GENERATE.read_request(json.dumps(body).encode())
    out, dropped = written(found)
    assert out == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why?", "images": ["iVBORw0KGgo="]},
        ],
        "stream": False,
        "options": {"num_ctx": 9},
        "keep_alive": 0,
    }
    assert dropped == ("template", "context")
    GEMINI.write_request(found, reported := Dropped())
    assert "options.num_ctx" in reported.paths
    with pytest.raises(ClientError):
        OLLAMA_GENERATE.read_request(b'{"model": "m", "prompt": 1}')


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        ("iVBORw0KGgoA", "png"),
        ("/9j/4AAQ", "jpeg"),
        ("R0lGODlh", "gif"),
        ("UklGRhAgMEBXRUJQVlA4IA==", "webp"),
        ("Qk0=", "bmp"),
        ("AAAA", "png"),
    ],
)
def test_images_are_known_by_their_first_bytes(data: str, mime: str) -> None:
    image = read({"messages": [{"role": "user", "images": [data]}]}).messages[0].parts[0]
    assert isinstance(image, Media)
    assert (image.mime, image.data) == (f"image/{mime}", data)


def test_what_a_gateway_decides_on() -> None:
    found = read_fields(b'{"name": "m", "options": {"num_predict": 7.0}}')
    assert (found.model, found.max_output(), found.metadata(), found.asks_usage()) == ("m", 7, {}, True)
    for options in (b"null", b"{}", b'{"num_predict": -2}'):
        assert read_fields(b'{"options": %s}' % options).max_output() is None
    assert read_fields(b"{}").max_output() is None
    for body in (b'{"options": 1}', b'{"options": {"num_predict": "many"}}'):
        with pytest.raises(ClientError):
            read_fields(body).max_output()
    for body in (b'{"model": 1}', b'{"stream": 1}', b'{"Model": "x"}', b"[]"):
        with pytest.raises(ClientError):
            read_fields(body)
