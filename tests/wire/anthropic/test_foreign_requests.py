"""Conversations of other dialects, written for Anthropic: turns, tools, thinking, structured output, and the
list of what was dropped.
"""

import json
from typing import Any

import msgspec
import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.anthropic.carrier import Proof, pack
from chatvault.wire.anthropic.dialect import MESSAGES
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
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.openai.responses.tools import read_tools

CLOSED = (
    b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}'
)
OPEN = b'{"type":"object","properties":{"a":{"type":"string"}}}'


def said(role: Any, *parts: AnyPart | str, **fields: Any) -> Message:
    return Message(
        role=role, parts=tuple(Text(text=each) if isinstance(each, str) else each for each in parts), **fields
    )


def written(
    *messages: Message, model: str = "claude-sonnet-4-5", **fields: Any
) -> tuple[dict[str, Any], list[str]]:
    dropped = Dropped()
    asked = Conversation(
        model=model,
        messages=messages or (said("user", "x"),),
        origin=fields.pop("origin", "openai.chat"),
        **fields,
    )
    return json.loads(MESSAGES.write_request(asked, dropped)), list(dropped.paths)


def call(id: str, name: str = "f", arguments: str = "{}") -> ToolCall:
    return ToolCall(id=id, name=name, arguments=arguments)


def result(id: str, text: str = "r") -> ToolResult:
    return ToolResult(call=id, parts=(Text(text=text),))


def tool(name: str = "f", **fields: Any) -> Tool:
    return Tool(name=name, schema=msgspec.Raw(OPEN), **fields)


def test_turns_alternate_and_results_follow_their_calls() -> None:
    request, dropped = written(
        said("system", "s"),
        said("developer", "d"),
        said("user", "a"),
        said("user", "b"),
        said("assistant", "c"),
        said("assistant", call("1"), call("2", arguments="")),
        said("user", result("1")),
        said("user", "between"),
        said("user", result("2")),
        said("assistant", call("1")),
        said("user", result("1", "later")),
        said("assistant", "", Refusal(text="no")),
    )
    assert request["system"] == [{"type": "text", "text": "s"}, {"type": "text", "text": "d"}]
    assert [message["role"] for message in request["messages"]] == ["user", "assistant"] * 3
    kinds = [
        [block["type"] for block in content] if isinstance(content := message["content"], list) else content
        for message in request["messages"]
    ]
    assert kinds == [
        ["text", "text"],
        ["text", "tool_use", "tool_use"],
        ["tool_result", "tool_result", "text"],
        ["tool_use"],
        ["tool_result"],
        "no",
    ]
    assert request["messages"][1]["content"][2]["input"] == {}
    assert request["messages"][4]["content"][0]["content"] == "later"
    assert dropped == []


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(ClientError) as refused:
        written(said("user", "x"), said("user", result("9")))
    assert refused.value.param == "messages[1]"


def test_ids_that_anthropic_refuses_are_written_the_same_for_call_and_result() -> None:
    request, _ = written(said("assistant", call("functions.f:0")), said("user", result("functions.f:0")))
    made = request["messages"][0]["content"][0]["id"]
    assert made.startswith("toolu_")
    assert request["messages"][1]["content"][0]["tool_use_id"] == made


@pytest.mark.parametrize(("model", "placed"), [("claude-opus-4-8", True), ("claude-sonnet-4-5", False)])
def test_a_later_instruction_keeps_its_place_where_the_model_takes_it(model: str, placed: bool) -> None:
    request, dropped = written(said("user", "a"), said("system", "s"), said("assistant", "b"), model=model)
    roles = [message["role"] for message in request["messages"]]
    assert roles == (["user", "system", "assistant"] if placed else ["user", "assistant"])
    assert ("system" in request) is not placed
    assert dropped == ([] if placed else ["messages[1].role"])


def test_broken_arguments_are_passed_on() -> None:
    request, _ = written(said("assistant", call("1", arguments='{"a":'), call("2", arguments="[1]")))
    inputs = [block["input"] for block in request["messages"][0]["content"]]
    assert inputs == [{"INVALID_JSON": '{"a":'}, {"INVALID_JSON": "[1]"}]


