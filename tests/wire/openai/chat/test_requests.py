"""Chat requests: what cannot be understood, what is said in several ways, and what providers do not take."""

import json
from typing import Any

import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.anthropic.tools import read_tool
from chatvault.wire.hub.conversation import Conversation, Message, Reasoning, ServerTool, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import Media, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.json_value import raw
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.chat.quirks import ChatQuirks

CHAT = ChatDialect()
USER = {"role": "user", "content": "hi"}


def read(**fields: Any) -> Conversation:
    return CHAT.read_request(json.dumps({"model": "m", "messages": [USER], **fields}).encode())


def write(conversation: Conversation, quirks: ChatQuirks | None = None) -> tuple[Any, tuple[str, ...]]:
    dropped = Dropped()
    body = ChatDialect(quirks or ChatQuirks()).write_request(conversation, dropped)
    return json.loads(body), dropped.paths


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [USER, {"role": "wizard"}]}, "messages[1].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages[0].content[0].input_audio.data",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages[0].content[0].file"),
        ({"messages": [{"role": "assistant", "tool_calls": [5]}]}, "messages[0].tool_calls[0]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].name"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": 5}]}, "tools[0].type"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name"),
        ({"functions": ["f"]}, "functions[0]"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stop": 5}, "stop"),
        ({"stream_options": []}, "stream_options"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"user": 7}, "user"),
    ],
)
def test_what_cannot_be_understood_is_named(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(ClientError) as caught:
        read(**fields)
    assert caught.value.http_status == 400
    assert caught.value.param == path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"messages": ' + b"[" * 100_000])
def test_bodies_that_are_no_object(body: bytes) -> None:
    with pytest.raises(ClientError):
        CHAT.read_request(body)


def test_model_and_stream_of_the_path_hold() -> None:
    asked = CHAT.read_request(b'{"messages": []}', model="gpt", stream=True)
    assert (asked.model, asked.stream) == ("gpt", True)
    assert write(CHAT.read_request(b'{"messages": []}'))[0] == {"messages": []}


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        ({"reasoning": {"effort": "high", "exclude": True}}, Reasoning(effort="high", show=False)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget=2000)),
        ({"reasoning": {"enabled": True}}, Reasoning(adaptive=True)),
        ({"reasoning": {"enabled": False}}, Reasoning(effort="none")),
        ({"thinking": {"type": "disabled"}}, Reasoning(effort="none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 9000}}, Reasoning(budget=9000)),
        ({"enable_thinking": True}, Reasoning(adaptive=True)),
        ({"chat_template_kwargs": {"enable_thinking": False}}, Reasoning(effort="none")),
        ({"reasoning_effort": "low", "enable_thinking": True}, Reasoning(effort="low")),
    ],
)
def test_how_much_to_think_in_every_way(fields: dict[str, Any], reasoning: Reasoning) -> None:
    asked = read(**fields)
    assert asked.reasoning == reasoning
    assert not asked.extra
    assert {name: value for name, value in write(asked)[0].items() if name in fields} == fields


def test_a_way_that_is_not_understood_stays() -> None:
    asked = read(reasoning={"effort": "low", "new": 1}, thinking="yes", chat_template_kwargs={"x": 1})
    assert asked.reasoning is None
    assert set(asked.extra) == {"reasoning", "thinking", "chat_template_kwargs"}


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("gpt-4o", "max_tokens"),
        ("o3", "max_completion_tokens"),
        ("openai/gpt-5-mini", "max_completion_tokens"),
    ],
)
def test_the_bound_of_an_answer_by_the_model(model: str, field: str) -> None:
    asked = Conversation(model=model, messages=(), max_output=9, origin="anthropic.messages")
    assert write(asked)[0][field] == 9
    assert write(asked, ChatQuirks(max_field="max_tokens"))[0]["max_tokens"] == 9
    own = read(max_tokens=1, max_completion_tokens=2)
    assert own.max_output == 2
    assert {"max_tokens": 1, "max_completion_tokens": 2}.items() <= write(own)[0].items()


