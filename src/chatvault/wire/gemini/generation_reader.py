"""`generationConfig` in, the hub's settings out. What has an odd type is left to the provider's judgement:
it stays in `extra` under
its path, as does what nobody else understands.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.gemini.names import camel
from chatvault.wire.gemini.schema import to_json_schema
from chatvault.wire.hub.conversation import Output, Reasoning
from chatvault.wire.json_value import Values, integer, number, obj, raw, strings, text, truth

_PLAIN: Final[dict[str, tuple[str, Callable[[object], object]]]] = {
    "temperature": ("temperature", number),
    "topP": ("top_p", number),
    "topK": ("top_k", integer),
    "candidateCount": ("choices", integer),
    "maxOutputTokens": ("max_output", integer),
    "stopSequences": ("stop", strings),
    "seed": ("seed", integer),
    "presencePenalty": ("presence_penalty", number),
    "frequencyPenalty": ("frequency_penalty", number),
    "responseLogprobs": ("logprobs", truth),
    "logprobs": ("top_logprobs", integer),
}
_SCHEMAS: Final = ("responseSchema", "responseJsonSchema", "_responseJsonSchema")
_JSON: Final = "application/json"


def read_generation(value: object, values: dict[str, object], extra: dict[str, msgspec.Raw]) -> None:
    """Fills `values` by the names of `Conversation`. Raises ClientError where it is no object."""
    if value is None:
        return
    found = obj(value)
    if found is None:
        raise ClientError(
            "The field 'generationConfig' must be an object.", code="invalid_field", param="generationConfig"
        )
    config = {name: each for name, each in camel(found).items() if each is not None}
    values.update(_output(config))
    for name, each in config.items():
        if name in _PLAIN:
            target, read = _PLAIN[name]
            taken = read(each)
        elif name == "thinkingConfig":
            target, taken = "reasoning", _reasoning(each)
        elif name == "responseModalities":
            said = strings(each)
            target, taken = "modalities", tuple(each.lower() for each in said) if said is not None else None
        else:
            target, taken = "", None
        if taken is not None:
            values[target] = taken
        else:
            extra[f"generationConfig.{name}"] = raw(each)


def _output(config: Values) -> dict[str, object]:
    """Takes out of `config` what it understands of the answer's form."""
    mime = text(config.get("responseMimeType"))
    if mime not in (None, _JSON, "text/plain"):
        return {}
    schema = next((found for name in _SCHEMAS if (found := obj(config.get(name))) is not None), None)
    if schema is not None and mime != "text/plain":
        for name in _SCHEMAS:
            config.pop(name, None)
        config.pop("responseMimeType", None)
        return {"output": Output(kind="json_schema", schema=raw(to_json_schema(schema)))}
    if schema is None and mime is not None:
        del config["responseMimeType"]
        return {"output": Output(kind="json_object" if mime == _JSON else "text")}
    return {}


def _reasoning(value: object) -> Reasoning | None:
    found = obj(value)
    if found is None:
        return None
    config = camel(found)
    if not config.keys() <= {"includeThoughts", "thinkingBudget", "thinkingLevel"}:
        return None
    budget, level = integer(config.get("thinkingBudget")), text(config.get("thinkingLevel"))
    effort = level.lower() if level and level != "THINKING_LEVEL_UNSPECIFIED" else None
    return Reasoning(
        effort=effort,
        budget=budget if budget is not None and budget >= 0 else None,
        show=truth(config.get("includeThoughts")),
        # -1 lets the model decide (https://ai.google.dev/gemini-api/docs/thinking#set-budget, seen 2026-11).
        adaptive=budget is not None and budget < 0,
    )