def test_media() -> None:
    request, dropped = written(
        said(
            "user",
            Media(kind="image", data="/9j/xx"),
            Media(kind="image", url="https://x/y.png", detail="high"),
            Media(kind="image", url="gs://x"),
            Media(kind="image", mime="image/png", data="iVBOR", detail="auto"),
            Media(kind="document", data="JVBERi", name="a.pdf"),
            Media(kind="document", mime="text/csv", data="YSxi"),
            Media(kind="document", mime="text/csv", data="/w=="),
            Media(kind="document", mime="application/zip", data="UEs="),
            Media(kind="document", text="words"),
            Media(kind="document", file="file_1", origin="openai.chat"),
            Media(kind="audio", mime="audio/wav", data="UklGRg=="),
            Media(kind="image"),
            Unknown(kind="x", raw=msgspec.Raw(b"{}"), origin="openai.chat"),
        )
    )
    blocks = request["messages"][0]["content"]
    assert [
        (block["type"], block["source"].get("media_type"), block["source"]["type"]) for block in blocks
    ] == [
        ("image", "image/jpeg", "base64"),
        ("image", None, "url"),
        ("image", "image/png", "base64"),
        ("document", "application/pdf", "base64"),
        ("document", "text/plain", "text"),
        ("document", "text/plain", "text"),
    ]
    assert (blocks[3]["title"], blocks[4]["source"]["data"]) == ("a.pdf", "a,b")
    assert dropped == [
        f"messages[0].content[{index}]{rest}"
        for index, rest in ((1, ".detail"), (2, ""), (6, ""), (7, ""), (9, ""), (10, ""), (11, ""), (12, ""))
    ]


def test_fields_of_others_are_reported_by_their_paths() -> None:
    extra = {"annotations": msgspec.Raw(b"[]")}
    request, dropped = written(
        said("user", Text(text="x", cache="default", extra=extra, origin="openai.chat"), name="bob"),
        said(
            "assistant",
            Text(text="y", citations=(msgspec.Raw(b"{}"),), origin="openai.chat"),
            extra={"audio": msgspec.Raw(b"{}")},
            origin="openai.chat",
        ),
        tools=(tool(extra={"z": msgspec.Raw(b"1")}, origin="openai.chat"),),
        extra={"store": msgspec.Raw(b"true")},
        seed=1,
        logprobs=True,
        top_logprobs=2,
        choices=2,
        presence_penalty=0.5,
        frequency_penalty=0.0,
        metadata={"a": "b"},
        verbosity="low",
        modalities=("text", "audio"),
        service_tier="flex",
        stop=("END", " "),
        user="u",
    )
    assert request["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert request["stop_sequences"] == ["END"]
    assert request["metadata"] == {"user_id": "u"}
    assert set(dropped) == {
        "messages[0].name",
        "messages[0].content[0].annotations",
        "messages[1].audio",
        "messages[1].content[0].annotations",
        "tools[0].z",
        "store",
        "seed",
        "logprobs",
        "top_logprobs",
        "n",
        "presence_penalty",
        "metadata",
        "verbosity",
        "modalities",
        "service_tier",
        "stop",
    }


@pytest.mark.parametrize(
    ("fields", "kept", "dropped"),
    [
        ({"temperature": 1.5}, {"temperature": 1}, ["temperature"]),
        ({"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}, ["top_p"]),
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5}, []),
        ({"top_p": 0.5, "top_k": 3}, {"top_p": 0.5, "top_k": 3}, []),
        ({"service_tier": "auto"}, {"service_tier": "auto"}, []),
        ({"choices": 1, "logprobs": False, "modalities": ("text",)}, {}, []),
        (
            {"reasoning": Reasoning(effort="low"), "temperature": 0.5, "top_p": 0.5, "top_k": 3},
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            ["temperature", "top_k", "top_p"],
        ),
    ],
)
def test_sampling(fields: dict[str, Any], kept: dict[str, Any], dropped: list[str]) -> None:
    request, told = written(**fields)
    assert {
        name: value for name, value in request.items() if name not in ("model", "max_tokens", "messages")
    } == kept
    assert told == dropped


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "config", "dropped"),
    [
        ("claude-opus-4-8", Reasoning(effort="xhigh", show=True), {"type": "adaptive", "display": "summarized"}, {"effort": "xhigh"}, []),
        ("claude-sonnet-4-6", Reasoning(effort="xhigh", summary="auto"), {"type": "adaptive", "display": "summarized"}, {"effort": "max"}, []),
        ("claude-opus-4-6", Reasoning(effort="minimal", summary="concise"), {"type": "adaptive", "display": "summarized"}, {"effort": "low"}, ["reasoning_effort.summary"]),
        ("claude-opus-4-6", Reasoning(budget=8192), {"type": "adaptive"}, {"effort": "medium"}, []),
        ("claude-opus-4-6", Reasoning(adaptive=True), {"type": "adaptive"}, None, []),
        ("claude-opus-4-6", Reasoning(effort="none"), {"type": "disabled"}, None, []),
        ("claude-sonnet-4-5", Reasoning(budget=0), None, None, []),
        ("claude-sonnet-4-5", Reasoning(effort="medium"), {"type": "enabled", "budget_tokens": 8192}, None, []),
        ("claude-sonnet-4-5", Reasoning(budget=500), {"type": "enabled", "budget_tokens": 1024}, None, []),
        ("claude-sonnet-4-5", Reasoning(adaptive=True, budget=-1), {"type": "enabled", "budget_tokens": 8192}, None, []),
        ("claude-3-5-haiku-latest", Reasoning(effort="high"), None, None, ["reasoning_effort"]),
        ("claude-next", Reasoning(effort="high"), {"type": "adaptive"}, {"effort": "high"}, []),
        ("kimi-k2", Reasoning(effort="low"), {"type": "enabled", "budget_tokens": 1024}, None, []),
    ],
)  # fmt: skip
def test_thinking(model: str, reasoning: Reasoning, thinking: Any, config: Any, dropped: list[str]) -> None:
    request, told = written(model=model, reasoning=reasoning)
    assert (request.get("thinking"), request.get("output_config"), told) == (thinking, config, dropped)


