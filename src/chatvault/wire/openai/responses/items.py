"""The items of a request's `input`, read: each is one message of the hub."""

from collections.abc import Callable
from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.hub.conversation import Message, Role
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.json_value import Values, list_of, name_of, object_of, objects_of, raw, text_of
from chatvault.wire.openai.chat.citations import citations_in
from chatvault.wire.openai.chat.messages import arguments_of
from chatvault.wire.openai.media import audio_type, split_url
from chatvault.wire.openai.responses.proofs import ORIGIN, proof_in
from chatvault.wire.openai.responses.searches import search_in
from chatvault.wire.taken import refused, take_text, unread

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}
CALLS: Final = {"function_call": False, "custom_tool_call": True}
"""Whether it is custom."""
_RESULTS: Final = frozenset(("function_call_output", "custom_tool_call_output"))


class ItemReader:
    """Reads items in their order, since the proof of a call comes before it."""

    __slots__ = ("_proof",)

    def __init__(self) -> None:
        self._proof: str | None = None

    def read(self, value: object, path: str) -> Message | None:
        """None for an item that only proves the next."""
        if isinstance(value, str):
            return Message(role="user", parts=(Text(text=value, path=f"{path}.content"),), path=path)
        if not isinstance(value, dict):
            raise refused(path, "an object")
        rest = dict(value)
        kind = rest.pop("type", None)
        if kind is None and "role" in rest:
            kind = "message"
        if not isinstance(kind, str):
            raise ClientError(
                f"The item '{path}' has no type. Name one, such as 'message'.",
                code="invalid_field",
                param=f"{path}.type",
            )
        if kind == "message":
            return _message(rest, path)
        if kind in CALLS:
            return self._call(rest, path, custom=CALLS[kind])
        if kind in _RESULTS:
            return _result(rest, path)
        if kind == "reasoning":
            return self._reasoning(rest, path)
        role: Role = "user" if kind.endswith(("_output", "_response")) else "assistant"
        return Message(
            role=role,
            parts=(Unknown(kind=kind, raw=raw(value), search=search_in(value), origin=ORIGIN, path=path),),
            path=path,
        )

    def _call(self, rest: Values, path: str, *, custom: bool) -> Message:
        call = take_text(rest, "call_id", f"{path}.") or name_of(rest.get("id"))
        name = take_text(rest, "name", f"{path}.")
        if call is None or name is None:
            raise refused(f"{path}.{'call_id' if call is None else 'name'}", "a string")
        _forget(rest)
        text = rest.pop("input" if custom else "arguments", None)
        extra, proof = unread(rest), self._proof
        self._proof = None
        part = ToolCall(
            id=call,
            name=name,
            arguments=arguments_of(text),
            custom=custom,
            signature=proof,
            extra=extra,
            origin=ORIGIN if extra else None,
            path=path,
        )
        return Message(role="assistant", parts=(part,), path=path)

    def _reasoning(self, rest: Values, path: str) -> Message | None:
        thoughts = thoughts_of(rest, path)
        if len(thoughts) == 1 and thoughts[0].signature and not thoughts[0].text:
            proof = proof_in(text_of(rest.get("encrypted_content")))
            if proof.kind == "call":
                self._proof = proof.value
                return None
        return Message(role="assistant", parts=tuple(thoughts), path=path)


def _forget(rest: Values) -> None:
    """The bookkeeping of stored items means nothing in a request that holds them itself."""
    rest.pop("id", None)
    if rest.get("status") in ("completed", "in_progress"):
        del rest["status"]


def thoughts_of(item: Values, path: str) -> list[Thought]:
    """A reasoning item: a thought for each text of it, what proves it on the last."""
    id, sealed = name_of(item.get("id")), name_of(item.get("encrypted_content"))
    texts = [(text_of(part.get("text")), True) for part in objects_of(item.get("summary"))]
    texts += [(text_of(part.get("text")), False) for part in objects_of(item.get("content"))]
    texts = texts or [("", False)]
    proof = proof_in(sealed) if sealed else None
    origin = proof.origin if proof is not None else ORIGIN
    found = [Thought(text=text, id=id, summary=summary, origin=origin, path=path) for text, summary in texts]
    if proof is not None:
        last = found[-1]
        own = origin == ORIGIN
        found[-1] = Thought(
            text=last.text,
            signature=None if proof.kind == "sealed" else proof.value,
            sealed=proof.value if proof.kind == "sealed" else None,
            id=id if own else None,
            summary=last.summary and own,
            origin=origin,
            path=path,
        )
    return found


