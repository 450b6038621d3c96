"""Content blocks of a request, read into the hub's parts (https://docs.anthropic.com/en/api/messages, seen
2026-11).

What only Anthropic understands stays as it came: whole (`Unknown`) where the block has no counterpart, as
`extra` where a field has none.
"""

from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from chatvault.wire.anthropic.carrier import Proof, unpack
from chatvault.wire.anthropic.names import ME
from chatvault.wire.anthropic.searches import citations_in, search_in
from chatvault.wire.anthropic.tool_input import arguments_of
from chatvault.wire.hub.conversation import ResultPart
from chatvault.wire.hub.parts import AnyPart, Media, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.json_value import Values, object_of, raw
from chatvault.wire.taken import refused, take_text, take_truth, unread

_LIFETIMES: Final = {None: "default", "5m": "5m", "1h": "1h"}


def read_content(content: object, path: str, *, placed: bool) -> tuple[AnyPart, ...]:
    """The parts of a message or a system prompt. `placed`: each is told its own path. Raises ClientError
    (400).
    """
    if isinstance(content, str):
        return (Text(text=content, path=path if placed else None),)
    parts: list[AnyPart] = []
    proofs: dict[str, Proof] = {}
    for block, at in _blocks(content, path):
        reader = _READERS.get(_kind(block, at))
        # Behind a block that is no part, the others stand where they stood.
        place = at if placed or proofs else None
        part = reader(block, at, place) if reader is not None else _unknown(block, place)
        if isinstance(part, Proof):
            proofs[part.call or ""] = part
        else:
            parts.append(part)
    if proofs:
        parts = [_proven(part, proofs) for part in parts]
    return tuple(parts)


def _blocks(content: object, path: str) -> Iterator[tuple[Values, str]]:
    if not isinstance(content, list):
        raise refused(path, "a string or an array of content blocks")
    for index, block in enumerate(content):
        at = f"{path}[{index}]"
        if not isinstance(block, dict):
            raise refused(at, "a content block, an object with a 'type'")
        yield block, at


def _kind(block: Values, path: str) -> str:
    kind = block.get("type")
    if not isinstance(kind, str):
        raise refused(f"{path}.type", "a string")
    return kind


def _unknown(block: Values, place: str | None) -> Unknown:
    return Unknown(kind=str(block["type"]), raw=raw(block), search=search_in(block), origin=ME, path=place)


def _proven(part: AnyPart, proofs: dict[str, Proof]) -> AnyPart:
    if not isinstance(part, ToolCall) or part.id not in proofs:
        return part
    proof = proofs[part.id]
    return msgspec.structs.replace(part, signature=proof.signature, origin=proof.origin, extra=None)


def take_cache(rest: Values) -> str | None:
    """The lifetime of a marker; one of an unheard-of shape is left where it is."""
    marker = rest.get("cache_control")
    if marker is None:
        rest.pop("cache_control", None)
    elif isinstance(marker, dict) and marker.keys() <= {"type", "ttl"} and marker.get("type") == "ephemeral":
        ttl = marker.get("ttl")
        if ttl is None or ttl in ("5m", "1h"):
            del rest["cache_control"]
            return _LIFETIMES[ttl]
    return None


def _needed(rest: Values, name: str, path: str) -> str:
    value = take_text(rest, name, f"{path}.")
    if value is None:
        raise refused(f"{path}.{name}", "a string")
    return value


def _text(block: Values, path: str, place: str | None) -> Text:
    rest = dict(block)
    del rest["type"]
    text, cache = _needed(rest, "text", path), take_cache(rest)
    if not rest:
        return Text(text=text, cache=cache, path=place)
    citations = rest.pop("citations", None)
    if citations is not None and not isinstance(citations, list):
        raise refused(f"{path}.citations", "an array")
    extra = unread(rest)
    return Text(
        text=text,
        cache=cache,
        citations=tuple(map(raw, citations or ())),
        cited=tuple(cited for each in citations or () for cited in citations_in(object_of(each))),
        origin=ME if extra or citations else None,
        extra=extra,
        path=place,
    )


def _search_result(block: Values, path: str, place: str | None) -> Text:
    """Its words, which every model can read; and the block as it came, which only this dialect writes."""
    whole, rest = raw(block), dict(block)
    words = [value for name in ("title", "source") if isinstance(value := rest.get(name), str)]
    inner = rest.get("content")
    words += [
        each["text"]
        for each in (inner if isinstance(inner, list) else ())
        if isinstance(each, dict) and isinstance(each.get("text"), str)
    ]
    cache = take_cache(rest)
    return Text(text="\n".join(words), cache=cache, origin=ME, extra={"search_result": whole}, path=place)


