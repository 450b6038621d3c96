"""Gemini's parts in, the hub's out: in requests, and in replies where a part comes whole."""

from typing import Final, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from chatvault.core.errors import ClientError
from chatvault.wire.base64_text import standard_base64
from chatvault.wire.call_ids import CallIds
from chatvault.wire.gemini.names import DIALECT, camel
from chatvault.wire.gemini.signatures import STAND_INS, unpack, unpack_signature
from chatvault.wire.hub.parts import AnyPart, Media, Part, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.json_value import Values, encode, obj, objects_of, raw, raws, text

_SIDE: Final = frozenset(
    ("thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata", "mediaProcessing")
)
"""Fields beside the one that makes a part what it is."""
MediaKind = Literal["image", "document", "audio", "video"]
_KINDS: Final[dict[str, MediaKind]] = {"image": "image", "audio": "audio", "video": "video"}
P = TypeVar("P", bound=Part)


def read_part(value: object, path: str, ids: CallIds) -> AnyPart:
    """Raises ClientError for what is no part."""
    found = obj(value)
    if not found:
        raise _invalid(path, 'an object such as {"text": ...}')
    part = camel(found)
    said = text(part.get("text"))
    if said is not None:
        return _text(part, said)
    call, result = obj(part.get("functionCall")), obj(part.get("functionResponse"))
    if call is not None:
        return _call(camel(call), part, f"{path}.functionCall", ids)
    if result is not None:
        return _result(camel(result), part, f"{path}.functionResponse", ids)
    return media(part) or unknown(part)


def unknown(part: Values) -> Unknown:
    """A part of another kind: code, its result, a server-side tool's call, whatever comes."""
    kind = next((name for name in part if name not in _SIDE), "part")
    return Unknown(kind=kind, raw=raw(part), origin=DIALECT)


def media(part: Values) -> Media | None:
    """The part as media; None if it holds none."""
    inline, file = obj(part.get("inlineData")), obj(part.get("fileData"))
    if inline is not None:
        blob = camel(inline)
        data, mime = text(blob.get("data")), text(blob.get("mimeType"))
        if data is None:
            return None
        found = Media(
            kind=_kind(mime), mime=mime, data=standard_base64(data), name=text(blob.get("displayName"))
        )
        return _kept(found, part, "inlineData", _rest(blob, "data", "mimeType", "displayName"))
    if file is not None:
        blob = camel(file)
        uri, mime = text(blob.get("fileUri")), text(blob.get("mimeType"))
        if uri is None:
            return None
        name = text(blob.get("displayName"))
        if _is_public(uri):
            found = Media(kind=_kind(mime, uri), mime=mime, url=uri, name=name)
        else:
            found = Media(kind=_kind(mime, uri), mime=mime, file=uri, name=name)
        return _kept(found, part, "fileData", _rest(blob, "fileUri", "mimeType", "displayName"))
    return None


def _is_public(uri: str) -> bool:
    """Files of the provider's own store are of use to nobody else."""
    return uri.startswith(("http://", "https://")) and "//generativelanguage.googleapis.com/" not in uri


def _kind(mime: str | None, uri: str = "") -> MediaKind:
    major = (mime or "").partition("/")[0]
    if major in _KINDS:
        return _KINDS[major]
    if mime is None and ("youtube.com/" in uri or "youtu.be/" in uri):
        return "video"
    return "document"


def _rest(part: Values, *known: str) -> Values:
    return {name: value for name, value in part.items() if name not in known and value is not None}


def _kept(found: P, part: Values, name: str, inner: Values) -> P:
    """The part with what nobody else understands: fields beside `name`, and inside it."""
    extra = _rest(part, name)
    if extra.get("thought") is False:
        del extra["thought"]
    if inner:
        extra[name] = inner
    return msgspec.structs.replace(found, origin=DIALECT, extra=raws(extra)) if extra else found


def _text(part: Values, said: str) -> Text | Thought:
    signature = text(part.get("thoughtSignature"))
    if part.get("thought") is True or (signature is not None and not said):
        # The second is how a stream signs the text before it.
        thought = unpack(said, signature) if signature is not None else Thought(text=said, origin=DIALECT)
        rest = _rest(part, "text", "thought", "thoughtSignature")
        return msgspec.structs.replace(thought, extra=raws(rest)) if rest else thought
    return _kept(Text(text=said), part, "text", {})


def _call(call: Values, part: Values, path: str, ids: CallIds) -> ToolCall:
    name = text(call.get("name"))
    if name is None:
        raise _invalid(f"{path}.name", "the name of a function")
    args = call.get("args")
    if args is not None and not isinstance(args, dict):
        raise _invalid(f"{path}.args", "an object")
    signature, given = text(part.get("thoughtSignature")), text(call.get("id"))
    told: tuple[str | None, str | None] = None, None
    if signature is not None and signature not in STAND_INS:
        told = unpack_signature(signature)
    found = ToolCall(
        id=ids.of_call(given, name),
        name=name,
        arguments=encode(args or {}).decode(),
        signature=told[0],
        origin=told[1],
    )
    if signature not in STAND_INS:
        part = _rest(part, "thoughtSignature")
    return _kept(found, part, "functionCall", _rest(call, "id", "name", "args"))


def _result(result: Values, part: Values, path: str, ids: CallIds) -> ToolResult:
    name = text(result.get("name"))
    response = result.get("response")
    if response is not None and not isinstance(response, dict):
        raise _invalid(f"{path}.response", "an object")
    parts = [
        _result_part(each, f"{path}.parts[{at}]") for at, each in enumerate(objects_of(result.get("parts")))
    ]
    said, failed = _said(response or {})
    found = ToolResult(
        call=ids.of_result(text(result.get("id")), name),
        name=name,
        parts=(*((Text(text=said),) if said is not None else ()), *parts),
        failed=failed,
    )
    return _kept(found, part, "functionResponse", _rest(result, "id", "name", "response", "parts"))


def _said(response: Values) -> tuple[str | None, bool]:
    """`output` and `error` hold what the function said; else the object itself is what it said
    (https://ai.google.dev/api/caching#FunctionResponse, seen 2026-11).
    """
    if not response:
        return None, False
    if len(response) == 1:
        for name in ("output", "error"):
            said = response.get(name)
            if isinstance(said, str):
                return said, name == "error"
    return encode(response).decode(), False


def _result_part(value: Values, path: str) -> Media | Unknown:
    part = camel(value)
    return replace(media(part) or unknown(part), path=path)


def _invalid(path: str, what: str) -> ClientError:
    return ClientError(f"'{path}' must be {what}.", code="invalid_field", param=path)