def test_thinking_leaves_room_for_the_answer() -> None:
    assert written(reasoning=Reasoning(effort="medium"))[0]["max_tokens"] == 32_000 + 8_192
    request, _ = written(reasoning=Reasoning(effort="high"), max_output=4_000)
    assert (request["thinking"]["budget_tokens"], request["max_tokens"]) == (2_000, 4_000)
    request, dropped = written(reasoning=Reasoning(effort="high"), max_output=1_500)
    assert ("thinking" in request, dropped) == (False, ["reasoning_effort"])


def test_thinking_gives_way_to_a_tool_that_must_be_called() -> None:
    forced: dict[str, Any] = {
        "tools": (tool(),),
        "tool_choice": ToolChoice(mode="required"),
        "reasoning": Reasoning(effort="high"),
    }
    assert written(**forced)[1] == ["reasoning_effort"]
    request, dropped = written(model="claude-opus-4-8", **forced)
    assert ("thinking" in request, request["output_config"], dropped) == (False, {"effort": "high"}, [])


def test_thinking_gives_way_in_a_loop_that_lost_its_thought() -> None:
    lost = (said("user", "x"), said("assistant", call("1")), said("user", result("1")))
    assert written(*lost, reasoning=Reasoning(effort="high"))[1] == ["reasoning_effort"]
    kept = (
        said("user", "x"),
        said("assistant", Thought(text="t", signature="s", origin="anthropic.messages"), call("1")),
        said("user", result("1")),
    )
    request, dropped = written(*kept, reasoning=Reasoning(effort="high"))
    assert request["thinking"]["type"] == "enabled"
    assert request["messages"][1]["content"][0] == {"type": "thinking", "thinking": "t", "signature": "s"}
    assert dropped == []
    assert written(*lost, said("user", "next"), reasoning=Reasoning(effort="high"))[1] == []


def test_thoughts_that_anthropic_cannot_take_back_are_reported() -> None:
    request, dropped = written(
        said(
            "assistant",
            Thought(text="plain"),
            Thought(text="t", signature="s", origin="gemini.generate", path="messages[0].reasoning_details"),
            Thought(sealed="z", origin="anthropic.messages", cache="5m"),
            "x",
        )
    )
    assert request["messages"][0]["content"][0] == {"type": "redacted_thinking", "data": "z"}
    assert dropped == [
        "messages[0].content[0]",
        "messages[0].reasoning_details",
        "messages[0].content[2].cache_control",
    ]


def test_tools_and_their_choice() -> None:
    request, dropped = written(
        tools=(
            tool(description="d", strict=True, cache="1h"),
            Tool(name="g", strict=True, schema=msgspec.Raw(CLOSED)),
            Tool(name="h"),
            Tool(name="i", schema=msgspec.Raw(b'{"properties":{}}'), strict=False),
            Tool(name="j", custom=True),
            Tool(name="k", strict=True, schema=msgspec.Raw(b'{"type":"object","additionalProperties":true}')),
        ),
        tool_choice=ToolChoice(mode="named", name="g"),
        parallel_tools=False,
    )
    f, g, h, i, j, k = request["tools"]
    assert (f["strict"], f["cache_control"]) == (True, {"type": "ephemeral", "ttl": "1h"})
    assert g["strict"] is True
    assert h == {"name": "h", "input_schema": {"type": "object", "properties": {}}}
    assert (i["input_schema"]["type"], i["strict"]) == ("object", False)
    assert j["input_schema"]["required"] == ["input"]
    assert "strict" not in k
    assert request["tool_choice"] == {"type": "tool", "name": "g", "disable_parallel_tool_use": True}
    assert dropped == ["tools[4].type", "tools[5].strict"]


