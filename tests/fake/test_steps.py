"""The model that does what the user's words say, a step a line."""

import json
from typing import Any

import pytest

from chatvault.fake import FakeProvider
from tests.fake.raw import ask, written

SCRIPT = """Please do this:
    call: weather {"city": "Paris"}
  call: clock {"zone": "UTC"}
say: It is {result}."""
NAMES = ("weather", "clock")
STEPS = [("weather", {"city": "Paris"}), ("clock", {"zone": "UTC"}), "It is noon."]


def chat(turns: list[tuple[str, str]], tools: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Turns are pairs of who speaks (`call` is a call of a tool) and a text."""
    said: list[dict[str, Any]] = []
    for role, text in turns:
        function = {"name": text, "arguments": "{}"}
        calling = {
            "role": "assistant",
            "tool_calls": [{"id": text, "type": "function", "function": function}],
        }
        said.append(calling if role == "call" else {"role": role, "content": text, "tool_call_id": "x"})
    functions = [{"type": "function", "function": {"name": name}} for name in tools]
    return "/v1/chat/completions", {"messages": said, "tools": functions}


def responses(turns: list[tuple[str, str]], tools: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for role, text in turns:
        match role:
            case "call":
                items.append({"type": "function_call", "call_id": "x", "name": text, "arguments": "{}"})
            case "tool":
                items.append({"type": "function_call_output", "call_id": "x", "output": text})
            case _:
                items.append({"role": role, "content": text})
    return "/v1/responses", {"input": items, "tools": [{"type": "function", "name": name} for name in tools]}


def messages(turns: list[tuple[str, str]], tools: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    said: list[dict[str, Any]] = []
    for role, text in turns:
        use = {"type": "tool_use", "id": "x", "name": text, "input": {}}
        result = {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": text}]}
        match role:
            case "call":
                said.append({"role": "assistant", "content": [use]})
            case "tool":
                said.append({"role": "user", "content": [result]})
            case _:
                said.append({"role": role, "content": text})
    declared = [{"name": name, "input_schema": {"type": "object"}} for name in tools]
    return "/v1/messages", {"messages": said, "tools": declared, "max_tokens": 64}


def gemini(turns: list[tuple[str, str]], tools: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    for role, text in turns:
        match role:
            case "call":
                contents.append({"role": "model", "parts": [{"functionCall": {"name": text, "args": {}}}]})
            case "tool":
                part = {"functionResponse": {"name": "x", "response": {"result": text}}}
                contents.append({"role": "user", "parts": [part]})
            case _:
                contents.append({"role": role, "parts": [{"text": text}]})
    declared = [{"functionDeclarations": [{"name": name} for name in tools]}]
    return "/v1beta/models/scripted:generateContent", {"contents": contents, "tools": declared}


def ollama(turns: list[tuple[str, str]], tools: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    said: list[dict[str, Any]] = []
    for role, text in turns:
        call = {"function": {"name": text, "arguments": {}}}
        said.append(
            {"role": "assistant", "tool_calls": [call]} if role == "call" else {"role": role, "content": text}
        )
    functions = [{"type": "function", "function": {"name": name}} for name in tools]
    return "/api/chat", {"messages": said, "tools": functions, "stream": False}


def what(answer: dict[str, Any]) -> Any:
    """The text, or the call's name and arguments as the dialect has them."""
    if "choices" in answer:
        message = answer["choices"][0]["message"]
        calls = message.get("tool_calls")
        return (
            (calls[0]["function"]["name"], calls[0]["function"]["arguments"]) if calls else message["content"]
        )
    if "output" in answer:
        (item,) = answer["output"]
        return (item["name"], item["arguments"]) if "name" in item else item["content"][0]["text"]
    if "candidates" in answer:
        (part,) = answer["candidates"][0]["content"]["parts"]
        return (
            part["text"] if "text" in part else (part["functionCall"]["name"], part["functionCall"]["args"])
        )
    if "message" in answer:
        calls = answer["message"].get("tool_calls")
        return (
            (calls[0]["function"]["name"], calls[0]["function"]["arguments"])
            if calls
            else answer["message"]["content"]
        )
    (block,) = answer["content"]
    return block["text"] if block["type"] == "text" else (block["name"], block["input"])


@pytest.mark.parametrize("dialect", [chat, responses, messages, gemini, ollama])
async def test_a_script_is_followed_in_every_dialect(fake: FakeProvider, dialect: Any) -> None:
    turns = [("user", "Hello."), ("assistant", "Yes?"), ("user", SCRIPT)]
    found: list[Any] = []
    for result in ("sunny", "noon", ""):
        path, body = dialect(turns, NAMES)
        heard = await ask(fake, written({"model": "scripted", **body}, path))
        assert heard.status == 200, heard.body
        said = what(heard.json)
        if isinstance(said, tuple):
            turns += [("call", said[0]), ("tool", result)]
            given = said[1]
            said = (said[0], given if isinstance(given, dict) else json.loads(given))
        found.append(said)
    assert found == STEPS


async def said(fake: FakeProvider, turns: list[tuple[str, str]], tools: tuple[str, ...] = NAMES) -> Any:
    path, body = chat(turns, tools)
    heard = await ask(fake, written({"model": "scripted", **body}, path))
    if heard.status == 200:
        return what(heard.json)
    error: Any = heard.json["error"]
    return heard.status, error["message"]


async def test_without_tools_the_first_text_is_said(fake: FakeProvider) -> None:
    assert await said(fake, [("user", SCRIPT)], ()) == "It is ."


async def test_at_its_end_it_gives_the_last_result_back(fake: FakeProvider) -> None:
    turns = [("user", "call: weather"), ("call", "weather"), ("tool", "rain")]
    assert await said(fake, turns) == "rain"


async def test_a_script_may_stand_behind_a_clients_own_words(fake: FakeProvider) -> None:
    assert await said(fake, [("user", "<context>say nothing</context>call: clock {}")]) == ("clock", "{}")


async def test_the_last_script_counts(fake: FakeProvider) -> None:
    turns = [
        ("user", SCRIPT),
        ("call", "weather"),
        ("tool", "rain"),
        ("user", "call: clock {}"),
        ("user", "Go."),
    ]
    assert await said(fake, turns) == ("clock", "{}")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("Hello.", "finds no line"),
        ("call: other {}", "not among the tools"),
        ("call: clock nine", "no JSON object"),
    ],
)
async def test_a_script_that_cannot_be_followed_is_refused(fake: FakeProvider, script: str, why: str) -> None:
    status, message = await said(fake, [("user", script)])
    assert status == 400
    assert why in message
