"""Images, documents, audio and video: bytes, or a place in S3. Nothing else is fetched
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html, 2026-11).
"""

import re
from base64 import b64encode
from typing import Final

from chatvault.wire.base64_text import standard_base64
from chatvault.wire.hub.parts import Media
from chatvault.wire.json_value import Values
from chatvault.wire.ollama.images import mime_of

_IMAGES: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/x-markdown": "md",
    "application/json": "txt",
}
_VIDEOS: Final = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_AUDIO: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp4": "mp4",
    "audio/ogg": "ogg",
    "audio/webm": "webm",
}
_FORMATS: Final = {"image": _IMAGES, "document": _DOCUMENTS, "audio": _AUDIO, "video": _VIDEOS}
_NOT_NAMED: Final = re.compile(r"[^A-Za-z0-9()\[\]\- ]+")
_BLANKS: Final = re.compile(r"\s+")
_PDF: Final = "JVBERi"
"""How base64 of a PDF begins."""


def media_block(part: Media, names: set[str]) -> Values | None:
    """None for what Bedrock does not take. `names` are those of the request's documents so far."""
    source = _source(part)
    if source is None:
        return None
    mime = (part.mime or "").partition(";")[0].strip().lower()
    kind = "image" if mime in _IMAGES else part.kind
    if not mime:
        mime = _sniffed(part)
    form = _FORMATS[kind].get(mime)
    if form is None and kind == "document" and mime.startswith("text/"):
        form = "txt"
    if form is None:
        return None
    inside: Values = {"format": form, "source": source}
    if kind == "document":
        inside["name"] = _name(part.name, names)
    return {kind: inside}


def _sniffed(part: Media) -> str:
    if part.text is not None:
        return "text/plain"
    if part.kind == "image" and part.data is not None:
        return mime_of(part.data)
    return "application/pdf" if (part.data or "").startswith(_PDF) else ""


def _source(part: Media) -> Values | None:
    if part.data is not None:
        return {"bytes": standard_base64(part.data)}
    if part.text is not None:
        return {"bytes": b64encode(part.text.encode(errors="replace")).decode()} if part.text else None
    if part.url is not None and part.url.startswith("s3://"):
        return {"s3Location": {"uri": part.url}}
    return None


def _name(said: str | None, names: set[str]) -> str:
    """A name in the letters that are allowed, and that no other document of the request has."""
    plain = _BLANKS.sub(" ", _NOT_NAMED.sub("-", said or "")).strip()[:180] or "document"
    name, number = plain, 1
    while name in names:
        number += 1
        name = f"{plain} {number}"
    names.add(name)
    return name
