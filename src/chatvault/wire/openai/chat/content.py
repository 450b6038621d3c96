"""Content parts of a chat message, read: text, images, audio, files, and what other providers put there."""

from collections.abc import Callable
from typing import Final

from chatvault.core.errors import ClientError
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, Unknown
from chatvault.wire.json_value import Values, name_of, objects_of, raw, text_of
from chatvault.wire.openai.media import Kind, audio_type, split_url
from chatvault.wire.taken import refused, take_text, unread

ORIGIN: Final = "openai.chat"


def read_content(value: object, path: str) -> list[AnyPart]:
    """A message's `content`: a text or a list of parts. `path` is that of the content."""
    if isinstance(value, str):
        return [Text(text=value, path=path)]
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused(path, "a string or an array of content parts")
    return [read_part(part, f"{path}[{at}]") for at, part in enumerate(value)]


def read_part(value: object, path: str) -> AnyPart:
    if isinstance(value, str):
        return Text(text=value, path=path)
    if not isinstance(value, dict):
        raise refused(path, "an object with a type")
    kind = value.get("type")
    if not isinstance(kind, str):
        raise ClientError(
            f"The content part at '{path}' has no type. Name one, such as 'text'.",
            code="invalid_field",
            param=f"{path}.type",
        )
    read = _READERS.get(kind)
    part = read(dict(value), path) if read is not None else None
    return part or Unknown(kind=kind, raw=raw(value), origin=ORIGIN, path=path)


def cache_of(rest: Values) -> str | None:
    """The lifetime of a `cache_control` marker (Anthropic's, as OpenRouter takes it:
    https://openrouter.ai/docs/features/prompt-caching, seen 2026-11), taken out if it is understood."""
    marker = rest.get("cache_control")
    if (
        not isinstance(marker, dict)
        or marker.get("type") != "ephemeral"
        or not set(marker) <= {"type", "ttl"}
    ):
        return None
    del rest["cache_control"]
    return name_of(marker.get("ttl")) or "default"


def _text(rest: Values, path: str) -> AnyPart:
    del rest["type"]
    text = take_text(rest, "text", f"{path}.")
    if text is None:
        raise refused(f"{path}.text", "a string")
    cache, extra = cache_of(rest), unread(rest)
    return Text(text=text, cache=cache, extra=extra, origin=ORIGIN if extra else None, path=path)


def _refusal(rest: Values, path: str) -> AnyPart:
    return Refusal(text=take_text(rest, "refusal", f"{path}.") or "", path=path)


def _thinking(rest: Values, path: str) -> AnyPart:
    """Mistral's (https://docs.mistral.ai/capabilities/reasoning/, seen 2026-11)."""
    said = rest.get("thinking")
    text = said if isinstance(said, str) else "".join(text_of(part.get("text")) for part in objects_of(said))
    return Thought(text=text, signature=name_of(rest.get("signature")), origin=ORIGIN, path=path)


def _url(kind: Kind, name: str) -> Callable[[Values, str], AnyPart | None]:
    """A part whose member `name` is a URL, or an object with one."""

    def read(rest: Values, path: str) -> AnyPart | None:
        del rest["type"]
        inner = rest.pop(name, None)
        said = dict(inner) if isinstance(inner, dict) else {"url": inner}
        url, detail = name_of(said.pop("url", None)), name_of(said.pop("detail", None))
        if url is None:
            raise refused(f"{path}.{name}.url", "a URL")
        mime, data, link = split_url(url)
        cache, title = cache_of(rest), name_of(rest.pop("document_name", None))
        extra = unread({**said, **rest})
        return Media(
            kind=kind,
            mime=mime,
            data=data,
            url=link,
            detail=detail,
            name=title,
            cache=cache,
            extra=extra,
            origin=ORIGIN,
            path=path,
        )

    return read


def _audio(rest: Values, path: str) -> AnyPart | None:
    del rest["type"]
    inner = rest.pop("input_audio", None)
    said = dict(inner) if isinstance(inner, dict) else {"data": inner}
    data, format = name_of(said.pop("data", None)), name_of(said.pop("format", None))
    if data is None:
        raise refused(f"{path}.input_audio.data", "base64 data")
    mime, inline, link = split_url(data)
    if link is not None and not link.startswith(("http://", "https://")):
        inline, link = link, None
    extra = unread({**said, **rest})
    return Media(
        kind="audio",
        mime=audio_type(format) if format else mime,
        data=inline,
        url=link,
        extra=extra,
        origin=ORIGIN,
        path=path,
    )


def _file(rest: Values, path: str) -> AnyPart | None:
    del rest["type"]
    said = rest.pop("file", None)
    if not isinstance(said, dict):
        raise refused(f"{path}.file", "an object")
    said = dict(said)
    data, file, name = (name_of(said.pop(key, None)) for key in ("file_data", "file_id", "filename"))
    if data is None and file is None:
        return None
    mime, inline, link = split_url(data) if data is not None else (None, None, None)
    if link is not None and not link.startswith(("http://", "https://")):
        inline, link = link, None
    cache, extra = cache_of(rest), unread({**said, **rest})
    return Media(
        kind="document",
        mime=mime,
        data=inline,
        url=link,
        file=file if data is None else None,
        name=name,
        cache=cache,
        extra=extra,
        origin=ORIGIN,
        path=path,
    )


_READERS: Final[dict[str, Callable[[Values, str], AnyPart | None]]] = {
    "text": _text,
    "image_url": _url("image", "image_url"),
    "video_url": _url("video", "video_url"),
    "document_url": _url("document", "document_url"),
    "audio_url": _url("audio", "audio_url"),
    "input_audio": _audio,
    "file": _file,
    "refusal": _refusal,
    "thinking": _thinking,
}
"""By type. `video_url` is vLLM's and Alibaba's, `document_url` Mistral's
(https://docs.mistral.ai/capabilities/document_ai/, seen 2026-11)."""
