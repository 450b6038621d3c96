"""Responses requests: what cannot be understood, what only this dialect has, and other dialects' turns as items."""

import json
from typing import Any

import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.anthropic.tools import read_tool
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
from chatvault.wire.hub.parts import Media, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.hub.search import Citation
from chatvault.wire.json_value import raw
from chatvault.wire.openai.responses.dialect import ResponsesDialect

RESPONSES = ResponsesDialect()


def read(**fields: Any) -> Conversation:
    return RESPONSES.read_request(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def write(conversation: Conversation) -> tuple[Any, tuple[str, ...]]:
    dropped = Dropped()
    return json.loads(RESPONSES.write_request(conversation, dropped)), dropped.paths


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"content": "x"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [5]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call_output"}]}, "input[0].call_id"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"type": 5}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"reasoning": {"summary": 5}}, "reasoning.summary"),
        ({"max_output_tokens": "x"}, "max_output_tokens"),
    ],
)
def test_what_cannot_be_understood_is_named(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(ClientError) as caught:
        read(**fields)
    assert caught.value.param == path


@pytest.mark.parametrize(
    "fields",
    [
        {"input": None, "previous_response_id": "resp_1"},
        {"input": None, "prompt": {"id": "pmpt_1"}},
        {"input": ["plain"]},
        {"instructions": [{"role": "system", "content": "x"}]},
        {"reasoning": {"effort": "low", "context": "all"}},
        {"text": {"format": {"type": "grammar", "syntax": "x"}, "verbosity": "low"}},
        {"text": {"format": {"type": "json_object"}}},
        {"include": ["file_search_call.results"]},
        {"tool_choice": {"type": "file_search"}},
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            }
        },
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}},
        {"stream_options": {"include_obfuscation": False}},
        {"input": [{"type": "computer_call_output", "call_id": "c", "output": {}}]},
        {
            "input": [
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "namespace": "n"}
            ]
        },
        {
            "input": [
                {
                    "type": "function_call",
                    "call_id": "c",
                    "name": "f",
                    "arguments": "",
                    "status": "incomplete",
                }
            ]
        },
        {
            "input": [
                {
                    "type": "reasoning",
                    "id": "r",
                    "summary": [],
                    "content": [{"type": "reasoning_text", "text": "x"}],
                }
            ]
        },
        {"input": [{"role": "user", "content": [{"type": "hologram"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        {
            "input": [
                {"role": "user", "content": [{"type": "input_file"}, {"type": "input_file", "file_id": "f"}]}
            ]
        },
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}],
                }
            ]
        },
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_video", "video_url": "https://example.com/a.mp4"}],
                }
            ]
        },
        {"input": [{"role": "user", "content": []}]},
        {"input": [{"role": "user", "content": "x", "note": 1}]},
    ],
)
def test_what_only_this_dialect_has_comes_back(fields: dict[str, Any]) -> None:
    written, dropped = write(read(**fields))
    expected = [{"role": "user", "content": "plain"}] if fields.get("input") == ["plain"] else None
    for name, value in fields.items():
        assert written.get(name) == (expected if name == "input" and expected else value)
    assert not dropped