def _media(block: Values, path: str, place: str | None) -> Media | Unknown:
    source = block.get("source")
    if not isinstance(source, dict):
        raise refused(f"{path}.source", "an object")
    kind: Literal["image", "document"] = "image" if block["type"] == "image" else "document"
    rest, origins = dict(block), dict(source)
    del rest["type"], rest["source"]
    form = origins.pop("type", None)
    at = f"{path}.source"
    mime = take_text(origins, "media_type", f"{at}.")
    found = Media(kind=kind, mime=mime)
    match form:
        case "base64":
            found = Media(kind=kind, mime=mime, data=_needed(origins, "data", at))
        case "url":
            found = Media(kind=kind, mime=mime, url=_needed(origins, "url", at))
        case "file":
            found = Media(kind=kind, mime=mime, file=_needed(origins, "file_id", at))
        case "text" if kind == "document":
            found = Media(kind=kind, mime=mime, text=_needed(origins, "data", at))
        case "content" if kind == "document" and (words := _words(origins.get("content"))) is not None:
            found = Media(kind=kind, mime=mime, text=words)
        case _:
            return _unknown(block, place)
    name, cache = take_text(rest, "title", f"{path}."), take_cache(rest)
    extra = unread(rest) or {}
    if origins:
        extra["source"] = raw(source)
    return msgspec.structs.replace(
        found,
        name=name,
        cache=cache,
        origin=ME if extra or found.file else None,
        extra=extra or None,
        path=place,
    )


def _words(content: object) -> str | None:
    """The text of a document made of blocks; None if there is more in it than text."""
    if isinstance(content, str):
        return content
    words = [
        each.get("text") if isinstance(each, dict) and each.get("type") == "text" else None
        for each in (content if isinstance(content, list) else [None])
    ]
    return "\n\n".join(map(str, words)) if None not in words else None


def _tool_use(block: Values, path: str, place: str | None) -> ToolCall:
    rest = dict(block)
    del rest["type"]
    id, name, cache = _needed(rest, "id", path), _needed(rest, "name", path), take_cache(rest)
    arguments = arguments_of(rest.pop("input", None))
    extra = unread(rest)
    return ToolCall(
        id=id,
        name=name,
        arguments=arguments,
        cache=cache,
        origin=ME if extra else None,
        extra=extra,
        path=place,
    )


def _tool_result(block: Values, path: str, place: str | None) -> ToolResult:
    rest = dict(block)
    del rest["type"]
    call, cache = _needed(rest, "tool_use_id", path), take_cache(rest)
    failed = take_truth(rest, "is_error", f"{path}.") is True
    content = rest.pop("content", None)
    inner = _result_parts(content, f"{path}.content", place is not None) if content is not None else ()
    extra = unread(rest)
    return ToolResult(
        call=call,
        parts=inner,
        failed=failed,
        cache=cache,
        origin=ME if extra else None,
        extra=extra,
        path=place,
    )


def _result_parts(content: object, path: str, placed: bool) -> tuple[ResultPart, ...]:
    if isinstance(content, str):
        return (Text(text=content, path=path if placed else None),)
    parts: list[ResultPart] = []
    for block, at in _blocks(content, path):
        reader = _RESULT_READERS.get(_kind(block, at))
        place = at if placed else None
        parts.append(reader(block, at, place) if reader is not None else _unknown(block, place))
    return tuple(parts)


def _thinking(block: Values, path: str, place: str | None) -> Thought:
    rest = dict(block)
    del rest["type"]
    text, signature = _needed(rest, "thinking", path), take_text(rest, "signature", f"{path}.")
    proof = unpack(signature) if signature else None
    if proof is not None:
        return _foreign(proof, text, place)
    return Thought(text=text, signature=signature, origin=ME, extra=unread(rest), path=place)


def _redacted(block: Values, path: str, place: str | None) -> Thought | Proof:
    rest = dict(block)
    del rest["type"]
    data = _needed(rest, "data", path)
    proof = unpack(data)
    if proof is None:
        return Thought(sealed=data, origin=ME, extra=unread(rest), path=place)
    return proof if proof.call is not None else _foreign(proof, "", place)


def _foreign(proof: Proof, text: str, place: str | None) -> Thought:
    return Thought(
        text=text,
        signature=proof.signature,
        sealed=proof.sealed,
        id=proof.id,
        summary=proof.summary,
        origin=proof.origin,
        path=place,
    )


_RESULT_READERS: Final[dict[str, Callable[[Values, str, str | None], ResultPart]]] = {
    "text": _text,
    "image": _media,
    "document": _media,
    "search_result": _search_result,
}
_READERS: Final[dict[str, Callable[[Values, str, str | None], AnyPart | Proof]]] = {
    **_RESULT_READERS,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}