@pytest.mark.parametrize(
    ("fields", "choice", "dropped"),
    [
        ({"tool_choice": ToolChoice(mode="none")}, None, []),
        ({"tool_choice": ToolChoice(mode="required")}, None, ["tool_choice"]),
        (
            {"tools": (tool(),), "parallel_tools": True},
            {"type": "auto", "disable_parallel_tool_use": False},
            [],
        ),
        (
            {"tools": (tool(),), "tool_choice": ToolChoice(mode="none"), "parallel_tools": True},
            {"type": "none"},
            [],
        ),
        ({"tools": (tool(),), "tool_choice": ToolChoice(mode="required")}, {"type": "any"}, []),
    ],
)
def test_choices(fields: dict[str, Any], choice: Any, dropped: list[str]) -> None:
    request, told = written(**fields)
    assert (request.get("tool_choice"), told) == (choice, dropped)


def test_a_choice_among_some_tools_leaves_only_those() -> None:
    request, _ = written(tools=(tool("f"), tool("g")), tool_choice=ToolChoice(mode="auto", names=("g",)))
    assert [each["name"] for each in request["tools"]] == ["g"]


def test_a_custom_call_becomes_an_object() -> None:
    request, _ = written(said("assistant", ToolCall(id="1", name="f", arguments="free text", custom=True)))
    assert request["messages"][0]["content"][0]["input"] == {"input": "free text"}


def test_tools_of_servers() -> None:
    search = b'{"type":"web_search","user_location":{"type":"approximate","approximate":{"city":"Paris"}},"filters":{"allowed_domains":["x"]},"search_context_size":"low"}'
    request, dropped = written(
        tools=(
            *read_tools({"tools": [json.loads(search)]}),
            ServerTool(kind="code_execution", origin="gemini.generate", raw=msgspec.Raw(b"{}")),
            ServerTool(
                kind="file_search", origin="openai.responses", raw=msgspec.Raw(b"{}"), path="tools[7]"
            ),
            ServerTool(kind="web_fetch", origin="x", raw=msgspec.Raw(b"[")),
        )
    )
    assert request["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "user_location": {"type": "approximate", "city": "Paris"},
            "allowed_domains": ["x"],
        },
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "web_fetch_20250910", "name": "web_fetch"},
    ]
    assert dropped == ["tools[0].search_context_size", "tools[7]"]


def form(schema: bytes, **fields: Any) -> Output:
    return Output(kind="json_schema", name="Thing", schema=msgspec.Raw(schema), **fields)