def test_what_only_some_providers_take() -> None:
    asked = Conversation(
        model="m",
        messages=(
            Message(role="user", parts=(Text(text="a", cache="1h"),)),
            Message(role="assistant", parts=(Thought(text="Hm."), Text(text="b"))),
        ),
        stream=True,
        top_k=5,
        service_tier="batch",
        seed=1,
        origin="anthropic.messages",
    )
    plain, dropped = write(
        asked, ChatQuirks(thoughts=False, stream_usage=False, refuses=frozenset(("seed",)))
    )
    assert plain["messages"] == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert "stream_options" not in plain
    assert dropped == (
        "messages[0].content[0].cache_control",
        "messages[1].content[0]",
        "top_k",
        "service_tier",
        "seed",
    )
    rich, _ = write(asked, ChatQuirks(caches=True, top_k=True))
    assert rich["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert rich["messages"][1]["reasoning_content"] == "Hm."
    assert rich["top_k"] == 5
    assert rich["stream_options"] == {"include_usage": True}


def test_a_turn_of_another_dialect_with_results_and_words() -> None:
    picture = Media(kind="image", mime="image/png", data="aGk=")
    asked = Conversation(
        model="m",
        messages=(
            Message(role="assistant", parts=(ToolCall(id="a", name="f", arguments=""),)),
            Message(
                role="user",
                parts=(
                    ToolResult(call="a", parts=(Text(text="one"), picture), failed=True),
                    ToolResult(call="b", parts=(picture,)),
                    Text(text="Go on."),
                ),
            ),
        ),
        origin="anthropic.messages",
    )
    written, dropped = write(asked)
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert written["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": "(The result is in the next message.)"},
        {"role": "user", "content": [shown, shown, {"type": "text", "text": "Go on."}]},
    ]
    assert dropped == ("messages[1].content[0].is_error",)


def test_media_that_chat_has_no_place_for() -> None:
    parts = (
        Media(kind="image", file="f-1"),
        Media(kind="document", url="https://example.com/a.pdf"),
        Media(kind="document", file="f-2", origin="anthropic.messages"),
        Media(kind="audio", url="https://example.com/a.mp3"),
        Unknown(kind="x", raw=raw({}), origin="anthropic.messages"),
        Media(kind="document", text="plain", name="T"),
        Media(kind="video", url="https://example.com/a.mp4"),
    )
    messages = (Message(role="user", parts=parts),)
    written, dropped = write(Conversation(model="m", messages=messages, origin="gemini.generate"))
    assert [part["type"] for part in written["messages"][0]["content"]] == ["text", "video_url"]
    assert dropped == (
        *(f"contents[0].parts[{at}]" for at in range(5)),
        "contents[0].parts[5].title",
    )


def test_tools_of_other_dialects() -> None:
    tools = (
        Tool(name="f", cache="5m", origin="x", extra={"y": raw(1)}),
        read_tool({"type": "web_search_20250305", "name": "web_search", "max_uses": 3}, 1),
        ServerTool(kind="computer", origin="anthropic.messages", raw=raw({"type": "computer"})),
    )
    written, dropped = write(Conversation(model="m", messages=(), tools=tools, origin="anthropic.messages"))
    assert written["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert written["web_search_options"] == {}
    assert dropped == ("tools[0].y", "tools[0].cache_control", "tools[1].max_uses", "tools[2]")


@pytest.mark.parametrize(
    "choice",
    [
        "auto",
        {"type": "custom", "custom": {"name": "sql"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [
                    {"type": "function", "function": {"name": "f"}},
                    {"type": "custom", "custom": {"name": "sql"}},
                ],
            },
        },
        {"type": "something_new"},
    ],
)
def test_tool_choices_come_back(choice: object) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "sql"}}]
    assert write(read(tools=tools, tool_choice=choice))[0]["tool_choice"] == choice


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "grammar", "grammar": "x"}},
        {"metadata": {"a": 1}},
        {"logprobs": 2},
        {"tools": [{"type": "browser_search"}]},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"messages": [{"role": "assistant", "content": "x", "prefix": True, "audio": {"id": "a"}}]},
        {"messages": [{"role": "user", "content": None, "extra": 1}]},
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}],
                }
            ]
        },
        {"messages": [{"role": "assistant", "content": "a", "annotations": [{"type": "url_citation"}]}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "mcp"}]}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "document_url", "document_url": "https://example.com/a.pdf"}],
                }
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "video_url", "video_url": {"url": "https://example.com/a"}}],
                }
            ]
        },
        {"unheard_of": {"a": [1, 2.5, None]}},
    ],
)
def test_what_only_chat_has_comes_back(fields: dict[str, Any]) -> None:
    written, dropped = write(read(**fields))
    for name, value in fields.items():
        if name == "messages":
            # A null says nothing; a message without content is written with an empty one.
            assert {**value[0], "content": value[0]["content"] or ""} == {
                **written[name][0],
                "content": written[name][0]["content"] or "",
            }
        else:
            assert written[name] == value
    assert not dropped


def test_missing_ids_are_made_and_kept() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    messages = [
        {"role": "assistant", "tool_calls": [call, call]},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
    ]
    asked = read(messages=messages)
    ids = [part.id for part in asked.messages[0].parts if isinstance(part, ToolCall)]
    results = [
        part.call for message in asked.messages[1:] for part in message.parts if isinstance(part, ToolResult)
    ]
    assert ids == results
    assert len(set(ids)) == 2
    assert [part.arguments for part in asked.messages[0].parts if isinstance(part, ToolCall)] == [
        '{"x":1}'
    ] * 2
