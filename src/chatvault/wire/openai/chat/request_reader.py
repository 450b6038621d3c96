"""A chat request, read into the hub's conversation."""

from typing import Any, Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.hub.conversation import Conversation, Output
from chatvault.wire.json_value import Values, decode_request, name_of, object_of, raw
from chatvault.wire.openai.chat.content import ORIGIN
from chatvault.wire.openai.chat.messages import MessageReader
from chatvault.wire.openai.chat.reasoning import read_reasoning
from chatvault.wire.openai.chat.tools import read_choice, read_tools
from chatvault.wire.taken import (
    Table,
    refused,
    take_known,
    take_list,
    take_number,
    take_object,
    take_text,
    take_truth,
    take_whole,
    unread,
)

_KNOWN: Final[Table] = {
    "temperature": ("temperature", take_number),
    "top_p": ("top_p", take_number),
    "top_k": ("top_k", take_whole),
    "presence_penalty": ("presence_penalty", take_number),
    "frequency_penalty": ("frequency_penalty", take_number),
    "seed": ("seed", take_whole),
    "n": ("choices", take_whole),
    "top_logprobs": ("top_logprobs", take_whole),
    "parallel_tool_calls": ("parallel_tools", take_truth),
    "user": ("user", take_text),
    "service_tier": ("service_tier", take_text),
    "verbosity": ("verbosity", take_text),
}
_MEANT: Final = {"usage": {"include": True}}
"""Fields that ask for what is always done: OpenRouter's `usage`."""


def read_request(body: bytes, model: str | None, stream: bool | None) -> Conversation:
    """Raises ClientError (400) with the path of what it cannot understand."""
    rest = decode_request(body)
    messages = take_list(rest, "messages")
    if messages is None:
        raise ClientError(
            "The field 'messages' is missing. Send an array of messages.",
            code="missing_field",
            param="messages",
        )
    reader, said = MessageReader(), dict[str, msgspec.Raw]()
    streamed = take_truth(rest, "stream")
    named = take_text(rest, "model")
    found = take_known(rest, _KNOWN)
    found["max_output"] = _max_output(rest, said)
    if rest:
        _others(rest, said, found)
    return Conversation(
        model=model if model is not None else named or "",
        messages=tuple([reader.read(message, at) for at, message in enumerate(messages)]),
        stream=stream if stream is not None else bool(streamed),
        origin=ORIGIN,
        extra=unread(rest) or {},
        said=said,
        **found,
    )


def _others(rest: Values, said: dict[str, msgspec.Raw], found: dict[str, Any]) -> None:
    """Members that are more than a value, or that only some providers take."""
    for name, value in _MEANT.items():
        if rest.get(name) == value:
            said[name] = raw(rest.pop(name))
    found["stream_usage"] = read_stream_usage(rest)
    found["tools"] = read_tools(rest, said)
    found["tool_choice"] = read_choice(rest, said)
    found["output"] = _output(rest)
    found["reasoning"] = read_reasoning(rest, said)
    found["stop"] = read_stop(rest)
    found["logprobs"] = _logprobs(rest, said)
    found["metadata"] = read_metadata(rest)
    found["modalities"] = _modalities(rest)


def read_stream_usage(rest: Values) -> bool:
    options = take_object(rest, "stream_options")
    if options is None:
        return False
    left = dict(options)
    asked = left.pop("include_usage", None)
    if left:
        rest["stream_options"] = left
    return asked is True


def _logprobs(rest: Values, said: dict[str, msgspec.Raw]) -> bool | None:
    value = rest.get("logprobs")
    if isinstance(value, int) and not isinstance(value, bool):
        # Together's, as in completions (https://docs.together.ai/reference/chat-completions-1, seen 2026-11)
        said["logprobs"] = raw(rest.pop("logprobs"))
        return value > 0
    return take_truth(rest, "logprobs")


def _max_output(rest: Values, said: dict[str, msgspec.Raw]) -> int | None:
    """`max_tokens` is the old name (https://platform.openai.com/docs/api-reference/chat/create, seen
    2026-11); many providers know no other. Both may be there."""
    new, old = take_whole(rest, "max_completion_tokens"), take_whole(rest, "max_tokens")
    if new is not None:
        said["max_completion_tokens"] = raw(new)
    if old is not None:
        said["max_tokens"] = raw(old)
    return new if new is not None else old


def read_stop(rest: Values) -> tuple[str, ...]:
    value = rest.pop("stop", None)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise refused("stop", "a string or an array of strings")
    return tuple(value)


def read_metadata(rest: Values) -> dict[str, str] | None:
    value = rest.get("metadata")
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        return None  # not OpenAI's; it stays for the same dialect
    del rest["metadata"]
    return value


def _modalities(rest: Values) -> tuple[str, ...]:
    value = rest.get("modalities")
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return ()
    del rest["modalities"]
    return tuple(value)


def _output(rest: Values) -> Output | None:
    """What is not understood stays in `rest`."""
    value = object_of(rest.get("response_format"))
    kind = value.get("type")
    if kind in ("text", "json_object") and len(value) == 1:
        del rest["response_format"]
        return Output(kind="text" if kind == "text" else "json_object")
    said = object_of(value.get("json_schema") or value)
    schema = said.get("schema")
    if kind != "json_schema" or not isinstance(schema, dict):
        return None
    if not set(said) <= {"type", "name", "description", "schema", "strict"}:
        return None
    del rest["response_format"]
    strict = said.get("strict")
    return Output(
        kind="json_schema",
        name=name_of(said.get("name")),
        description=name_of(said.get("description")),
        schema=raw(schema),
        strict=strict if isinstance(strict, bool) else None,
    )
