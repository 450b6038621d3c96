"""Requests in Bedrock's words: each is judged by the service's published model besides."""

import json
from typing import Any

import msgspec
import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.bedrock.dialect import CONVERSE
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
from chatvault.wire.openai.chat.dialect import ChatDialect
from tests.wire.bedrock.published import check

NOVA = "us.amazon.nova-lite-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def conversation(*messages: Message, model: str = NOVA, **fields: Any) -> Conversation:
    return Conversation(model=model, messages=messages, origin="openai.chat", **fields)


def said(role: Any, *parts: Any) -> Message:
    return Message(
        role=role, parts=tuple(Text(text=each) if isinstance(each, str) else each for each in parts)
    )


def written(asked: Conversation) -> tuple[dict[str, Any], tuple[str, ...]]:
    dropped = Dropped()
    body = json.loads(CONVERSE.write_request(asked, dropped))
    check(body, asked.model, stream=asked.stream)
    return body, dropped.paths


HELLO = said("user", "hello")
CALLED = said("assistant", ToolCall(id="c1", name="f", arguments='{"a":1}'))


def test_a_conversation_of_chat() -> None:
    asked = ChatDialect().read_request(
        json.dumps(
            {
                "model": NOVA,
                "max_completion_tokens": 10,
                "temperature": 0.5,
                "top_p": 0.9,
                "stop": ["END", ""],
                "messages": [
                    {"role": "system", "content": "be kind"},
                    {"role": "user", "content": [
                        {"type": "text", "text": "look"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    ]},
                    {"role": "assistant", "content": None, "tool_calls": [
                        {"id": "call 1", "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}}
                    ]},
                    {"role": "tool", "tool_call_id": "call 1", "content": "42"},
                    {"role": "user", "content": "and?"},
                ],
                "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            }
        ).encode()
    )  # fmt: skip
    body, dropped = written(asked)
    assert dropped == ()
    id = body["messages"][1]["content"][0]["toolUse"]["toolUseId"]
    assert body == {
        "system": [{"text": "be kind"}],
        "messages": [
            {
                "role": "user",
                "content": [{"text": "look"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
            },
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": id, "name": "f", "input": {"a": "b"}}}],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": id, "content": [{"text": "42"}]}}, {"text": "and?"}],
            },
        ],
        "inferenceConfig": {"maxTokens": 10, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": SCHEMA}}}],
            "toolChoice": {"tool": {"name": "f"}},
        },
    }
    assert CONVERSE.request_path(asked) == b"/model/us.amazon.nova-lite-v1%3A0/converse"


def test_a_name_is_one_segment_of_the_path() -> None:
    asked = conversation(HELLO, model=PROFILE, stream=True)
    assert CONVERSE.request_path(asked) == (
        b"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse-stream"
    )
    assert written(asked)[0] == {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}


def test_cache_points_stand_behind_what_they_close() -> None:
    asked = MESSAGES.read_request(
        json.dumps(
            {
                "model": PROFILE,
                "max_tokens": 5,
                "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
                "tools": [{"name": "f", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}}],
                "messages": [
                    {"role": "user", "content": [
                        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}}
                    ]}
                ],
            }
        ).encode()
    )  # fmt: skip
    body, dropped = written(asked)
    assert dropped == ()
    assert body["system"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default", "ttl": "5m"}}

    body, dropped = written(msgspec.structs.replace(asked, model=NOVA))
    assert dropped == ("system[0].cache_control.ttl", "tools[0].cache_control")
    assert body["system"][1] == body["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}

    body, dropped = written(msgspec.structs.replace(asked, model=LLAMA))
    assert dropped == (
        "system[0].cache_control",
        "messages[0].content[0].cache_control",
        "tools[0].cache_control",
    )
    assert "cachePoint" not in json.dumps(body)


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Media(kind="image", data=PNG), {"image": {"format": "png", "source": {"bytes": PNG}}}),
        (
            Media(kind="image", mime="image/jpeg", url="s3://bucket/key"),
            {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/key"}}}},
        ),
        (
            Media(kind="document", mime="application/pdf", data="JVBERi0=", name="My file_1.pdf"),
            {"document": {"format": "pdf", "source": {"bytes": "JVBERi0="}, "name": "My file-1-pdf"}},
        ),
        (
            Media(kind="document", text="plain"),
            {"document": {"format": "txt", "source": {"bytes": "cGxhaW4="}, "name": "document"}},
        ),
        (
            Media(kind="document", mime="text/x-python; charset=utf-8", data="eA"),
            {"document": {"format": "txt", "source": {"bytes": "eA=="}, "name": "document"}},
        ),
        (
            Media(kind="document", data="JVBERi0"),
            {"document": {"format": "pdf", "source": {"bytes": "JVBERi0="}, "name": "document"}},
        ),
        (Media(kind="document", mime="image/webp", data="UklG"), {"image": {"format": "webp", "source": {"bytes": "UklG"}}}),
        (Media(kind="video", mime="video/mp4", data="AAAA"), {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}),
        (Media(kind="audio", mime="audio/wav", data="AAAA"), {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}),
        (Media(kind="image", url="https://x/y.png"), None),
        (Media(kind="image", mime="image/png", file="file-1"), None),
        (Media(kind="image", mime="image/tiff", data="AAAA"), None),
        (Media(kind="document", text=""), None),
        (Media(kind="document", data="AAAA"), None),
        (Unknown(kind="x", raw=raw({})), None),
    ],
)  # fmt: skip
def test_what_is_not_text(part: Any, block: dict[str, Any] | None) -> None:
    body, dropped = written(conversation(said("user", "see", part)))
    content = body["messages"][0]["content"]
    assert content[1:] == ([block] if block is not None else [])
    assert dropped == (() if block is not None else ("messages[0].content[1]",))