def _message(rest: Values, path: str) -> Message:
    role = rest.pop("role", None)
    if not isinstance(role, str) or role not in _ROLES:
        raise refused(f"{path}.role", "one of system, developer, user and assistant")
    parts = read_content(rest.pop("content", None), f"{path}.content")
    _forget(rest)
    extra = unread(rest)
    return Message(
        role=_ROLES[role], parts=tuple(parts), extra=extra, origin=ORIGIN if extra else None, path=path
    )


def _result(rest: Values, path: str) -> Message:
    call = take_text(rest, "call_id", f"{path}.")
    if call is None:
        raise refused(f"{path}.call_id", "a string")
    content = read_content(rest.pop("output", None), f"{path}.output")
    parts = tuple(part for part in content if isinstance(part, Text | Media | Unknown))
    _forget(rest)
    extra = unread(rest)
    result = ToolResult(call=call, parts=parts, extra=extra, origin=ORIGIN if extra else None, path=path)
    return Message(role="user", parts=(result,), path=path)


def read_content(value: object, path: str) -> list[AnyPart]:
    if isinstance(value, str):
        return [Text(text=value, path=path)]
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused(path, "a string or an array of content parts")
    return [_part(part, f"{path}[{at}]") for at, part in enumerate(value)]


def _part(value: object, path: str) -> AnyPart:
    if not isinstance(value, dict):
        raise refused(path, "an object with a type")
    kind = value.get("type")
    if not isinstance(kind, str):
        raise ClientError(
            f"The content part at '{path}' has no type. Name one, such as 'input_text'.",
            code="invalid_field",
            param=f"{path}.type",
        )
    read = _READERS.get(kind)
    part = (
        read({name: each for name, each in value.items() if name != "type"}, path)
        if read is not None
        else None
    )
    return part or Unknown(kind=kind, raw=raw(value), origin=ORIGIN, path=path)


def text_part(rest: Values, path: str | None = None) -> Text:
    """Of a request or an answer; an empty list of log probabilities says nothing."""
    text = text_of(rest.pop("text", None))
    said = list_of(rest.pop("annotations", None))
    citations = tuple(map(raw, said))
    cited = tuple(found for each in said for found in citations_in(object_of(each)))
    if not rest.get("logprobs"):
        rest.pop("logprobs", None)
    extra = unread(rest)
    origin = ORIGIN if citations or extra else None
    return Text(text=text, citations=citations, cited=cited, extra=extra, origin=origin, path=path)


def _text(rest: Values, path: str) -> AnyPart:
    if not isinstance(rest.get("text"), str):
        raise refused(f"{path}.text", "a string")
    return text_part(rest, path)


def _refusal(rest: Values, path: str) -> AnyPart:
    return Refusal(text=text_of(rest.get("refusal")), path=path)


def _image(rest: Values, path: str) -> AnyPart | None:
    url, file, detail = (name_of(rest.pop(name, None)) for name in ("image_url", "file_id", "detail"))
    if url is None and file is None:
        return None
    mime, data, link = split_url(url) if url is not None else (None, None, None)
    extra: dict[str, msgspec.Raw] | None = unread(rest)
    return Media(
        kind="image",
        mime=mime,
        data=data,
        url=link,
        file=file if url is None else None,
        detail=detail,
        extra=extra,
        origin=ORIGIN,
        path=path,
    )


def _file(rest: Values, path: str) -> AnyPart | None:
    inline, file, url, name = (
        name_of(rest.pop(key, None)) for key in ("file_data", "file_id", "file_url", "filename")
    )
    if inline is None and file is None and url is None:
        return None
    mime, data, link = split_url(inline) if inline is not None else (None, None, url)
    if inline is not None and data is None:
        data, link = inline, None
    extra = unread(rest)
    return Media(
        kind="document",
        mime=mime,
        data=data,
        url=link,
        file=file if inline is None and url is None else None,
        name=name,
        extra=extra,
        origin=ORIGIN,
        path=path,
    )


def _audio(rest: Values, path: str) -> AnyPart | None:
    said = object_of(rest.get("input_audio"))
    data, format = name_of(said.get("data")), name_of(said.get("format"))
    if data is None:
        return None
    return Media(kind="audio", mime=audio_type(format or "wav"), data=data, origin=ORIGIN, path=path)


def _video(rest: Values, path: str) -> AnyPart | None:
    url = name_of(rest.pop("video_url", None))
    if url is None:
        return None
    mime, data, link = split_url(url)
    return Media(kind="video", mime=mime, data=data, url=link, extra=unread(rest), origin=ORIGIN, path=path)


_READERS: Final[dict[str, Callable[[Values, str], AnyPart | None]]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "input_video": _video,
}