def test_structured_output_is_native_where_the_schema_allows() -> None:
    request, dropped = written(output=form(CLOSED, strict=True, description="d"))
    schema = json.loads(CLOSED) | {"title": "Thing", "description": "d"}
    assert request["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert dropped == []
    back = MESSAGES.read_request(json.dumps(request).encode())
    assert back.output is not None
    assert (back.output.name, back.output.strict) == ("Thing", True)
    labelled = CLOSED.replace(b'{"type":"object"', b'{"title":"Other","type":"object"', 1)
    assert written(output=form(labelled))[1] == ["response_format.name"]


@pytest.mark.parametrize("strict", [None, False, True])
@pytest.mark.parametrize(
    "schema",
    [
        b'{"type":"object","properties":{"a":{"type":"string","pattern":"x"}}}',
        b'{"type":"object","properties":{"a":{"$ref":"#/properties/a"}}}',
        b'{"type":"object","properties":{"a":{"$ref":"#/nowhere"}}}',
        b'{"type":"object","properties":{"a":{"$ref":"https://x"}}}',
        b'{"type":"object","properties":[]}',
        b'{"type":"object","properties":{"a":true}}',
        b'{"type":"object","anyOf":{}}',
        b'{"type":"object","properties":{"a":{"type":"array","minItems":3}}}',
        b'{"type":"object","properties":{"a":{"type":"object"}}}',
        b'{"type":"array","items":{"type":"string"}}',
        b'"odd"',
    ],
)
def test_other_schemas_become_a_tool_and_come_back(schema: bytes, strict: bool | None) -> None:
    asked = form(schema, strict=strict, description="two\nlines")
    request, dropped = written(output=asked)
    assert "output_config" not in request
    (made,) = request["tools"]
    assert request["tool_choice"] == {"type": "tool", "name": made["name"]}
    assert made["input_schema"]["type"] == "object"
    assert dropped == (["response_format.strict"] if strict else [])
    back = MESSAGES.read_request(json.dumps(request).encode())
    assert (back.tools, back.tool_choice) == ((), None)
    assert back.output is not None
    assert json.loads(bytes(back.output.schema or b"")) == json.loads(schema)
    assert (back.output.name, back.output.description) == ("Thing", "two\nlines")
    assert back.output.strict == (False if strict is False else None)


def test_a_closed_schema_with_all_that_is_taken() -> None:
    schema = {
        "type": "object",
        "$defs": {"d": {"type": "object", "properties": {"x": {"type": "string", "format": "date"}}}},
        "properties": {
            "a": {"type": "array", "items": {"$ref": "#/$defs/d"}, "minItems": 1},
            "b": {"anyOf": [{"type": "null"}, {"const": 1}]},
        },
    }
    request, _ = written(output=form(json.dumps(schema).encode(), strict=True))
    closed = request["output_config"]["format"]["schema"]
    assert closed["additionalProperties"] is closed["$defs"]["d"]["additionalProperties"] is False


def test_an_open_schema_is_closed_where_nothing_else_would_bind() -> None:
    assert "tools" in written(output=form(OPEN))[0]
    request, _ = written(output=form(OPEN), reasoning=Reasoning(effort="low"))
    assert request["output_config"]["format"]["schema"]["additionalProperties"] is False


def test_json_without_a_schema() -> None:
    request, _ = written(output=Output(kind="json_object"), model="claude-3-haiku-20240307")
    assert (request["tools"][0]["input_schema"], request["max_tokens"]) == ({"type": "object"}, 4_096)
    assert MESSAGES.read_request(json.dumps(request).encode()).output == Output(kind="json_object")
    assert "tools" not in written(output=Output(kind="text"))[0]


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({"tools": (tool(),)}, {"type": "any"}),
        (
            {"tools": (tool(),), "tool_choice": ToolChoice(mode="named", name="f")},
            {"type": "tool", "name": "f"},
        ),
        (
            {"tools": (tool(),), "tool_choice": ToolChoice(mode="none")},
            {"type": "tool", "name": "chatvault_answer"},
        ),
        ({"reasoning": Reasoning(effort="low")}, {"type": "auto"}),
    ],
)
def test_the_answer_is_one_of_the_tools(fields: dict[str, Any], choice: Any) -> None:
    assert written(output=Output(kind="json_object"), **fields)[0]["tool_choice"] == choice


def test_proofs_of_others_come_back_from_the_client() -> None:
    thought = pack(Proof(origin="openai.responses", sealed="z", id="rs_1", summary=True))
    signed = pack(Proof(origin="gemini.generate", call="c1", signature="g"))
    content = [
        {"type": "thinking", "thinking": "sum", "signature": thought},
        {"type": "redacted_thinking", "data": pack(Proof(origin="openai.responses", sealed="y"))},
        {"type": "redacted_thinking", "data": signed},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
        {"type": "tool_use", "id": "c2", "name": "f", "input": {}},
        {"type": "redacted_thinking", "data": "chatvault.1.!"},
    ]
    body = {"model": "m", "messages": [{"role": "assistant", "content": content}]}
    asked = MESSAGES.read_request(json.dumps(body).encode())
    assert asked.messages[0].parts == (
        Thought(text="sum", sealed="z", id="rs_1", summary=True, origin="openai.responses"),
        Thought(sealed="y", origin="openai.responses"),
        ToolCall(
            id="c1",
            name="f",
            arguments="{}",
            signature="g",
            origin="gemini.generate",
            path="messages[0].content[3]",
        ),
        ToolCall(id="c2", name="f", arguments="{}", path="messages[0].content[4]"),
        Thought(sealed="chatvault.1.!", origin="anthropic.messages", path="messages[0].content[5]"),
    )
    dropped = Dropped()
    MESSAGES.write_request(asked, dropped)
    assert dropped.paths == ("messages[0].content[0]", "messages[0].content[1]")
