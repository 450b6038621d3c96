"""The form of an answer: `output_config.format` where the model knows it, else a tool whose input is the
answer.

The native form takes a part of JSON Schema only, and wants every object closed
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations, seen
2026-11). Closing an open object narrows the answer to what the schema names, which any reader of the schema
accepts; what cannot be closed goes the way of a tool, whose schema may be any.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from chatvault.wire.anthropic.names import ANSWER_TOOL, WRAPPED, WRAPPED_ANSWER_TOOL
from chatvault.wire.hub.conversation import Output, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.json_value import Values, decode, object_of, raw
from chatvault.wire.taken import take_object

_PLAIN: Final = frozenset(
    ("type", "required", "enum", "const", "title", "description", "default", "$schema", "$id", "$ref")
)
_FORMATS: Final = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)


_ORDER: Final = "Give the final answer by calling this tool; its input is the answer."
_NAMED: Final = "Its kind: "
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


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
    key = "output_format" if older else "format"
    value = whole.get(key)
    found = take_object(whole, key, "" if older else "output_config.")
    if found is None:
        return None, {}
    if found.get("type") != "json_schema" or not isinstance(found.get("schema"), dict):
        extra[path] = raw(value)
        return None, {}
    extra |= {f"{path}.{each}": raw(found[each]) for each in found if each not in ("type", "schema")}
    schema = object_of(found["schema"])
    title = schema.get("title")
    name = title if isinstance(title, str) and _NAME.fullmatch(title) else None
    # The native form binds the model; whoever takes it over may only demand that of a complete schema.
    output = Output(kind="json_schema", name=name, schema=raw(schema), strict=_complete(schema) or None)
    return output, {"output_format": raw(value)} if older else {}


def _complete(schema: object) -> bool:
    """Whether all objects in a schema are closed and require all their members, as strict schemas of OpenAI's
    do (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas, seen 2026-11).
    """
    if isinstance(schema, list):
        return all(map(_complete, schema))
    if not isinstance(schema, dict):
        return True
    members = schema.get("properties")
    if isinstance(members, dict):
        required = schema.get("required")
        named = required if isinstance(required, list) else []
        if schema.get("additionalProperties") is not False or not all(name in named for name in members):
            return False
    elif schema.get("type") == "object":
        return False
    return all(map(_complete, schema.values()))


def own_form(output: Output) -> Values | None:
    """The native form of what came in this dialect: as it was."""
    if output.kind != "json_schema" or output.schema is None:
        return None
    return {"type": "json_schema", "schema": output.schema}


def native_form(output: Output, path: str, dropped: Dropped, *, close: bool) -> Values | None:
    """The native form; None where the schema is not of the kind it takes. `close`: it may be closed for that,
    since nothing else would bind the model.
    """
    if output.kind != "json_schema" or output.schema is None:
        return None
    schema = decode(bytes(output.schema))
    closed = closed_schema(schema)
    if closed is None or not (close or output.strict or closed == schema):
        return None
    labels = (("name", output.name, "title"), ("description", output.description, "description"))
    for label, value, member in labels:
        if value and closed.setdefault(member, value) != value:
            dropped.add(f"{path}.{label}")
    return {"type": "json_schema", "schema": closed}


def answer_tool(output: Output) -> AnswerTool:
    """The tool whose input is the answer."""
    schema: object = decode(bytes(output.schema)) if output.schema is not None else {"type": "object"}
    words = _ORDER
    if output.kind == "json_schema":
        words += f"\n{_NAMED}{output.name or ''}\n{output.description or ''}"
    name = ANSWER_TOOL
    if not (isinstance(schema, dict) and schema.get("type") == "object"):
        name = WRAPPED_ANSWER_TOOL
        schema = {"type": "object", "properties": {WRAPPED: schema}, "required": [WRAPPED]}
    tool: Values = {"name": name, "description": words, "input_schema": schema}
    if output.strict is False:
        tool["strict"] = False
    return AnswerTool(tool, name)


def answer_of(tool: Tool) -> Output:
    """What an answer's tool stands for."""
    words = (tool.description or "").removeprefix(_ORDER).removeprefix("\n")
    if not words.startswith(_NAMED):
        return Output(kind="json_object")
    name, _, description = words.removeprefix(_NAMED).partition("\n")
    schema = object_of(decode(bytes(tool.schema))) if tool.schema is not None else {}
    asked: object = schema
    if tool.name == WRAPPED_ANSWER_TOOL:
        asked = object_of(schema.get("properties")).get(WRAPPED)
    return Output(
        kind="json_schema",
        name=name or None,
        description=description or None,
        schema=raw(asked),
        strict=tool.strict,
    )


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
