"""What a client asked in Gemini's words, as a conversation."""

from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.call_ids import CallIds
from chatvault.wire.gemini.generation_reader import read_generation
from chatvault.wire.gemini.names import DIALECT, camel
from chatvault.wire.gemini.part_reader import read_part
from chatvault.wire.gemini.tool_reader import read_choice, read_tools
from chatvault.wire.hub.conversation import Conversation, Message, Role
from chatvault.wire.json_value import Values, decode_request, obj, raw, raws, text

_ROLES: Final[dict[str, Role]] = {"user": "user", "model": "assistant", "function": "user"}
"""`function` is the older role of function responses (https://ai.google.dev/api/caching#Content, seen
2026-11).
"""
_READ: Final = frozenset(
    ("model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig")
)


def read_request(body: bytes, *, model: str | None, stream: bool | None) -> Conversation:
    """Raises ClientError."""
    fields = camel(decode_request(body))
    named = model or text(fields.get("model"))
    if not named:
        raise ClientError("The path names no model.", code="model_missing", param="model")
    ids, extra = CallIds(), dict[str, msgspec.Raw]()
    messages = _system(fields.get("systemInstruction"), ids)
    for at, content in enumerate(_contents(fields.get("contents"))):
        messages.append(_message(content, f"contents[{at}]", ids))
    values: dict[str, object] = {}
    read_generation(fields.get("generationConfig"), values, extra)
    choice = read_choice(fields.get("toolConfig"), extra)
    for name, value in fields.items():
        if name not in _READ and value is not None and not _take(name, value, values):
            extra[name] = raw(value)
    return Conversation(
        model=named.removeprefix("models/"),
        messages=tuple(messages),
        stream=stream is True,
        tools=read_tools(fields.get("tools")),
        tool_choice=choice,
        origin=DIALECT,
        extra=extra,
        **values,  # type: ignore[arg-type]
    )


def _take(name: str, value: object, values: dict[str, object]) -> bool:
    """Whether a top-level field says what other dialects can say, too."""
    if name == "labels" and isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        values["metadata"] = value
        return True
    if name == "serviceTier" and isinstance(value, str):
        values["service_tier"] = value.lower()
        return True
    return False


def _contents(value: object) -> list[object]:
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise ClientError(
            'The field \'contents\' must be a list of {"role": ..., "parts": [...]}.',
            code="invalid_field",
            param="contents",
        )
    return value


def _system(value: object, ids: CallIds) -> list[Message]:
    """The role of a system instruction means nothing and is passed over."""
    if value is None:
        return []
    if isinstance(value, str):
        value = {"parts": [{"text": value}]}
    content = obj(value)
    if content is None:
        raise ClientError(
            'The field \'systemInstruction\' must be an object such as {"parts": [{"text": ...}]}.',
            code="invalid_field",
            param="systemInstruction",
        )
    return [_content("system", camel(content), "systemInstruction", ids)]


def _message(value: object, path: str, ids: CallIds) -> Message:
    found = obj(value)
    if found is None:
        raise ClientError(
            f'\'{path}\' must be an object such as {{"role": ..., "parts": [...]}}.',
            code="invalid_field",
            param=path,
        )
    content = camel(found)
    said = content.get("role")
    role = _ROLES.get(said) if isinstance(said, str) else "user" if said is None else None
    if role is None:
        raise ClientError(
            f"'{path}.role' is {said!r}. Please use a valid role: user, model.",
            code="invalid_field",
            param=f"{path}.role",
        )
    return _content(role, content, path, ids)


def _content(role: Role, content: Values, path: str, ids: CallIds) -> Message:
    parts = content.get("parts")
    if isinstance(parts, dict):
        parts = [parts]
    if parts is not None and not isinstance(parts, list):
        raise ClientError(f"'{path}.parts' must be a list.", code="invalid_field", param=f"{path}.parts")
    found = [read_part(part, f"{path}.parts[{at}]", ids) for at, part in enumerate(parts or ())]
    rest = raws({name: value for name, value in content.items() if name not in ("role", "parts")})
    return Message(role=role, parts=tuple(found), origin=DIALECT if rest else None, extra=rest)
