"""A request, read into the hub's conversation. `count_tokens` has the same shape but for `max_tokens`
(https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/api/messages-count-tokens, seen
2026-11).

Fields that only Anthropic understands are kept in `extra`; one inside an object of which the hub knows the
rest goes by its path (`output_config.task_budget`).
"""

from typing import Any, Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.anthropic.answer_text import NAMES
from chatvault.wire.anthropic.blocks_reader import read_content
from chatvault.wire.anthropic.names import ME
from chatvault.wire.anthropic.output import answer_of, read_output
from chatvault.wire.anthropic.thinking import read_thinking
from chatvault.wire.anthropic.tools import read_choice, read_tool
from chatvault.wire.hub.conversation import Conversation, Message, Role, Tool
from chatvault.wire.hub.parts import Text
from chatvault.wire.json_value import Values, decode_request, raw
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

_ROLES: Final[dict[object, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}
_KNOWN: Final[Table] = {
    "max_tokens": ("max_output", take_whole),
    "temperature": ("temperature", take_number),
    "top_p": ("top_p", take_number),
    "top_k": ("top_k", take_whole),
}
_TIERS: Final = {"auto": "auto", "standard_only": "default"}
TIERS_WRITTEN: Final = {tier: said for said, tier in _TIERS.items()}


def read_conversation(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Conversation:
    """Raises ClientError (400), with the path of the field at fault."""
    rest = decode_request(body)
    extra: dict[str, msgspec.Raw] = {}
    said = take_text(rest, "model")
    model = model or said
    if model is None:
        raise ClientError(
            "The field 'model' is missing. Name the model to ask.", code="model_missing", param="model"
        )
    messages = _messages(rest)
    streamed = take_truth(rest, "stream")
    found = take_known(rest, _KNOWN)
    if rest:
        _others(rest, extra, found)
    return Conversation(
        model=model,
        messages=messages,
        stream=stream if stream is not None else streamed is True,
        origin=ME,
        extra=extra | (unread(rest) or {}),
        **found,
    )


def _others(rest: Values, extra: dict[str, msgspec.Raw], found: dict[str, Any]) -> None:
    """Members that are more than a value."""
    config = dict(take_object(rest, "output_config") or {})
    found["reasoning"] = read_thinking(rest, config, extra)
    output, said = read_output(rest, config, extra)
    extra |= {f"output_config.{name}": raw(value) for name, value in config.items() if value is not None}
    tools = tuple(read_tool(value, index) for index, value in enumerate(take_list(rest, "tools") or ()))
    choice, parallel = read_choice(rest, extra)
    asked = next((tool for tool in tools if isinstance(tool, Tool) and tool.name in NAMES), None)
    if asked is not None:
        # A request that we wrote: what stands in for the form of an answer becomes that again.
        tools = tuple(tool for tool in tools if tool is not asked)
        output = answer_of(asked)
        if choice is not None and (choice.mode == "required" or choice.name == asked.name):
            choice = None
    found |= {
        "output": output,
        "said": said,
        "tools": tools,
        "tool_choice": choice,
        "parallel_tools": parallel,
    }
    found["stop"] = _stop(rest)
    found["user"] = _user(rest, extra)
    found["service_tier"] = _tier(rest)


def _messages(rest: Values) -> tuple[Message, ...]:
    system, listed = rest.pop("system", None), take_list(rest, "messages")
    if listed is None:
        raise ClientError(
            "The field 'messages' is missing. Send at least one message.",
            code="invalid_field",
            param="messages",
        )
    found: list[Message] = []
    if system is not None:
        found.append(
            Message(role="system", parts=read_content(system, "system", placed=False), path="system")
        )
    # The hub takes a first system message for the system prompt. Where there is none but messages of that
    # role, all are told their place.
    first = listed[0] if listed else None
    placed = system is None and isinstance(first, dict) and first.get("role") == "system"
    for index, value in enumerate(listed):
        found.append(_message(value, f"messages[{index}]", placed))
    return tuple(found)


def _message(value: object, path: str, placed: bool) -> Message:
    if not isinstance(value, dict):
        raise refused(path, "an object with a role and content")
    said = value.get("role")
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise refused(f"{path}.role", "'user', 'assistant' or 'system'")
    content = value.get("content")
    if len(value) == 2 and type(content) is str:
        # What nearly all messages are; the same as below.
        place = path if placed else None
        text = Text(text=content, path=f"{path}.content" if placed else None)
        return Message(role=role, parts=(text,), path=place)
    extra = unread({name: each for name, each in value.items() if name not in ("role", "content")})
    return Message(
        role=role,
        parts=read_content(content, f"{path}.content", placed=placed),
        origin=ME if extra else None,
        extra=extra,
        path=path if placed else None,
    )


def _stop(rest: Values) -> tuple[str, ...]:
    found: list[str] = []
    for index, value in enumerate(take_list(rest, "stop_sequences") or ()):
        if not isinstance(value, str):
            raise refused(f"stop_sequences[{index}]", "a string")
        found.append(value)
    return tuple(found)


def _user(rest: Values, extra: dict[str, msgspec.Raw]) -> str | None:
    metadata = dict(take_object(rest, "metadata") or {})
    user = take_text(metadata, "user_id", "metadata.")
    extra |= {f"metadata.{name}": raw(value) for name, value in metadata.items() if value is not None}
    return user


def _tier(rest: Values) -> str | None:
    """An unheard-of tier stays where it is, for the provider to judge."""
    tier = _TIERS.get(str(rest.get("service_tier")))
    if tier is not None:
        del rest["service_tier"]
    return tier
