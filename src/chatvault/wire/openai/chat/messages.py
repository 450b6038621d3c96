"""The messages of a chat request, read: each is one message of the hub."""

from typing import Final

from chatvault.core.errors import ClientError
from chatvault.wire.hub.conversation import Message, Role
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, ToolCall, ToolResult, Unknown
from chatvault.wire.json_value import Values, encode, list_of, name_of, object_of, raw
from chatvault.wire.openai.chat.citations import citations_in
from chatvault.wire.openai.chat.content import ORIGIN, cache_of, read_content
from chatvault.wire.openai.chat.thoughts import thoughts_of
from chatvault.wire.taken import refused, take_list, take_object, take_text, unread

OLD_CALL: Final = "function_call_"
"""Begins the ids that we give to calls of the old kind (`function_call`), which had none: so they are known
again."""
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}


class MessageReader:
    """Reads messages in their order, since a result may have to find its call."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}
        """Calls without a result yet: name by id."""

    def read(self, value: object, at: int) -> Message:
        if isinstance(value, dict) and len(value) == 2 and type(content := value.get("content")) is str:
            role = _ROLES.get(str(value.get("role")))
            if role is not None:  # what nearly all messages are; the same as below
                return Message(role=role, parts=(Text(text=content, path=f"messages[{at}].content"),))
        return self._read(value, at)

    def _read(self, value: object, at: int) -> Message:
        path = f"messages[{at}]"
        if not isinstance(value, dict):
            raise refused(path, "an object")
        rest = dict(value)
        role = rest.pop("role", None)
        if role in ("tool", "function"):
            return self._result(rest, path, old=role == "function")
        if not isinstance(role, str) or role not in _ROLES:
            raise refused(f"{path}.role", "one of system, developer, user, assistant and tool")
        name = take_text(rest, "name", f"{path}.")
        if role == "assistant":
            parts = self._assistant(rest, at, path)
        else:
            parts = read_content(rest.pop("content", None), f"{path}.content")
        parts = _marked(parts, rest)
        extra = unread(rest)
        return Message(
            role=_ROLES[role],
            parts=tuple(parts),
            name=name,
            extra=extra,
            origin=ORIGIN if extra else None,
        )

    def _assistant(self, rest: Values, at: int, path: str) -> list[AnyPart]:
        parts: list[AnyPart] = [*thoughts_of(rest, path)]
        for name in ("reasoning_content", "reasoning", "reasoning_details"):
            rest.pop(name, None)
        content = read_content(rest.pop("content", None), f"{path}.content")
        annotations = list_of(rest.pop("annotations", None))
        if annotations and content and isinstance(content[-1], Text):
            last = content.pop()
            assert isinstance(last, Text)
            content.append(
                Text(
                    text=last.text,
                    cache=last.cache,
                    citations=tuple(raw(each) for each in annotations),
                    cited=tuple(cited for each in annotations for cited in citations_in(object_of(each))),
                    origin=ORIGIN,
                    extra=last.extra,
                    path=last.path,
                )
            )
        parts += content
        if refusal := name_of(rest.pop("refusal", None)):
            parts.append(Refusal(text=refusal, path=f"{path}.refusal"))
        audio = object_of(rest.get("audio"))
        if file := name_of(audio.get("id")):
            del rest["audio"]
            parts.append(Media(kind="audio", file=file, origin=ORIGIN, path=f"{path}.audio"))
        calls = self._calls(rest, at, path)
        if calls and len(content) == 1 and isinstance(content[0], Text) and not content[0].text:
            parts.remove(content[0])  # an empty text beside calls says nothing
        return [*parts, *calls]

    def _calls(self, rest: Values, at: int, path: str) -> list[AnyPart]:
        calls: list[AnyPart] = []
        for number, value in enumerate(take_list(rest, "tool_calls", f"{path}.") or ()):
            call = _call(value, f"call_{at}_{number}", f"{path}.tool_calls[{number}]")
            if isinstance(call, ToolCall):
                self._waiting[call.id] = call.name
            calls.append(call)
        old = take_object(rest, "function_call", f"{path}.")
        if old is not None:
            call = _function(dict(old), f"{OLD_CALL}{at}", {}, f"{path}.function_call")
            self._waiting[call.id] = call.name
            calls.append(call)
        return calls

    def _result(self, rest: Values, path: str, *, old: bool) -> Message:
        name = take_text(rest, "name", f"{path}.")
        call = take_text(rest, "tool_call_id", f"{path}.") or self._call_for(name, path, old=old)
        self._waiting.pop(call, None)
        cache = cache_of(rest)
        content = read_content(rest.pop("content", None), f"{path}.content")
        parts = tuple(part for part in content if isinstance(part, Text | Media | Unknown))
        extra = unread(rest)
        result = ToolResult(
            call=call,
            parts=parts,
            name=name,
            cache=cache,
            extra=extra,
            origin=ORIGIN if extra else None,
            path=path,
        )
        return Message(role="user", parts=(result,))

    def _call_for(self, name: str | None, path: str, *, old: bool) -> str:
        """The first call that waits for a result, of this name if one is given."""
        for call, called in self._waiting.items():
            if (name is None or called == name) and call.startswith(OLD_CALL) == old:
                return call
        raise ClientError(
            f"The message '{path}' is the result of no call before it. Name the call it answers.",
            code="invalid_field",
            param=f"{path}.name" if old else f"{path}.tool_call_id",
        )


def _marked(parts: list[AnyPart], rest: Values) -> list[AnyPart]:
    """A cache marker on the message (OpenRouter takes it there too) means its last text."""
    if "cache_control" in rest and parts and isinstance(parts[-1], Text) and parts[-1].cache is None:
        last, cache = parts[-1], cache_of(rest)
        marked = Text(
            text=last.text,
            cache=cache,
            citations=last.citations,
            origin=last.origin,
            extra=last.extra,
            path=last.path,
        )
        return [*parts[:-1], marked]
    return parts


def _call(value: object, id: str, path: str) -> AnyPart:
    if not isinstance(value, dict):
        raise refused(path, "an object")
    rest = dict(value)
    rest.pop("index", None)  # left over from a stream
    id = take_text(rest, "id", f"{path}.") or id
    kind = rest.pop("type", None) or "function"
    if kind == "function":
        return _function(take_object(rest, "function", f"{path}."), id, rest, path)
    custom = rest.pop("custom", None)
    if kind != "custom" or not isinstance(custom, dict):
        return Unknown(kind=str(kind), raw=raw(value), origin=ORIGIN, path=path)
    said = dict(custom)
    name = take_text(said, "name", f"{path}.custom.") or ""
    text = take_text(said, "input", f"{path}.custom.") or ""
    return ToolCall(id=id, name=name, arguments=text, custom=True, cache=cache_of(rest), path=path)


def _function(said: Values | None, id: str, rest: Values, path: str) -> ToolCall:
    said = dict(said or {})
    name = take_text(said, "name", f"{path}.function.")
    if name is None:
        raise refused(f"{path}.function.name", "the name of a function")
    arguments = said.pop("arguments", None)
    signature = _signature(rest)
    cache = cache_of(rest)
    extra = unread({**said, **rest})
    return ToolCall(
        id=id,
        name=name,
        arguments=arguments_of(arguments),
        signature=signature,
        cache=cache,
        extra=extra,
        origin=ORIGIN if extra else None,
        path=path,
    )


def arguments_of(value: object) -> str:
    """JSON text; some clients and providers send the object itself."""
    if isinstance(value, str):
        return value
    return encode(value).decode() if value is not None else ""


def _signature(rest: Values) -> str | None:
    """Gemini's proof of thinking, as its OpenAI endpoint places it
    (https://ai.google.dev/gemini-api/docs/thought-signatures, seen 2026-11)."""
    extra = rest.get("extra_content")
    signature = signature_in(extra)
    if signature is not None and extra == {"google": {"thought_signature": signature}}:
        del rest["extra_content"]
    return signature


def signature_in(extra: object) -> str | None:
    return name_of(object_of(object_of(extra).get("google")).get("thought_signature"))
