"""Requests with all that means the same written the same way."""

from typing import Any

from chatvault.wire.base64_text import standard_base64
from chatvault.wire.gemini.names import camel
from chatvault.wire.gemini.schema import to_json_schema

_SCHEMAS = ("parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "response")


def plain_request(request: dict[str, Any]) -> object:
    """Field names in camelCase, schemas as JSON Schema, base64 in one alphabet, tools one by one. The role of a system instruction,
    `args` that are empty and fields that are null say nothing.
    """
    found = _plain(request)
    assert isinstance(found, dict)
    found.get("systemInstruction", {}).pop("role", None)
    found["tools"] = [
        {name: each}
        for tool in found.get("tools", ())
        for name, value in tool.items()
        for each in (value if name == "functionDeclarations" else [value])
    ]
    config = found.setdefault("generationConfig", {})
    for name in ("responseSchema", "responseJsonSchema"):
        if name in config:
            config["schema"] = config.pop(name)
    if not config.get("stopSequences"):
        config.pop("stopSequences", None)
    for name in ("topK", "maxOutputTokens"):
        if name in config:
            config[name] = int(config[name])
    return found


def _plain(value: Any, key: str = "") -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if key == "args":
        return value
    if key in _SCHEMAS and ("type" in value or "properties" in value):
        return to_json_schema(value)
    out = {
        name: _plain(each, name)
        for name, each in camel(value).items()
        if (each is not None and each != {}) or name == "args"
    }
    if "parametersJsonSchema" in out:
        out["parameters"] = to_json_schema(out.pop("parametersJsonSchema"))
    if "data" in out and "mimeType" in out:
        out["data"] = standard_base64(out["data"])
    if "functionCall" in out:
        out["functionCall"].setdefault("args", {})
    if key == "functionResponse" and "response" in value:
        out["response"] = value["response"]
    return out
