"""Requests: golden conversations, what is kept, what is reported, what is refused."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.call_ids import is_made
from chatvault.wire.gemini.dialect import GEMINI
from chatvault.wire.gemini.signatures import STAND_IN
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
from chatvault.wire.ollama.dialect import OLLAMA
from tests.wire.gemini.plain import plain_request

GOLDEN = Path(__file__).parent / "golden"


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def conversation(*messages: Message, **fields: Any) -> Conversation:
    return Conversation(model="gemini-2.5-flash", messages=messages, origin="openai.chat", **fields)


def user(*parts: Any) -> Message:
    return Message(role="user", parts=parts)


def assistant(*parts: Any) -> Message:
    return Message(role="assistant", parts=parts)


def written(asked: Conversation) -> tuple[dict[str, Any], tuple[str, ...]]:
    dropped = Dropped()
    return json.loads(GEMINI.write_request(asked, dropped)), dropped.paths


def read(request: object, **path: Any) -> Conversation:
    return GEMINI.read_request(json.dumps(request).encode(), **{"model": "m", **path})


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_golden_conversations(file: Path) -> None:
    golden = json.loads(file.read_bytes())
    asked = read(golden["gemini"])
    dropped = Dropped()
    assert plain_request(json.loads(GEMINI.write_request(asked, dropped))) == plain_request(golden["gemini"])
    assert not dropped
    assert json.loads(OLLAMA.write_request(asked, dropped)) == golden["ollama"]
    assert sorted(dropped.paths) == sorted(golden["dropped"])


def test_both_spellings_mean_the_same() -> None:
    camel = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]}],
        "generationConfig": {"maxOutputTokens": 5, "thinkingConfig": {"thinkingBudget": 10}},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
    }
    snake = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": [{"parts": [{"inline_data": {"mime_type": "audio/wav", "data": "AAAA"}}]}],
        "generation_config": {"max_output_tokens": "5", "thinking_config": {"thinking_budget": 10}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
    }
    assert read(camel) == read(snake)
    assert read(camel).max_output == 5


def test_what_other_shapes_say() -> None:
    found = read(
        {
            "model": "models/gemini-x",
            "systemInstruction": "s",
            "contents": {"role": "function", "parts": {"text": "one"}},
            "tools": {"codeExecution": {}},
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseModalities": ["TEXT", "IMAGE"],
            },
            "serviceTier": "FLEX",
        },
        model=None,
        stream=True,
    )
    assert found.model == "gemini-x"
    assert found.stream
    assert [message.role for message in found.messages] == ["system", "user"]
    assert isinstance(found.tools[0], ServerTool)
    assert found.tools[0].kind == "code_execution"
    assert found.output == Output(kind="json_object")
    assert found.modalities == ("text", "image")
    assert found.service_tier == "flex"
    assert GEMINI.request_path(found) == b"/models/gemini-x:streamGenerateContent?alt=sse"


def test_the_path_holds_names_only_encoded() -> None:
    found = read({"contents": []}, model="../x?y")
    assert GEMINI.request_path(found) == b"/models/..%2Fx%3Fy:generateContent"
    assert (
        GEMINI.request_path(read({"contents": []}, model="tunedModels/t"))
        == b"/tunedModels/t:generateContent"
    )


def test_what_is_odd_is_left_to_the_provider() -> None:
    request = {
        "contents": [{"role": "user", "parts": [{"text": "x"}], "weight": 1}],
        "generationConfig": {
            "temperature": "hot",
            "topK": 1.5,
            "responseModalities": [1],
            "thinkingConfig": {"new": 1},
            "responseMimeType": "text/x.enum",
            "responseSchema": {"type": "STRING", "enum": ["a"]},
        },
        "toolConfig": {
            "functionCallingConfig": {"mode": "VALIDATED", "streamFunctionCallArguments": True},
            "retrievalConfig": {"languageCode": "de"},
        },
        "new.field": 1,
        "contents.x": 2,
    }
    found = read(request)
    again, dropped = written(found)
    assert not dropped
    assert plain_request(again) == plain_request(request)
    OLLAMA.write_request(found, reported := Dropped())
    assert "generationConfig.responseSchema" in reported.paths
    assert "contents[0].weight" in reported.paths


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": [{"role": "robot"}]}, "contents[0].role"),
        ({"contents": [{"parts": "hi"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{"text": "a"}, "b"]}]}, "contents[0].parts[1]"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": 1}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": "x"}}]}]},
            "contents[0].parts[0].functionResponse.response",
        ),
        ({"contents": [], "systemInstruction": 1}, "systemInstruction"),
        ({"contents": [], "generationConfig": 1}, "generationConfig"),
        ({"contents": [], "tools": 1}, "tools"),
        ({"contents": [], "tools": [1]}, "tools[0]"),
        ({"contents": [], "tools": [{"functionDeclarations": 1}]}, "tools[0].functionDeclarations"),
        ({"contents": [], "tools": [{"functionDeclarations": [1]}]}, "tools[0].functionDeclarations[0].name"),
    ],
)
def test_refusals_name_the_place(request_: object, param: str) -> None:
    with pytest.raises(ClientError) as caught:
        read(request_)
    assert caught.value.param == param
    assert caught.value.http_status == 400


def test_no_model_and_no_json_are_refused() -> None:
    with pytest.raises(ClientError):
        GEMINI.read_request(b'{"contents": []}')
    with pytest.raises(ClientError):
        GEMINI.read_request(b"[]", model="m")


def test_results_find_their_calls() -> None:
    found = read(
        {
            "contents": [
                {
                    "role": "model",
                    "parts": [
                        {"functionCall": {"name": "f", "args": {}}},
                        {"functionCall": {"name": "g", "args": {}}},
                        {"functionCall": {"id": "own", "name": "f", "args": {}}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {"functionResponse": {"name": "g", "response": {"error": "no"}}},
                        {"functionResponse": {"id": "own", "name": "f", "response": {}}},
                        {"functionResponse": {"name": "f", "response": {"output": "x", "more": 1}}},
                        {"functionResponse": {"name": "h", "response": {}}},
                    ],
                },
            ]
        }
    )
    first, second, third = (part.id for part in found.messages[0].parts if isinstance(part, ToolCall))
    results = [part for part in found.messages[1].parts if isinstance(part, ToolResult)]
    assert [part.call for part in results[:3]] == [second, third, first]
    assert third == "own"
    assert is_made(first)
    assert is_made(results[3].call)
    assert results[3].call not in (first, second)
    assert results[0].failed
    assert results[0].parts == (Text(text="no"),)
    assert results[2].parts == (Text(text='{"output":"x","more":1}'),)


def test_results_stand_in_the_order_of_their_calls() -> None:
    out, dropped = written(
        conversation(
            user(Text(text="q")),
            assistant(
                ToolCall(id="a", name="f", arguments='{"x": 1}'),
                ToolCall(id="b", name="f", arguments="oh no"),
            ),
            user(ToolResult(call="b", parts=(Text(text="second"),))),
            user(
                ToolResult(
                    call="a",
                    parts=(
                        Text(text='{"t":1}'),
                        Media(kind="image", mime="image/png", data="AAAA"),
                        Media(kind="image", mime="image/png", url="https://x.test/a.png"),
                    ),
                )
            ),
        )
    )
    assert dropped == ()
    assert out["contents"][1]["parts"] == [
        {"functionCall": {"name": "f", "args": {"x": 1}, "id": "a"}, "thoughtSignature": STAND_IN},
        {"functionCall": {"name": "f", "args": {"arguments": "oh no"}, "id": "b"}},
    ]
    assert out["contents"][2] == {
        "role": "user",
        "parts": [
            {
                "functionResponse": {
                    "name": "f",
                    "id": "a",
                    "response": {"t": 1},
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
                }
            },
            {"functionResponse": {"name": "f", "id": "b", "response": {"output": "second"}}},
            {"fileData": {"fileUri": "https://x.test/a.png", "mimeType": "image/png"}},
        ],
    }


@pytest.mark.parametrize("said", ['{"output":"x"}', '{"a": 1}', "{}", "plain", '{"a":1}', "{broken", "[1]"])
@pytest.mark.parametrize("failed", [True, False])
def test_a_results_text_comes_back(said: str, failed: bool) -> None:
    asked = conversation(
        assistant(ToolCall(id="a", name="f", arguments="")),
        user(ToolResult(call="a", parts=(Text(text=said),), failed=failed)),
    )
    out, _ = written(asked)
    result = read(out).messages[1].parts[0]
    assert isinstance(result, ToolResult)
    assert (result.parts, result.failed, result.call) == ((Text(text=said),), failed, "a")


def test_signatures_of_ours_pass_and_those_of_others_are_reported() -> None:
    out, dropped = written(
        conversation(
            user(Text(text="q")),
            assistant(
                Thought(text="t", signature="c2ln", origin="gemini.generate"),
                Thought(text="u", signature="c2ln", origin="anthropic.messages"),
                Thought(sealed="s", origin="openai.responses"),
                Thought(text=""),
                ToolCall(id="a", name="f", arguments="{}", signature="not base64!"),
            ),
        )
    )
    assert out["contents"][1]["parts"] == [
        {"text": "t", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "u", "thought": True},
        {"functionCall": {"name": "f", "args": {}, "id": "a"}, "thoughtSignature": STAND_IN},
    ]
    assert dropped == (
        "messages[1].content[1].signature",
        "messages[1].content[2]",
        "messages[1].tool_calls[0].signature",
    )


def test_a_stand_in_is_no_signature() -> None:
    part = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": STAND_IN}
    found = read({"contents": [{"role": "model", "parts": [part]}]})
    call = found.messages[0].parts[0]
    assert isinstance(call, ToolCall)
    assert call.signature is None
    assert written(found)[0]["contents"][0]["parts"] == [part]


def test_media_of_all_kinds() -> None:
    request = {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"inlineData": {"mimeType": "image/png", "data": "-_8", "displayName": "a"}},
                    {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 2}},
                    {"fileData": {"fileUri": "https://x.test/a.pdf", "mimeType": "application/pdf"}},
                    {
                        "fileData": {
                            "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1",
                            "mimeType": "audio/mp3",
                        }
                    },
                    {"executableCode": {"language": "PYTHON", "code": "1"}},
                ],
            }
        ]
    }
    found = read(request)
    first, video, document, file, code = found.messages[0].parts
    assert isinstance(first, Media)
    assert (first.kind, first.data, first.name) == ("image", "+/8=", "a")
    assert isinstance(video, Media)
    assert (video.kind, video.url) == ("video", "https://youtu.be/x")
    assert isinstance(document, Media)
    assert (document.kind, document.url) == ("document", "https://x.test/a.pdf")
    assert isinstance(file, Media)
    assert (file.kind, file.url) == ("audio", None)
    assert isinstance(code, Unknown)
    assert code.kind == "executableCode"
    again, dropped = written(found)
    assert not dropped
    assert plain_request(again) == plain_request(request)


def test_what_gemini_has_no_words_for_is_reported() -> None:
    out, dropped = written(
        conversation(
            Message(role="system", parts=(Text(text="s", cache="5m"),)),
            Message(role="user", parts=(Text(text="hi"), Text(text="")), name="ann"),
            Message(role="developer", parts=(Text(text="later"),), origin="x", extra={"odd": raw(1)}),
            assistant(
                Refusal(text="no"),
                Text(text="c", citations=(raw({}),), origin="anthropic.messages", extra={"k": raw(1)}),
                Unknown(kind="web_search_call", raw=raw({}), origin="openai.responses"),
            ),
            user(
                Media(kind="image", data="AAAA", detail="high"),
                Media(kind="document", text="plain", name="notes"),
                ToolResult(
                    call="none",
                    parts=(Unknown(kind="x", raw=raw({}), origin="y"), Text(text="t", cache="1h")),
                ),
            ),
            tools=(
                Tool(name="c", custom=True),
                Tool(name="f", strict=True, cache="5m", origin="x", extra={"e": raw(1)}),
                ServerTool(kind="web_search", origin="x", raw=raw({"type": "web_search", "max_uses": 2})),
                ServerTool(kind="mcp", origin="x", raw=raw({})),
                Tool(name="g"),
            ),
            tool_choice=ToolChoice(mode="auto", names=("f",)),
            parallel_tools=False,
            user="u",
            metadata={"a": "b"},
            verbosity="low",
            service_tier="scale",
            logprobs=True,
            top_logprobs=2,
            modalities=("text", "video"),
            extra={"logit_bias": raw({})},
        )
    )
    assert out["systemInstruction"] == {"parts": [{"text": "s"}]}
    assert out["contents"][0] == {"role": "user", "parts": [{"text": "hi"}, {"text": "later"}]}
    assert out["contents"][1] == {"role": "model", "parts": [{"text": "no"}, {"text": "c"}]}
    assert out["contents"][2]["parts"][:2] == [
        {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}},
        {"text": "plain"},
    ]
    assert out["contents"][2]["parts"][2]["functionResponse"]["name"] == "unknown"
    assert out["tools"] == [
        {"functionDeclarations": [{"name": "f"}]},
        {"googleSearch": {}},
        {"functionDeclarations": [{"name": "g"}]},
    ]
    assert out["toolConfig"] == {
        "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}
    }
    assert out["generationConfig"] == {
        "responseLogprobs": True,
        "logprobs": 2,
        "responseModalities": ["TEXT"],
    }
    assert set(dropped) == {
        "messages[0].content[0].cache_control",
        "messages[1].name",
        "messages[2].role",
        "messages[2].odd",
        "messages[3].content[1].citations",
        "messages[3].content[1].k",
        "messages[3].content[2]",
        "messages[4].content[0].detail",
        "messages[4].content[1].title",
        "messages[4].content[0]",
        "messages[4].content[1].cache_control",
        "tools[0]",
        "tools[1].strict",
        "tools[1].cache_control",
        "tools[1].e",
        "tools[2].max_uses",
        "tools[3]",
        "parallel_tool_calls",
        "modalities",
        "user",
        "metadata",
        "verbosity",
        "service_tier",
        "logit_bias",
    }


@pytest.mark.parametrize(
    ("model", "asked", "thinking"),
    [
        ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}),
        ("gemini-2.5-flash", Reasoning(effort="max"), {"thinkingBudget": 24576}),
        (
            "gemini-2.5-pro",
            Reasoning(budget=60000, show=True),
            {"includeThoughts": True, "thinkingBudget": 32768},
        ),
        ("gemini-2.5-pro", Reasoning(adaptive=True), {"includeThoughts": True, "thinkingBudget": -1}),
        ("gemini-3-pro", Reasoning(adaptive=True), {"includeThoughts": True}),
        ("gemini-3-pro-preview", Reasoning(effort="minimal"), {"thinkingLevel": "LOW"}),
        ("gemini-3-flash", Reasoning(effort="none"), {"thinkingLevel": "MINIMAL"}),
        (
            "gemini-3-flash",
            Reasoning(effort="xhigh", summary="auto"),
            {"includeThoughts": True, "thinkingLevel": "HIGH"},
        ),
        ("gemini-2.5-pro", Reasoning(effort="strange"), None),
    ],
)
def test_effort_in_the_models_terms(model: str, asked: Reasoning, thinking: object) -> None:
    out, _ = written(
        msgspec.structs.replace(conversation(user(Text(text="q")), reasoning=asked), model=model)
    )
    assert out.get("generationConfig", {}).get("thinkingConfig") == thinking


def test_a_budget_of_minus_one_comes_back() -> None:
    request = {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}
    assert written(read(request))[0] == request


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="required", names=("f", "g")), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
        (ToolChoice(mode="named", name="f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choices_both_ways(choice: ToolChoice, config: object) -> None:
    out, dropped = written(conversation(user(Text(text="q")), tools=(Tool(name="f"),), tool_choice=choice))
    assert out["toolConfig"] == {"functionCallingConfig": config}
    assert read(out).tool_choice == choice
    assert not dropped


def test_a_choice_without_functions_is_none() -> None:
    out, _ = written(conversation(user(Text(text="q")), tool_choice=ToolChoice(mode="auto")))
    assert "toolConfig" not in out


def test_a_schema_that_openapi_cannot_say_goes_as_json_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"const": 1},
            "b": {"type": "string", "format": "date", "not": {}},
            "c": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "integer"}]}},
        },
        "additionalProperties": False,
        "$schema": "x",
    }
    out, dropped = written(
        conversation(
            user(Text(text="q")),
            output=Output(kind="json_schema", name="n", description="d", schema=raw(schema), strict=True),
        )
    )
    assert out["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {
                "a": {"enum": [1]},
                "b": {"type": "string", "format": "date"},
                "c": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "integer"}]}},
            },
            "additionalProperties": False,
            "description": "d",
        },
    }
    assert dropped == ("response_format.schema.properties.b.not",)


def test_a_system_prompt_alone_is_asked_as_a_question() -> None:
    out, _ = written(conversation(Message(role="system", parts=(Text(text="s"),))))
    assert out == {"contents": [{"role": "user", "parts": [{"text": "s"}]}]}


def test_a_system_prompt_alone_is_asked_as_the_users_which_is_reported() -> None:
    system = Message(role="developer", parts=(Text(text="Be brief."),))
    body, dropped = written(Conversation(model="m", messages=(system,), origin="openai.chat"))
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Be brief."}]}]
    assert "systemInstruction" not in body
    assert dropped == ("messages[0].role",)


def test_a_choice_without_functions_is_reported() -> None:
    asked = Message(role="user", parts=(Text(text="hi"),))
    choice = ToolChoice(mode="named", name="f")
    body, dropped = written(
        Conversation(model="m", messages=(asked,), tool_choice=choice, origin="openai.chat")
    )
    assert "toolConfig" not in body
    assert dropped == ("tool_choice",)
