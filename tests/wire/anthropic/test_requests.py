"""Requests of this dialect: what comes in goes out, and what cannot be understood is refused by its path."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.anthropic.request import read
from chatvault.wire.hub.conversation import Conversation, ServerTool, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import Media, Text, Thought, ToolCall, ToolResult, Unknown
from tests.wire.anthropic.plain import plain_request

GOLDEN = Path(__file__).parent / "golden"


def conversation(**fields: Any) -> Conversation:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], **fields}
    return MESSAGES.read_request(json.dumps(body).encode())


def rewritten(request: dict[str, Any]) -> dict[str, Any]:
    dropped = Dropped()
    written: dict[str, Any] = json.loads(
        MESSAGES.write_request(MESSAGES.read_request(json.dumps(request).encode()), dropped)
    )
    assert not dropped
    return written


@pytest.mark.parametrize("name", ["loop", "older"])
def test_what_comes_in_goes_out(name: str) -> None:
    request = json.loads((GOLDEN / f"{name}.json").read_bytes())
    assert plain_request(rewritten(request)) == plain_request(request)


def test_parts_are_understood() -> None:
    read_in = MESSAGES.read_request((GOLDEN / "loop.json").read_bytes())
    system, asked, answer, results, later = read_in.messages
    assert (system.role, later.role) == ("system", "system")
    assert system.parts == (
        Text(text="You are terse.", cache="1h"),
        Text(text="Answer in French."),
    )
    kinds = [type(part) for part in asked.parts]
    assert kinds == [Text, Media, Media, Media, Media, Media, Media, Text, Unknown]
    content = asked.parts[6]
    assert isinstance(content, Media)
    assert content.text == "a\n\nb"
    found = asked.parts[7]
    assert isinstance(found, Text)
    assert found.text == "R\nhttps://r.example\nfound"
    assert [type(part) for part in answer.parts] == [
        Thought,
        Thought,
        Text,
        Unknown,
        Unknown,
        ToolCall,
        ToolCall,
    ]
    first = results.parts[0]
    assert isinstance(first, ToolResult)
    assert [type(part) for part in first.parts] == [Text, Media, Media, Unknown]
    assert [type(tool) for tool in read_in.tools] == [Tool, Tool, ServerTool, ServerTool]
    assert [tool.kind for tool in read_in.tools if isinstance(tool, ServerTool)] == [
        "web_search",
        "bash_20250124",
    ]
    assert read_in.reasoning is not None
    assert (read_in.reasoning.adaptive, read_in.reasoning.effort, read_in.reasoning.show) == (
        True,
        "xhigh",
        True,
    )
    assert (read_in.user, read_in.service_tier, read_in.parallel_tools) == ("u", "default", False)
    assert {
        "thinking.future",
        "output_config.task_budget",
        "metadata.other",
        "container",
    } <= read_in.extra.keys()


def test_the_paths_of_system_messages_that_have_no_system_above() -> None:
    read_in = MESSAGES.read_request((GOLDEN / "older.json").read_bytes())
    assert [message.path for message in read_in.messages] == [f"messages[{index}]" for index in range(4)]
    assert read_in.messages[0].parts[0].path == "messages[0].content[0]"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": 1, "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "citations": 1}]}]},
            "messages[0].content[0].citations",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
            "messages[0].content[0].source.data",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [1]}]}
                ]
            },
            "messages[0].content[0].content[0]",
        ),
        ({"system": 1}, "system"),
        ({"system": [{"type": "text", "text": 1}]}, "system[0].text"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"type": 1}]}, "tools[0].type"),
        ({"tools": [{}]}, "tools[0].name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking.budget_tokens"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"model": None}, "model"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ClientError) as refused:
        conversation(**fields)
    assert (refused.value.http_status, refused.value.param) == (400, param)


def test_what_only_the_provider_understands_passes() -> None:
    request = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "from_the_future", "x": 1},
                    {"type": "image", "source": {"type": "from_the_future"}},
                    {"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}},
                    {"type": "text", "text": "", "cache_control": {"type": "eternal"}},
                    {"type": "image", "source": {"type": "url", "url": "https://x", "detail": "high"}},
                ],
            }
        ],
        "thinking": {"type": "from_the_future"},
        "tool_choice": {"type": "from_the_future", "x": 1},
        "output_config": {"format": {"type": "from_the_future"}},
    }
    assert plain_request(rewritten(request)) == plain_request(request)


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}},
        {"output_config": {"effort": "medium"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}},
        {"thinking": {"type": "from_the_future"}, "output_config": {"effort": "low"}},
        {"tool_choice": {"type": "none"}},
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": False, "x": 1}},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}, "x": 1}}},
    ],
)
def test_settings_go_back_as_they_were(fields: dict[str, Any]) -> None:
    request = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], **fields}
    assert plain_request(rewritten(request)) == plain_request(request)


def test_the_path_may_name_the_model_and_whether_to_stream() -> None:
    read_in = MESSAGES.read_request(b'{"messages":[]}', model="m", stream=True)
    assert (read_in.model, read_in.stream) == ("m", True)
    assert MESSAGES.request_path(read_in) == b"/messages"


def test_max_tokens_is_always_written() -> None:
    read_in = MESSAGES.read_request(b'{"model":"claude-opus-4-5","messages":[]}')
    assert json.loads(MESSAGES.write_request(read_in, Dropped()))["max_tokens"] == 32_000


def test_broken_input_of_a_tool_goes_back_as_it_was() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"INVALID_JSON": '{"a":'}}
    request = {"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": [call]}]}
    part = MESSAGES.read_request(json.dumps(request).encode()).messages[0].parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"a":'
    assert rewritten(request)["messages"] == request["messages"]


def test_lone_surrogates_are_mended_and_broken_json_is_refused() -> None:
    read_in = MESSAGES.read_request(rb'{"model":"m","messages":[{"role":"user","content":"\ud83d"}]}')
    assert read_in.messages[0].parts == (Text(text="\ufffd"),)
    with pytest.raises(ClientError, match="not valid JSON"):
        MESSAGES.read_request(b"{")


def test_a_gateway_reads_only_what_it_decides_on() -> None:
    body = b'{"model":"m","max_tokens":5,"stream":true,"metadata":{"user_id":"u"},"messages":[]}'
    request = read(body)
    assert (request.model, request.stream, request.max_output(), request.asks_usage()) == ("m", True, 5, True)
    assert request.metadata() == {"metadata": {"user_id": "u"}}
    assert request.fields.patched({"model": b'"n"'}) == body.replace(b'"m"', b'"n"')
    bare = read(b'{"metadata":{},"max_tokens":-1}')
    assert (bare.model, bare.stream, bare.max_output(), bare.metadata()) == (None, False, None, {})
    assert read(b"{}").metadata() == {}
    assert read(rb'{"metadata":"\ud83d"}').metadata() == {}
    with pytest.raises(ClientError) as refused:
        read(b'{"max_tokens":"x"}').max_output()
    assert refused.value.param == "max_tokens"
    with pytest.raises(ClientError):
        read(b'{"model":1}')


def test_conversations_are_values() -> None:
    one, two = conversation(), conversation()
    assert msgspec.json.encode(one) == msgspec.json.encode(two)
