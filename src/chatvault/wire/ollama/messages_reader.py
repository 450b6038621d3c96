"""Ollama's messages in, the hub's out."""

from typing import Final

from chatvault.core.errors import ClientError
from chatvault.wire.base64_text import standard_base64
from chatvault.wire.call_ids import CallIds
from chatvault.wire.hub.conversation import Message, Role
from chatvault.wire.hub.parts import AnyPart, Media, Text, Thought, ToolCall, ToolResult
from chatvault.wire.json_value import Values, decode, encode, obj, raws, text
from chatvault.wire.ollama.images import mime_of
from chatvault.wire.ollama.names import DIALECT

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}
_READ: Final = frozenset(
    ("role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id", "name")
)


def read_messages(value: object) -> tuple[Message, ...]:
    """Raises ClientError."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid("messages", 'a list of {"role": ..., "content": ...}')
    ids = CallIds()
    return tuple(_message(each, f"messages[{at}]", ids) for at, each in enumerate(value))


def _message(value: object, path: str, ids: CallIds) -> Message:
    message = obj(value)
    if message is None:
        raise invalid(path, 'an object such as {"role": "user", "content": "..."}')
    said = message.get("role")
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise invalid(f"{path}.content", "a string")
    rest = raws({name: each for name, each in message.items() if name not in _READ and each is not None})
    if said == "tool":
        parts: list[AnyPart] = [_result(message, content, path, ids)]
        return Message(role="user", parts=tuple(parts), origin=DIALECT if rest else None, extra=rest)
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise invalid(f"{path}.role", "one of system, user, assistant, tool")
    parts = []
    thinking = text(message.get("thinking"))
    if thinking:
        parts.append(Thought(text=thinking, origin=DIALECT))
    if content:
        parts.append(Text(text=content))
    parts += read_images(message.get("images"), f"{path}.images")
    parts += _calls(message.get("tool_calls"), f"{path}.tool_calls", ids)
    return Message(
        role=role,
        parts=tuple(parts),
        name=text(message.get("name")),
        origin=DIALECT if rest else None,
        extra=rest,
    )


def read_images(value: object, path: str) -> list[Media]:
    """Base64 without a type; the first bytes tell it. Raises ClientError."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(path, "a list of base64 strings")
    out = []
    for at, each in enumerate(value):
        if not isinstance(each, str):
            raise invalid(f"{path}[{at}]", "a base64 string")
        data = standard_base64(each)
        out.append(Media(kind="image", mime=mime_of(data), data=data, path=f"{path}[{at}]"))
    return out


def _result(message: Values, content: str | None, path: str, ids: CallIds) -> ToolResult:
    name = text(message.get("tool_name")) or text(message.get("name"))
    given = text(message.get("tool_call_id"))
    parts: list[Text | Media] = [Text(text=content)] if content else []
    parts += read_images(message.get("images"), f"{path}.images")
    return ToolResult(call=ids.of_result(given, name), name=name, parts=tuple(parts), path=path)


def _calls(value: object, path: str, ids: CallIds) -> list[ToolCall]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(path, "a list")
    return [_call(each, f"{path}[{at}]", ids) for at, each in enumerate(value)]


def _call(value: object, path: str, ids: CallIds) -> ToolCall:
    call = obj(value) or {}
    function = obj(call.get("function")) or {}
    name = text(function.get("name"))
    if name is None:
        raise invalid(f"{path}.function.name", "the name of a function")
    rest = {key: each for key, each in call.items() if key not in ("id", "type", "function")}
    inner = {key: each for key, each in function.items() if key not in ("name", "arguments", "index")}
    if inner:
        rest["function"] = inner
    return ToolCall(
        id=ids.of_call(text(call.get("id")), name),
        name=name,
        arguments=arguments_text(function.get("arguments")),
        origin=DIALECT if rest else None,
        extra=raws(rest),
        path=path,
    )


def arguments_text(value: object) -> str:
    """An object; some clients send its JSON text."""
    if isinstance(value, str):
        try:
            decode(value.encode())
        except (ValueError, UnicodeEncodeError):
            return encode(value).decode()
        return value
    return encode(value if value is not None else {}).decode()


def invalid(path: str, what: str) -> ClientError:
    return ClientError(f"'{path}' must be {what}.", code="invalid_field", param=path)