def test_documents_have_names_of_their_own() -> None:
    one = Media(kind="document", mime="application/pdf", data="JVBERi0=", name="a.pdf")
    body, _ = written(conversation(said("user", "see", one, one)))
    assert [each["document"]["name"] for each in body["messages"][0]["content"][1:]] == ["a-pdf", "a-pdf 2"]


def test_pictures_are_the_users() -> None:
    asked = conversation(
        HELLO, said("assistant", "see", Media(kind="image", mime="image/png", data=PNG)), HELLO
    )
    body, dropped = written(asked)
    assert dropped == ("messages[1].content[1]",)
    assert body["messages"][1]["content"] == [{"text": "see"}]


def test_details_that_are_lost_are_named() -> None:
    asked = conversation(
        Message(
            role="user",
            parts=(Media(kind="image", data=PNG, detail="high"),),
            name="bob",
            extra={"x": raw(1)},
        ),
        said("assistant", Text(text="a", citations=(raw({}),), extra={"y": raw(1)})),
    )
    assert written(asked)[1] == (
        "messages[0].name",
        "messages[0].x",
        "messages[0].content[0].detail",
        "messages[1].content[0].citations",
        "messages[1].content[0].y",
    )


def test_a_turn_is_one_message_and_blanks_say_nothing() -> None:
    asked = conversation(
        said("user", "a", " \n"), said("user", "b"), said("assistant", Refusal(text="no"), Refusal(text="")), said("assistant", " ")
    )  # fmt: skip
    body, dropped = written(asked)
    assert dropped == ()
    assert [(each["role"], each["content"]) for each in body["messages"]] == [
        ("user", [{"text": "a"}, {"text": "b"}]),
        ("assistant", [{"text": "no"}]),
    ]


def test_instructions_in_the_middle_join_the_system_prompt() -> None:
    body, dropped = written(conversation(said("system", "a"), HELLO, said("developer", "b")))
    assert body["system"] == [{"text": "a"}, {"text": "b"}]
    assert dropped == ("messages[2].role",)


