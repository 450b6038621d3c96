"""Images, files and audio as OpenAI's dialects write them: a URL that may hold the data, a file id, or data
with a format."""

import re
from typing import Final, Literal

_DATA_URL: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?);base64,", re.IGNORECASE)
_AUDIO: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "mp4": "m4a", "x-m4a": "m4a"}
"""Formats of audio by the second half of a media type, where they differ."""
_TYPES: Final = {"mp3": "audio/mpeg", "m4a": "audio/mp4"}
_ENDINGS: Final = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
}

Kind = Literal["image", "document", "audio", "video"]


def split_url(url: str) -> tuple[str | None, str | None, str | None]:
    """Media type, base64 data and URL: data for a `data:` URL, else the URL."""
    found = _DATA_URL.match(url)
    if found is None:
        return None, None, url
    return found[1] or None, url[found.end() :], None


def data_url(mime: str | None, data: str, kind: Kind = "image") -> str:
    fallback = {
        "image": "image/png",
        "document": "application/pdf",
        "audio": "audio/wav",
        "video": "video/mp4",
    }
    return f"data:{mime or fallback[kind]};base64,{data}"


def audio_type(format: str) -> str:
    return _TYPES.get(format, f"audio/{format}")


def audio_format(mime: str | None) -> str:
    name = (mime or "audio/wav").partition("/")[2].partition(";")[0]
    return _AUDIO.get(name, name)


def file_name(mime: str | None) -> str:
    """A name for a file that came without one, since OpenAI wants one beside the data."""
    return f"file.{_ENDINGS.get(mime or '', 'pdf')}"