def test_a_turn_of_another_dialect_as_items() -> None:
    picture = Media(kind="image", url="https://example.com/a.png")
    asked = Conversation(
        model="gpt-5",
        messages=(
            Message(role="system", parts=(Text(text="Be brief.", cache="5m"),)),
            Message(
                role="assistant",
                name="bot",
                parts=(
                    Thought(text="Hm.", signature="sig", origin="anthropic.messages"),
                    Text(text="Let me see."),
                    ToolCall(id="a", name="f", arguments="", signature="s", origin="gemini.generate"),
                    Text(text="And."),
                    Unknown(kind="server_tool_use", raw=raw({}), origin="anthropic.messages"),
                ),
            ),
            Message(
                role="user",
                parts=(
                    ToolResult(call="a", parts=(Text(text="1"), picture), failed=True, cache="5m"),
                    ToolResult(call="b"),
                    Media(kind="image", file="f-1", origin="anthropic.messages"),
                    Media(kind="document", text="plain", name="T"),
                    Media(kind="audio", data="AA"),
                    Text(text="Go on.", extra={"x": raw(1)}, origin="anthropic.messages"),
                ),
            ),
        ),
        stop=("END",),
        service_tier="batch",
        reasoning=Reasoning(budget=9000),
        extra={"container": raw("c")},
        origin="anthropic.messages",
    )
    written, dropped = write(asked)
    assert written["input"] == [
        {"role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "And."},
        {
            "type": "function_call_output",
            "call_id": "a",
            "output": [
                {"type": "input_text", "text": "1"},
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
            ],
        },
        {"type": "function_call_output", "call_id": "b", "output": ""},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "plain"}, {"type": "input_text", "text": "Go on."}],
        },
    ]
    assert written["instructions"] == "Be brief."
    assert written["reasoning"] == {"effort": "high"}
    assert written["include"] == ["reasoning.encrypted_content"]
    assert written["store"] is False
    assert set(dropped) == {
        "system[0].cache_control",
        "messages[0].name",
        "messages[0].content[0]",
        "messages[0].content[2].signature",
        "messages[0].content[4]",
        "messages[1].content[0].is_error",
        "messages[1].content[0].cache_control",
        "messages[1].content[2]",
        "messages[1].content[3].title",
        "messages[1].content[4]",
        "messages[1].content[5].x",
        "stop_sequences",
        "service_tier",
        "container",
    }


def test_tools_and_forms_of_other_dialects() -> None:
    asked = Conversation(
        model="m",
        messages=(Message(role="user", parts=(Text(text="hi"),)),),
        tools=(
            Tool(name="f", cache="5m", extra={"x": raw(1)}, origin="anthropic.messages"),
            read_tool(
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "max_uses": 2,
                    "allowed_domains": ["example.com"],
                    "user_location": {"type": "approximate", "city": "Oslo"},
                },
                1,
            ),
            ServerTool(kind="code_execution", origin="gemini.generate", raw=raw({})),
            ServerTool(kind="memory", origin="anthropic.messages", raw=raw({})),
        ),
        tool_choice=ToolChoice(mode="auto", names=("f",)),
        output=Output(kind="json_schema", schema=raw({"type": "object"})),
        logprobs=True,
        origin="anthropic.messages",
    )
    written, dropped = write(asked)
    assert written["tools"] == [
        {"type": "function", "name": "f", "parameters": None, "strict": False},
        {
            "type": "web_search",
            "user_location": {"type": "approximate", "city": "Oslo"},
            "filters": {"allowed_domains": ["example.com"]},
        },
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ]
    assert written["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}],
    }
    assert written["text"] == {
        "format": {"type": "json_schema", "name": "response", "schema": {"type": "object"}}
    }
    assert written["include"] == ["message.output_text.logprobs", "web_search_call.action.sources"]
    assert dropped == ("tools[0].x", "tools[0].cache_control", "tools[1].max_uses", "tools[3]")


def test_what_another_model_said_in_pieces_is_one_text() -> None:
    said = Message(role="assistant", parts=(Text(text="It is "), Text(text="wet.")))
    written, dropped = write(Conversation(model="m", messages=(said,), origin="anthropic.messages"))
    assert written["input"] == [{"role": "assistant", "content": "It is wet."}]
    assert dropped == ()
    cited = Text(
        text="wet.",
        citations=(raw({"type": "web_search_result_location"}),),
        cited=(Citation(url="https://a", title="A"),),
        origin="anthropic.messages",
    )
    turn = Message(role="assistant", parts=(Text(text="It is "), cited))
    (item,) = write(Conversation(model="m", messages=(turn,), origin="anthropic.messages"))[0]["input"]
    assert item["id"].startswith("msg_")
    assert (item["type"], item["status"]) == ("message", "completed")
    page = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 4}
    assert [part["annotations"] for part in item["content"]] == [[], [page]]
