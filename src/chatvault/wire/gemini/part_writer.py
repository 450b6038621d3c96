"""The hub's parts in Gemini's words, for requests and replies alike."""

from typing import Final

from chatvault.wire.call_ids import is_made
from chatvault.wire.gemini.grounding import GROUNDING
from chatvault.wire.gemini.names import DIALECT
from chatvault.wire.gemini.signatures import pack, pack_signature
from chatvault.wire.hub.parts import (
    AnyPart,
    Media,
    Part,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Unknown,
)
from chatvault.wire.json_value import Values, decode, decode_object, encode, obj

_MIMES: Final = {
    "image": "image/jpeg",
    "audio": "audio/wav",
    "video": "video/mp4",
    "document": "application/pdf",
}
"""What data without a type is taken for."""


def write_part(part: AnyPart, name: str | None = None) -> list[Values]:
    """The parts that say what `part` says; none where Gemini has no words for it. `name` is that of the call
    a result answers.
    """
    out: list[Values]
    match part:
        case Text():
            out = [{"text": part.text}]
        case Refusal():
            out = [{"text": part.text}]
        case Media():
            out = [media_object(part)] if _has_content(part) else []
        case ToolCall():
            out = [call_object(part)]
        case ToolResult():
            out = _result(part, name)
        case Thought():
            out = thought_objects(part)
        case Unknown():
            return [decode_object(part.raw)] if part.origin == DIALECT and part.kind != GROUNDING else []
    if out and part.extra and part.origin == DIALECT:
        _merge(out[0], part)
    return out


def _merge(out: Values, part: Part) -> None:
    for name, value in (part.extra or {}).items():
        found = decode(value)
        inner = obj(out.get(name))
        if inner is not None and isinstance(found, dict):
            inner.update(found)
        else:
            out[name] = found


def _has_content(part: Media) -> bool:
    return any(each is not None for each in (part.data, part.url, part.file, part.text))


def media_object(part: Media) -> Values:
    if part.text is not None:
        return {"text": part.text}
    mime = part.mime or _MIMES[part.kind]
    if part.data is not None:
        blob: Values = {"mimeType": mime, "data": part.data}
        return {"inlineData": _named(blob, part)}
    file: Values = {"fileUri": part.url or part.file}
    if part.mime is not None or part.kind != "video":
        file["mimeType"] = mime
    return {"fileData": _named(file, part)}


def _named(blob: Values, part: Media) -> Values:
    if part.name is not None:
        blob["displayName"] = part.name
    return blob


def call_object(part: ToolCall) -> Values:
    call: Values = {"name": part.name, "args": arguments(part.arguments)}
    if not is_made(part.id):
        call["id"] = part.id
    out: Values = {"functionCall": call}
    signature = pack_signature(part.signature, part.origin)
    if signature is not None:
        out["thoughtSignature"] = signature
    return out


def arguments(said: str) -> Values:
    """Arguments that are no JSON object (a model may write anything) are kept under one name."""
    if not said.strip():
        return {}
    try:
        value = decode(said.encode())
    except (ValueError, UnicodeEncodeError):
        return {"arguments": said}
    return value if isinstance(value, dict) else {"arguments": value}


def thought_objects(part: Thought) -> list[Values]:
    """A thought without text is the signature of what stands before it."""
    signature = pack(part)
    if not part.text and signature is None:
        return []
    out: Values = {"text": part.text}
    if part.text:
        out["thought"] = True
    if signature is not None:
        out["thoughtSignature"] = signature
    return [out]


def _result(part: ToolResult, name: str | None) -> list[Values]:
    texts = [each.text for each in part.parts if isinstance(each, Text)]
    result: Values = {"name": part.name or name or "unknown", "response": {}}
    if not is_made(part.call):
        result["id"] = part.call
    if texts or part.failed:
        result["response"] = _response("\n".join(texts), part.failed)
    inside: list[Values] = []
    beside: list[Values] = []
    for each in part.parts:
        if isinstance(each, Unknown):
            inside += write_part(each)
        elif isinstance(each, Media):
            # Only data may stand inside (https://ai.google.dev/api/caching#FunctionResponsePart, seen
            # 2026-11).
            (inside if each.data is not None or part.origin == DIALECT else beside).extend(write_part(each))
    if inside:
        result["parts"] = inside
    return [{"functionResponse": result}, *beside]


def _response(said: str, failed: bool) -> Values:
    """An object that would read back as the very same text passes as it is; all else is put under `output`
    or `error`.
    """
    if not failed and said.startswith("{"):
        try:
            value = decode(said.encode())
        except (ValueError, UnicodeEncodeError):
            value = None
        if isinstance(value, dict) and value and encode(value).decode() == said and not _is_wrapped(value):
            return value
    return {"error" if failed else "output": said}


def _is_wrapped(value: Values) -> bool:
    return len(value) == 1 and isinstance(value.get("output", value.get("error")), str)
