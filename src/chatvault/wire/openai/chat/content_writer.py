"""Content parts, written as chat has them; what it has no place for goes on the list of what was dropped."""

from collections.abc import Iterable, Mapping

import msgspec

from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, Unknown
from chatvault.wire.json_value import Values, put
from chatvault.wire.openai.chat.content import ORIGIN
from chatvault.wire.openai.chat.tools import put_cache
from chatvault.wire.openai.media import audio_format, data_url, file_name

Extra = Mapping[str, msgspec.Raw]


def own_extra(extra: Extra | None, origin: str | None, path: str, dropped: Dropped) -> Extra:
    """The members that only the dialect `origin` understands: all of them if it is ours, else none, and a
    report."""
    if not extra:
        return {}
    if origin == ORIGIN:
        return extra
    for name in extra:
        dropped.add(f"{path}.{name}")
    return {}


class ContentWriter:
    __slots__ = ("_caches", "_dropped")

    def __init__(self, dropped: Dropped, *, caches: bool) -> None:
        self._dropped = dropped
        self._caches = caches

    def content(self, parts: Iterable[tuple[AnyPart, str]]) -> str | list[object] | None:
        """A text where one says all, else parts; None where there is nothing. Each part comes with its path."""
        written = [part for each, path in parts if (part := self.part(each, path)) is not None]
        if len(written) == 1 and isinstance(written[0], dict) and set(written[0]) == {"type", "text"}:
            return str(written[0]["text"])
        return written or None

    def part(self, part: AnyPart, path: str) -> object | None:
        if isinstance(part, Unknown):
            if part.origin == ORIGIN:
                return part.raw
            self._dropped.add(path)
            return None
        if isinstance(part, Text):
            out: Values = {"type": "text", "text": part.text}
        elif isinstance(part, Media):
            media = self._media(part, path)
            if media is None:
                self._dropped.add(path)
                return None
            out = media
        elif isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        elif isinstance(part, Thought):
            return {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
        else:
            self._dropped.add(path)
            return None
        out.update(own_extra(part.extra, part.origin, path, self._dropped))
        put_cache(out, part.cache, path, self._dropped, caches=self._caches)
        return out

    def _media(self, part: Media, path: str) -> Values | None:
        if part.text is not None:
            if part.name:
                self._dropped.add(f"{path}.title")
            return {"type": "text", "text": part.text}
        link = part.url if part.data is None else data_url(part.mime, part.data, part.kind)
        if part.kind == "document":
            return self._document(part)
        if link is None:
            return None  # a file id; chat takes none of images, audio and video
        if part.kind == "audio":
            return _audio(part)
        name = f"{part.kind}_url"
        inner: Values = {"url": link}
        put(inner, detail=part.detail)
        return {"type": name, name: inner}

    def _document(self, part: Media) -> Values | None:
        if part.data is not None:
            name = part.name or file_name(part.mime)
            link = data_url(part.mime, part.data, "document")
            return {"type": "file", "file": {"filename": name, "file_data": link}}
        if part.url is not None:
            out: Values = {"type": "document_url", "document_url": part.url}
            put(out, document_name=part.name)
            return out if part.origin == ORIGIN else None
        if part.origin is not None and part.origin.startswith("openai."):
            return {"type": "file", "file": {"file_id": part.file}}
        return None


def _audio(part: Media) -> Values | None:
    if part.origin == ORIGIN and part.mime is None:
        # Mistral's: data or a URL, and no format (https://docs.mistral.ai/capabilities/audio/, seen 2026-11).
        return {"type": "input_audio", "input_audio": part.data or part.url}
    if part.data is None:
        return None
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": audio_format(part.mime)}}
