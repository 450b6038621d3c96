"""A small request of each dialect of a conversation, and where it is asked; a provider that speaks one of them."""

import json
from typing import Any, Final

import msgspec

from tests.fake.raw import Heard

TEXT: Final = {"role": "user", "content": "x"}
SCHEMA: Final = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
_CHAT_TOOLS: Final = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
_CHAT_CALL: Final = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}}

ASKED: Final[dict[str, dict[str, Any]]] = {
    "openai.chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "content": None, "tool_calls": [_CHAT_CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
            TEXT,
        ],
        "tools": _CHAT_TOOLS,
        "tool_choice": "auto",
        "temperature": 0.5,
        "max_tokens": 9,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    },
    "openai.responses": {
        "model": "m",
        "instructions": "s",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":"b"}'},
            {"type": "function_call_output", "call_id": "c", "output": "r"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
        "max_output_tokens": 9,
        "reasoning": {"effort": "low"},
    },
    "anthropic.messages": {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "s"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": "b"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]},
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA}],
        "stop_sequences": ["q"],
    },
    "gemini.generate": {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": "b"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "r"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": SCHEMA}]}],
        "generationConfig": {"maxOutputTokens": 9, "temperature": 0.5, "stopSequences": ["q"]},
    },
    "ollama.chat": {
        "model": "m",
        "stream": False,
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "x", "images": ["aGk="]},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": "b"}}}]},
            {"role": "tool", "tool_name": "f", "content": "r"},
        ],
        "tools": _CHAT_TOOLS,
        "options": {"num_predict": 9, "temperature": 0.5},
        "format": SCHEMA,
    },
}  # fmt: skip
PATHS: Final = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
    "gemini.generate": "/v1beta/models/m:generateContent",
    "ollama.chat": "/api/chat",
}
STREAMED_PATHS: Final = PATHS | {"gemini.generate": "/v1beta/models/m:streamGenerateContent?alt=sse"}


def least(dialect: str, *, stream: bool) -> dict[str, Any]:
    """The least that can be asked."""
    if dialect == "gemini.generate":
        return {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    said: dict[str, Any] = {"model": "m", "stream": stream}
    if dialect == "openai.responses":
        return said | {"input": "x"}
    return said | {"messages": [TEXT]} | ({"max_tokens": 9} if dialect == "anthropic.messages" else {})


def error_in(dialect: str, heard: Heard) -> dict[str, Any]:
    """The error in the dialect's shape; it fails where there is none."""
    value = msgspec.json.decode(heard.body)
    if dialect == "ollama.chat":
        assert isinstance(value["error"], str)
        assert value["error"]
        return dict(value)
    error = value["error"]
    assert error["message"]
    if dialect == "anthropic.messages":
        assert value["type"] == "error"
        assert isinstance(error["type"], str)
    elif dialect == "gemini.generate":
        assert error["code"] == heard.status
        assert isinstance(error["status"], str)
    else:
        assert {"type", "param", "code"} <= error.keys()
    return dict(error)


def written(value: Any) -> bytes:
    return json.dumps(value).encode()