def test_results_come_first_in_the_turn_behind_their_calls() -> None:
    picture = Media(kind="image", data=PNG)
    asked = conversation(
        HELLO,
        CALLED,
        said("user", "wait", ToolResult(call="c1", parts=(Text(text="x"), picture), failed=True)),
        tools=(Tool(name="f"),),
    )
    body, _ = written(asked)
    result = {
        "toolUseId": "c1",
        "content": [{"text": "x"}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
        "status": "error",
    }
    assert body["messages"][2]["content"] == [{"toolResult": result}, {"text": "wait"}]


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(ClientError) as refused:
        written(conversation(HELLO, said("user", ToolResult(call="gone"))))
    assert refused.value.param == "messages[1]"
    assert refused.value.http_status == 400


def test_tools_that_were_called_are_defined() -> None:
    asked = conversation(HELLO, CALLED, said("user", ToolResult(call="c1")))
    spec = {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert written(asked)[0]["toolConfig"] == {"tools": [{"toolSpec": spec}]}


def test_tools_as_they_are_written() -> None:
    tools = (
        Tool(name="plain", description="", schema=raw({"properties": {}}), strict=True, extra={"z": raw(1)}),
        Tool(name="free", custom=True),
        ServerTool(kind="web_search", origin="openai.responses", raw=raw({"type": "web_search"})),
    )
    body, dropped = written(conversation(HELLO, tools=tools, parallel_tools=False))
    plain, free = (each["toolSpec"] for each in body["toolConfig"]["tools"])
    assert plain == {"name": "plain", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert free["inputSchema"]["json"]["required"] == ["input"]
    assert dropped == ("parallel_tool_calls", "tools[0].strict", "tools[0].z", "tools[1].type", "tools[2]")
    body, dropped = written(conversation(HELLO, tools=tools[:1], model=QWEN))
    assert body["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True
    assert dropped == ("tools[0].z",)


def test_what_nova_does_not_know_of_a_schema() -> None:
    more = {"$schema": "s", "title": "t", "additionalProperties": False, "$defs": {}}
    tools = (Tool(name="f", schema=raw(SCHEMA | more)),)
    body, dropped = written(conversation(HELLO, tools=tools))
    assert body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"] == SCHEMA | {"$defs": {}}
    assert set(dropped) == {"tools[0].title", "tools[0].additionalProperties"}
    body, dropped = written(conversation(HELLO, tools=tools, model=QWEN))
    assert body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"] == SCHEMA | more
    assert dropped == ()
    output = Output(kind="json_schema", schema=raw(SCHEMA | more))
    body, dropped = written(conversation(HELLO, output=output))
    assert body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"] == SCHEMA | {"$defs": {}}
    assert dropped == ("response_format.additionalProperties", "response_format.title")


@pytest.mark.parametrize(
    ("choice", "model", "written_as", "lost"),
    [
        (ToolChoice(mode="auto"), NOVA, None, ()),
        (ToolChoice(mode="required"), NOVA, {"any": {}}, ()),
        (ToolChoice(mode="named", name="f"), NOVA, {"tool": {"name": "f"}}, ()),
        (ToolChoice(mode="named", name="f"), LLAMA, {"any": {}}, ("tool_choice.name",)),
    ],
)
def test_the_choice_among_tools(
    choice: ToolChoice, model: str, written_as: Any, lost: tuple[str, ...]
) -> None:
    asked = conversation(HELLO, tools=(Tool(name="f"),), tool_choice=choice, model=model)
    body, dropped = written(asked)
    assert body["toolConfig"].get("toolChoice") == written_as
    assert dropped == lost


def test_no_tool_to_be_called_is_no_tool() -> None:
    none = ToolChoice(mode="none")
    assert written(conversation(HELLO, tools=(Tool(name="f"),), tool_choice=none)) == (
        {"messages": [{"role": "user", "content": [{"text": "hello"}]}]},
        (),
    )
    asked = conversation(
        HELLO, CALLED, said("user", ToolResult(call="c1")), tools=(Tool(name="f"),), tool_choice=none
    )
    body, dropped = written(asked)
    assert dropped == ("tool_choice",)  # what was called has to be defined
    assert "toolChoice" not in body["toolConfig"]


def test_a_choice_without_tools_is_reported() -> None:
    assert written(conversation(HELLO, tool_choice=ToolChoice(mode="required")))[1] == ("tool_choice",)


def test_a_choice_that_narrows_leaves_the_others_out() -> None:
    asked = conversation(
        HELLO, tools=(Tool(name="f"), Tool(name="g")), tool_choice=ToolChoice(mode="auto", names=("g",))
    )
    assert [each["toolSpec"]["name"] for each in written(asked)[0]["toolConfig"]["tools"]] == ["g"]


def test_thoughts_go_back_to_who_proved_them() -> None:
    thoughts = (
        Thought(text="a", signature="s", origin="bedrock.converse"),
        Thought(sealed="eA==", origin="bedrock.converse"),
        Thought(text="b", origin="bedrock.converse"),
        Thought(text="c", signature="s", origin="anthropic.messages"),
    )
    body, dropped = written(conversation(HELLO, said("assistant", *thoughts, "x"), HELLO))
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "a", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "eA=="}},
        {"text": "x"},
    ]
    assert dropped == ("messages[1].content[2]", "messages[1].content[3]")


@pytest.mark.parametrize(
    ("model", "fields", "more", "lost"),
    [
        (NOVA, {"top_k": 5}, {"inferenceConfig": {"topK": 5}}, ()),
        ("cohere.command-r-v1:0", {"top_k": 5, "seed": 1, "presence_penalty": 0.5}, {"k": 5, "seed": 1, "presence_penalty": 0.5}, ()),
        ("ai21.jamba-1-5-mini-v1:0", {"frequency_penalty": 0.5}, {"frequency_penalty": 0.5}, ()),
        (LLAMA, {"top_k": 5, "seed": 0, "presence_penalty": 0, "frequency_penalty": 1}, None, ("top_k", "seed", "frequency_penalty")),
        (PROFILE, {"top_k": 5}, None, ("top_k",)),
    ],
)  # fmt: skip
def test_what_only_some_models_have_a_field_for(
    model: str, fields: Any, more: Any, lost: tuple[str, ...]
) -> None:
    body, dropped = written(conversation(HELLO, model=model, **fields))
    assert body.get("additionalModelRequestFields") == more
    assert dropped == lost


@pytest.mark.parametrize(
    ("model", "asked", "more", "lost"),
    [
        (NOVA_2, Reasoning(effort="minimal"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, ()),
        (NOVA_2, Reasoning(budget=8192), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, ()),
        (NOVA_2, Reasoning(effort="none"), None, ()),
        (GPT, Reasoning(effort="xhigh"), {"reasoning_effort": "high"}, ("reasoning_effort",)),
        ("us.openai.gpt-5.6-sol", Reasoning(effort="xhigh"), {"reasoning": {"effort": "xhigh"}}, ()),
        (GPT, Reasoning(adaptive=True), {"reasoning_effort": "medium"}, ()),
        (GPT, Reasoning(effort="unheard-of"), None, ("reasoning_effort",)),
        (NOVA, Reasoning(effort="low"), None, ("reasoning_effort",)),
    ],
)  # fmt: skip
def test_how_much_to_think(model: str, asked: Reasoning, more: Any, lost: tuple[str, ...]) -> None:
    body, dropped = written(conversation(HELLO, model=model, reasoning=asked))
    assert body.get("additionalModelRequestFields") == more
    assert dropped == lost


def test_novas_highest_effort_takes_no_sampling_and_never_the_bound() -> None:
    high = Reasoning(effort="high")
    body, dropped = written(
        conversation(HELLO, model=NOVA_2, reasoning=high, temperature=0.1, top_p=0.5, top_k=9)
    )
    assert "inferenceConfig" not in body
    assert dropped == ("temperature", "top_p", "top_k")
    body, dropped = written(conversation(HELLO, model=NOVA_2, reasoning=high, max_output=99))
    assert body["inferenceConfig"] == {"maxTokens": 99}
    assert body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "medium"
    assert dropped == ("reasoning_effort",)


OUTPUT = Output(kind="json_schema", name="n", description="d", schema=raw(SCHEMA), strict=True)


def test_the_form_of_an_answer() -> None:
    body, dropped = written(conversation(HELLO, model=QWEN, output=OUTPUT))
    form = body["outputConfig"]["textFormat"]
    assert json.loads(form["structure"]["jsonSchema"].pop("schema")) == SCHEMA
    assert form == {"type": "json_schema", "structure": {"jsonSchema": {"name": "n", "description": "d"}}}
    assert dropped == ()
    assert written(conversation(HELLO, output=Output(kind="text"))) == written(conversation(HELLO))


def test_a_tool_stands_in_for_the_form_where_the_model_knows_none() -> None:
    body, dropped = written(conversation(HELLO, output=OUTPUT))
    assert dropped == ("response_format.strict",)
    (tool,) = body["toolConfig"]["tools"]
    assert tool["toolSpec"]["inputSchema"]["json"] == SCHEMA
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "chatvault_answer"}}
    both: Any = {"output": Output(kind="json_object"), "tools": (Tool(name="f"),)}
    assert written(conversation(HELLO, **both))[0]["toolConfig"]["toolChoice"] == {"any": {}}
    named = ToolChoice(mode="named", name="f")
    body, _ = written(conversation(HELLO, tool_choice=named, **both))
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "f"}}
    assert written(conversation(HELLO, output=OUTPUT, model=LLAMA))[1] == ("response_format",)


def test_what_has_no_place_is_reported() -> None:
    asked = conversation(
        HELLO,
        temperature=1.5,
        choices=2,
        logprobs=True,
        top_logprobs=3,
        user="u",
        verbosity="low",
        modalities=("text", "audio"),
        service_tier="scale",
        metadata={"k": "v" * 300},
        extra={"logit_bias": raw({})},
    )
    body, dropped = written(asked)
    assert body["inferenceConfig"] == {"temperature": 1}
    assert set(dropped) == {
        "temperature", "n", "logprobs", "top_logprobs", "user", "verbosity", "modalities", "service_tier",
        "metadata", "logit_bias",
    }  # fmt: skip


def test_tiers_and_metadata_that_it_knows() -> None:
    body, dropped = written(conversation(HELLO, service_tier="flex", metadata={"team": "a b"}))
    assert body["serviceTier"] == {"type": "flex"}
    assert body["requestMetadata"] == {"team": "a b"}
    assert dropped == ()
    body, dropped = written(conversation(HELLO, service_tier="auto"))
    assert "serviceTier" not in body
    assert dropped == ()
