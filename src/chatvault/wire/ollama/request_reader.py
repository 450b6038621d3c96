"""What a client asked of `/api/chat`, as a conversation."""

from collections.abc import Callable
from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.hub.conversation import Conversation, Output, Reasoning, ServerTool, Tool
from chatvault.wire.json_value import (
    Values,
    decode_request,
    integer,
    number,
    obj,
    raw,
    raws,
    strings,
    text,
    truth,
)
from chatvault.wire.ollama.messages_reader import invalid, read_messages
from chatvault.wire.ollama.names import DIALECT

_OPTIONS: Final[dict[str, tuple[str, Callable[[object], object]]]] = {
    "temperature": ("temperature", number),
    "top_p": ("top_p", number),
    "top_k": ("top_k", integer),
    "seed": ("seed", integer),
    "presence_penalty": ("presence_penalty", number),
    "frequency_penalty": ("frequency_penalty", number),
}
_READ: Final = frozenset(("model", "messages", "stream", "tools", "format", "options", "think"))


def read_request(body: bytes, *, model: str | None, stream: bool | None) -> Conversation:
    """Raises ClientError."""
    fields = decode_request(body)
    messages = read_messages(fields.get("messages"))
    values, extra = read_settings(fields, _READ)
    return Conversation(
        model=model_of(fields, model),
        messages=messages,
        stream=stream_of(fields, stream),
        tools=_tools(fields.get("tools")),
        origin=DIALECT,
        extra=extra,
        **values,  # type: ignore[arg-type]
    )


def model_of(fields: Values, model: str | None) -> str:
    named = model or text(fields.get("model"))
    if not named:
        raise ClientError("The request names no model.", code="model_missing", param="model")
    return named


def stream_of(fields: Values, stream: bool | None) -> bool:
    """Ollama streams unless told otherwise."""
    if stream is not None:
        return stream
    said = fields.get("stream")
    if said is not None and not isinstance(said, bool):
        raise invalid("stream", "true or false")
    return said is not False


def read_settings(fields: Values, read: frozenset[str]) -> tuple[dict[str, object], dict[str, msgspec.Raw]]:
    """The settings by the names of `Conversation`, and what only Ollama understands by its path. What has an
    odd type is left to the
    provider's judgement.
    """
    values: dict[str, object] = {}
    extra: dict[str, msgspec.Raw] = {}
    _read_options(fields.get("options"), values, extra)
    for name, taken in (("format", _output), ("think", _reasoning)):
        value = fields.get(name)
        if value is None or value == "":
            continue
        found = taken(value)
        if found is None:
            extra[name] = raw(value)
        else:
            values["output" if name == "format" else "reasoning"] = found
    for name, value in fields.items():
        if name in read or value is None:
            continue
        plain = truth(value) if name == "logprobs" else integer(value) if name == "top_logprobs" else None
        if plain is not None:
            values[name] = plain
        else:
            extra[name] = raw(value)
    return values, extra


def _read_options(value: object, values: dict[str, object], extra: dict[str, msgspec.Raw]) -> None:
    if value is None:
        return
    options = obj(value)
    if options is None:
        raise invalid("options", "an object")
    for name, each in options.items():
        taken: object = None
        target = name
        if name in _OPTIONS:
            target, read = _OPTIONS[name]
            taken = read(each)
        elif name == "num_predict":
            # -1 is no bound, -2 fills the context
            # (https://docs.ollama.com/modelfile#valid-parameters-and-values, seen 2026-11).
            most = integer(each)
            target, taken = "max_output", most if most is not None and most >= 0 else None
        elif name == "stop":
            target, taken = "stop", (each,) if isinstance(each, str) else strings(each)
        if taken is not None:
            values[target] = taken
        elif each is not None:
            extra[f"options.{name}"] = raw(each)


def _output(value: object) -> Output | None:
    if value == "json":
        return Output(kind="json_object")
    schema = obj(value)
    return Output(kind="json_schema", schema=raw(schema)) if schema is not None else None


def _reasoning(value: object) -> Reasoning | None:
    """`true` leaves to the model how much it thinks."""
    if value is True:
        return Reasoning(adaptive=True, show=True)
    if value is False:
        return Reasoning(effort="none")
    return Reasoning(effort=value, show=True) if isinstance(value, str) else None


def _tools(value: object) -> tuple[Tool | ServerTool, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid("tools", "a list")
    return tuple(_tool(each, f"tools[{at}]") for at, each in enumerate(value))


def _tool(value: object, path: str) -> Tool:
    tool = obj(value) or {}
    function = obj(tool.get("function")) or {}
    name = text(function.get("name"))
    if name is None:
        raise invalid(f"{path}.function.name", "the name of a function")
    rest: Values = {key: each for key, each in tool.items() if key not in ("type", "function")}
    known = ("name", "description", "parameters", "strict")
    inner = {key: each for key, each in function.items() if key not in known and each is not None}
    if inner:
        rest["function"] = inner
    schema = obj(function.get("parameters"))
    return Tool(
        name=name,
        description=text(function.get("description")),
        schema=raw(schema) if schema is not None else None,
        strict=truth(function.get("strict")),
        origin=DIALECT if rest else None,
        extra=raws(rest),
    )
