"""The form of an answer: `output_config.format` where the model knows it, else a tool whose input is the
answer.

The native form takes a part of JSON Schema only, and wants every object closed
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations, seen
2026-11). Closing an open object narrows the answer to what the schema names, which any reader of the schema
accepts; what cannot be closed goes the way of a tool, whose schema may be any.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from chatvault.wire.anthropic.names import ANSWER_TOOL, WRAPPED, WRAPPED_ANSWER_TOOL
from chatvault.wire.hub.conversation import Output
from chatvault.wire.openai.tolerant import Values, decode, raw, take_object

_PLAIN: Final = frozenset(
    ("type", "required", "enum", "const", "title", "description", "default", "$schema", "$id", "$ref")
)
_FORMATS: Final = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)


class AnswerTool(msgspec.Struct, frozen=True, gc=False):
    tool: Values
    name: str


def read_output(
    rest: Values, config: Values, extra: dict[str, msgspec.Raw]
) -> tuple[Output | None, dict[str, msgspec.Raw]]:
    """The form asked for, and as what it was said, where that was by the older name, `output_format`."""
    older = rest.get("output_format") is not None
    path = "output_format" if older else "output_config.format"
    whole = rest if older else config
    name = "output_format" if older else "format"
    value = whole.get(name)
    found = take_object(whole, name, "" if older else "output_config.")
    if found is None:
        return None, {}
    if found.get("type") != "json_schema" or not isinstance(found.get("schema"), dict):
        extra[path] = raw(value)
        return None, {}
    extra |= {f"{path}.{key}": raw(each) for key, each in found.items() if key not in ("type", "schema")}
    return Output(kind="json_schema", schema=raw(found["schema"])), {
        "output_format": raw(value)
    } if older else {}


def native(output: Output, *, own: bool) -> Values | None:
    """The native form; None where the schema is not of the kind it takes. What comes from this dialect is not
    judged.
    """
    if output.kind != "json_schema" or output.schema is None:
        return None
    schema = decode(bytes(output.schema))
    if not own:
        closed = closed_schema(schema)
        if closed is None:
            return None
        if output.name and "title" not in closed:
            closed["title"] = output.name
        if output.description and "description" not in closed:
            closed["description"] = output.description
        schema = closed
    return {"type": "json_schema", "schema": schema}


def answer_tool(output: Output) -> AnswerTool:
    """The tool whose input is the answer."""
    schema: object = decode(bytes(output.schema)) if output.schema is not None else {"type": "object"}
    words = [
        "Give the final answer by calling this tool; its input is the answer.",
        output.name,
        output.description,
    ]
    description = "\n".join(word for word in words if word)
    name = ANSWER_TOOL
    if not (isinstance(schema, dict) and schema.get("type") == "object"):
        name = WRAPPED_ANSWER_TOOL
        schema = {"type": "object", "properties": {WRAPPED: schema}, "required": [WRAPPED]}
    return AnswerTool({"name": name, "description": description, "input_schema": schema}, name)


def closed_schema(schema: object) -> Values | None:
    """The schema with all its objects closed; None if it holds what the native form does not take."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return None
    try:
        return _closed(schema, schema, ())
    except _NotTaken:
        return None


class _NotTaken(Exception):
    pass


def _closed(schema: object, root: Mapping[str, object], trail: tuple[str, ...]) -> Values:
    if not isinstance(schema, dict) or len(trail) > 64:
        raise _NotTaken
    out: Values = {}
    for name, value in schema.items():
        if name in ("properties", "$defs", "definitions"):
            if not isinstance(value, dict):
                raise _NotTaken
            out[name] = {key: _closed(each, root, trail) for key, each in value.items()}
        elif name in ("anyOf", "allOf"):
            if not isinstance(value, list):
                raise _NotTaken
            out[name] = [_closed(each, root, trail) for each in value]
        elif name == "items":
            out[name] = _closed(value, root, trail)
        elif name in _PLAIN or _taken(name, value):
            out[name] = value
        else:
            raise _NotTaken
    if schema.get("type") == "object" or "properties" in schema:
        if "properties" not in schema:
            raise _NotTaken  # any object at all
        out["additionalProperties"] = False
    if "$ref" in schema:
        _follow(schema["$ref"], root, trail)
    return out


def _taken(name: str, value: object) -> bool:
    match name:
        case "format":
            return value in _FORMATS
        case "minItems":
            return value in (0, 1)
        case "additionalProperties":
            return value is False
    return False


def _follow(ref: object, root: Mapping[str, object], trail: tuple[str, ...]) -> None:
    """A reference that leads out of the schema, or back to itself, is not taken."""
    if not isinstance(ref, str) or not ref.startswith("#/") or ref in trail:
        raise _NotTaken
    found: object = root
    for step in ref[2:].split("/"):
        if not isinstance(found, dict) or step not in found:
            raise _NotTaken
        found = found[step]
    _closed(found, root, (*trail, ref))
