"""A value that fits a JSON schema, the same one every time."""

import math
from typing import Any

DEEP = 8
"""From here on optional properties are left out, arrays are as short as may be, null is preferred."""
DEEPEST = 40
"""A schema that is still not at an end here has none; null stands for the rest."""
FORMATS = {
    "date": "2025-06-15",
    "date-time": "2025-06-15T15:06:40Z",
    "time": "15:06:40Z",
    "duration": "PT5M",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.com",
}


def sample(schema: object, name: str = "value") -> Any:
    """A value that fits `schema`; `name` flavours the strings. What the schema does not say is a string."""
    return _Sampler(schema).value(schema, name, 0)


class _Sampler:
    """Walks a schema; holds the root, which `$ref` refers to."""

    def __init__(self, root: object) -> None:
        self.root = root

    def value(self, schema: object, name: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > DEEPEST:
            return None if isinstance(schema, dict) or schema is False else f"sample {name}"
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if schema.get("enum"):
            return schema["enum"][0]
        if "$ref" in schema:
            return self.value(self.resolve(schema["$ref"]), name, depth + 1)
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                return self.value(self.choose(schema[key], depth), name, depth + 1)
        if schema.get("allOf"):
            return self.value(self.merge(schema), name, depth + 1)
        return self.typed(schema, name, depth)

    def typed(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = "null" if depth >= DEEP and "null" in kind else kind[0]
        match kind or ("object" if "properties" in schema else "string"):
            case "object":
                return self.object(schema, depth)
            case "array":
                wanted = int(schema.get("minItems", 0))
                count = wanted if depth >= DEEP else max(1, wanted)
                return [self.value(schema.get("items", {}), name, depth + 1) for _ in range(count)]
            case "integer":
                return int(self.number(schema))
            case "number":
                return self.number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self.string(schema, name)

    def object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        kept = (
            properties
            if depth < DEEP
            else {k: v for k, v in properties.items() if k in schema.get("required", ())}
        )
        return {key: self.value(part, key, depth + 1) for key, part in kept.items()}

    @staticmethod
    def number(schema: dict[str, Any]) -> float:
        """The least number that fits, in whole steps if one lies between the bounds; 1 without bounds."""
        step = schema.get("multipleOf", 1)
        low, above = schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf)
        high, below = schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf)
        floor, ceiling = max(low, above), min(high, below)
        value = step if floor == -math.inf else math.ceil(floor / step) * step
        value += step if value <= above else 0
        if value > high or value >= below:
            value = math.floor(ceiling / step) * step
            value -= step if value >= below else 0
        if value < low or value <= above:
            value = (floor + ceiling) / 2
        return float(value)

    @staticmethod
    def string(schema: dict[str, Any], name: str) -> str:
        text = FORMATS.get(str(schema.get("format")), f"sample {name}")
        text = text.ljust(int(schema.get("minLength", 0)), ".")
        return text[: int(schema["maxLength"])] if "maxLength" in schema else text

    @staticmethod
    def choose(options: list[Any], depth: int) -> Any:
        if depth >= DEEP:
            return next((o for o in options if isinstance(o, dict) and o.get("type") == "null"), options[0])
        return options[0]

    def merge(self, schema: dict[str, Any]) -> dict[str, Any]:
        merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
        for part in schema["allOf"]:
            part = self.resolve(part["$ref"]) if "$ref" in part else part
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            merged = {**merged, **part, "properties": properties} if properties else {**merged, **part}
        return merged

    def resolve(self, reference: str) -> Any:
        found: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                found = found.get(step.replace("~1", "/").replace("~0", "~"), {})
        return found
