"""Gemini's schemas and JSON Schema, both ways.

`parameters` and `responseSchema` hold a subset of OpenAPI 3.0's schema objects
(https://ai.google.dev/api/caching#Schema), which every model
takes; `parametersJsonSchema` and `responseJsonSchema` hold JSON Schema
(https://ai.google.dev/api/generate-content#FIELDS.response_json_schema;
both seen 2026-11). The first are written where they say all that the schema says, the second otherwise.
"""

from typing import Final

from chatvault.wire.gemini.names import camel
from chatvault.wire.json_value import Values, integer

_NUMBERED: Final = ("TYPE_UNSPECIFIED", "string", "number", "integer", "boolean", "array", "object", "null")
"""Types as Protocol Buffers number them (https://ai.google.dev/api/caching#Type, seen 2026-11)."""
_SIZES: Final = frozenset(
    ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
)
_PLAIN: Final = frozenset(
    ("format", "title", "description", "minimum", "maximum", "pattern", "default", "required")
)
_TYPES: Final = frozenset(("string", "number", "integer", "boolean", "array", "object", "null"))
_RESPONSE: Final = frozenset(
    (
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
        "default",
        "examples",
    )
)
"""What `responseJsonSchema` understands of JSON Schema, by its documentation; and what binds nothing, which may be
sent all the same.
"""
_BESIDE: Final = frozenset(("description", "default"))
"""What may stand beside a `$ref` but for names that begin like it (the documentation, and
https://github.com/su-kaka/gcli2api/pull/374, seen 2026-11).
"""


def to_json_schema(schema: Values) -> Values:
    """OpenAPI's words in JSON Schema's. What is JSON Schema already stays as it is."""
    out: Values = {}
    nullable = False
    for name, value in camel(schema).items():
        if name == "type" and type(value) is int and 0 <= value < len(_NUMBERED):
            value = _NUMBERED[value]
        if name == "type" and isinstance(value, str):
            if value != "TYPE_UNSPECIFIED":
                out["type"] = value.lower() if value.lower() in _TYPES else value
        elif name == "nullable":
            nullable = value is True
        elif name == "example":
            out["examples"] = [value]
        elif name in _SIZES:
            whole = integer(value)
            out[name] = value if whole is None else whole
        elif name in ("items", "additionalProperties") and isinstance(value, dict):
            out[name] = to_json_schema(value)
        elif name in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            out[name] = [to_json_schema(each) if isinstance(each, dict) else each for each in value]
        elif name in ("properties", "$defs", "defs") and isinstance(value, dict):
            inner = {
                key: to_json_schema(each) if isinstance(each, dict) else each for key, each in value.items()
            }
            out["$defs" if name == "defs" else name] = inner
        elif name == "ref":
            out["$ref"] = value
        elif name != "propertyOrdering":
            out[name] = value
    _order(out, camel(schema).get("propertyOrdering"))
    if nullable:
        _allow_null(out)
    return out


def _order(out: Values, ordering: object) -> None:
    properties = out.get("properties")
    if isinstance(properties, dict) and isinstance(ordering, list):
        first = {name: properties[name] for name in ordering if isinstance(name, str) and name in properties}
        out["properties"] = {**first, **properties}


def _allow_null(out: Values) -> None:
    kind, options, choices = out.get("type"), out.get("anyOf"), out.get("enum")
    if isinstance(kind, str):
        out["type"] = [kind, "null"]
    elif isinstance(options, list):
        out["anyOf"] = [*options, {"type": "null"}]
    if isinstance(choices, list):
        out["enum"] = [*choices, None]


def to_gemini(schema: Values, *, ordered: bool) -> Values | None:
    """JSON Schema in OpenAPI's words; None if they cannot say all of it. `ordered`: the order of properties
    is part of what is asked.
    """
    found = _to_gemini(schema, ordered)
    return found if found is not None and _same(to_json_schema(found), schema) else None


def _same(one: object, other: object) -> bool:
    """Equal, and not merely so by Python's mixing of numbers and truth values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _to_gemini(schema: Values, ordered: bool) -> Values | None:
    out: Values = {}
    for name, value in schema.items():
        if name == "type":
            kind, null = _type(value)
            if kind is None:
                return None
            out["type"] = kind.upper()
            if null:
                out["nullable"] = True
        elif name == "enum":
            if not isinstance(value, list) or schema.get("type") not in ("string", ["string", "null"]):
                return None
            out["enum"] = [each for each in value if each is not None]
        elif name == "items" and isinstance(value, dict):
            out["items"] = _to_gemini(value, ordered)
        elif name == "anyOf" and isinstance(value, list):
            _any_of(out, value, ordered)
        elif name == "properties" and isinstance(value, dict):
            out["properties"] = {
                key: _to_gemini(each, ordered) if isinstance(each, dict) else None
                for key, each in value.items()
            }
            if ordered and len(value) > 1:
                out["propertyOrdering"] = list(value)
        elif name in _PLAIN or name in _SIZES:
            out[name] = value
        else:
            return None
    inner = out.get("properties")
    if isinstance(inner, dict) and None in inner.values():
        return None
    return None if "items" in out and out["items"] is None else out


def _type(value: object) -> tuple[str | None, bool]:
    if isinstance(value, str):
        return (value if value in _TYPES else None), False
    if isinstance(value, list) and len(value) == 2 and value[1] == "null" and isinstance(value[0], str):
        return (value[0], True) if value[0] in _TYPES else (None, False)
    return None, False


def _any_of(out: Values, options: list[object], ordered: bool) -> None:
    if options and options[-1] == {"type": "null"}:
        options = options[:-1]
        out["nullable"] = True
    out["anyOf"] = [_to_gemini(each, ordered) if isinstance(each, dict) else each for each in options]


def for_response(schema: Values, path: str, lost: list[str]) -> Values:
    """JSON Schema as `responseJsonSchema` takes it; what it would pass over is left out, its path goes on
    `lost`. `const` is an `enum`
    of one.
    """
    out: Values = {}
    for name, value in schema.items():
        if name == "const":
            out["enum"] = [value]
        elif name == "$schema":
            continue  # the draft, which binds nothing
        elif name not in _RESPONSE or ("$ref" in schema and name[0] != "$" and name not in _BESIDE):
            lost.append(f"{path}.{name}")
        elif name in ("items", "additionalProperties") and isinstance(value, dict):
            out[name] = for_response(value, f"{path}.{name}", lost)
        elif name in ("properties", "$defs") and isinstance(value, dict):
            out[name] = {
                key: for_response(each, f"{path}.{name}.{key}", lost) if isinstance(each, dict) else each
                for key, each in value.items()
            }
        elif name in ("anyOf", "oneOf", "prefixItems") and isinstance(value, list):
            out[name] = [
                for_response(each, f"{path}.{name}[{at}]", lost) if isinstance(each, dict) else each
                for at, each in enumerate(value)
            ]
        else:
            out[name] = value
    return out
