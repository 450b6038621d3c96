"""The sizes of what was asked and of what was answered, out of the bytes of any dialect.

A request is read as JSON when, and only if, somebody needs its size: at the end of a call whose provider did
not say what it used. Until then it is kept as it is if it is small, and in samples if it is not, so that a
call under way holds little.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from chatvault.core.sizes import Letters, Sizes
from chatvault.counting.letters import ENGLISH, letters, scaled, total

KEEP: Final = 16 << 10
"""Bytes of a request that are kept at most."""
_SLICES: Final = 32
_TALK: Final = (
    "messages", "system", "input", "instructions", "contents", "systemInstruction", "system_instruction", "prompt",
    "content", "suffix",
)  # fmt: skip
_SCHEMAS: Final = ("tools", "functions", "response_format", "format", "output_config")
_CONFIGS: Final = ("generationConfig", "generation_config", "text")
_CONFIG_SCHEMAS: Final = (
    "responseSchema", "responseJsonSchema", "response_schema", "response_json_schema", "format",
)  # fmt: skip
_SILENT: Final = frozenset((
    "role", "type", "id", "tool_call_id", "tool_use_id", "call_id", "status", "signature", "thoughtSignature",
    "thought_signature", "encrypted_content", "cache_control", "media_type", "mimeType", "mime_type", "detail",
))  # fmt: skip
"""Members whose text a model is not shown as text."""
_MEDIA: Final = frozenset((
    "image_url", "url", "data", "file_data", "file_id", "fileUri", "file_uri", "images", "source", "inlineData",
    "inline_data", "input_audio", "fileData", "file_data",
))  # fmt: skip
_SAID: Final = frozenset((
    "content", "text", "arguments", "reasoning_content", "reasoning", "thinking", "refusal", "response",
    "partial_json", "args", "input",
))  # fmt: skip
_EVENT: Final = re.compile(
    rb'"(?:content|text|delta|arguments|reasoning_content|reasoning|thinking|partial_json|response)"'
    rb'\s*:\s*"((?:[^"\\]|\\.)*)"'
)
"""What an event says, as it is written."""
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"
_DEPTH: Final = 200
_TELLING: Final = 40
"""Bytes of ASCII that tell what kind of text they are of; fewer are taken for prose."""

Body = bytes | list[bytes | memoryview]


class Kept(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a request of `size` bytes: all of it, or samples."""

    data: bytes
    size: int


def keep(body: Body) -> Kept:
    """All of a small request, samples of a large one: some microseconds, and `KEEP` bytes at most."""
    size = len(body) if isinstance(body, bytes) else sum(map(len, body))
    if size <= KEEP:
        return Kept(body if isinstance(body, bytes) else b"".join(body), size)
    piece = body if isinstance(body, bytes) else max(body, key=len)
    step, width = len(piece) // _SLICES, KEEP // _SLICES
    slices = (bytes(piece[at : at + width]) for at in range(0, step * _SLICES, step))
    return Kept(b"".join(each for each in slices if not _is_base64(each)), size)


def _is_base64(slice: bytes) -> bool:
    """Whether it is of an image or a file: prose and JSON have more than a sign in fifty beside letters and digits."""
    return len(slice.translate(None, _BASE64)) * 50 < len(slice)


def asked(kept: Kept) -> Sizes:
    """The sizes of a request, by what is kept of it."""
    if len(kept.data) == kept.size:
        return measured(kept.data)
    part, whole = min(kept.size, kept.size * len(kept.data) // KEEP), len(kept.data)
    return Sizes(
        text=scaled(letters(kept.data), part, whole),
        messages=kept.data.count(b'"role"') * part // whole if whole else 0,
        sampled=True,
    )


class Texts(msgspec.Struct, frozen=True):
    """What a request says, taken apart."""

    texts: list[str]
    schemas: list[str]
    """As JSON."""
    messages: int = 0
    tools: int = 0
    media: int = 0


def texts_of(body: bytes) -> Texts | None:
    """None for what is no JSON object."""
    try:
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    texts, media = _texts({name: values[name] for name in _TALK if name in values})
    schemas = [
        values[name] for name in _SCHEMAS if isinstance(values.get(name), dict | list) and values[name]
    ]
    for config in (values.get(name) for name in _CONFIGS):
        if isinstance(config, dict):
            schemas += [config[name] for name in _CONFIG_SCHEMAS if isinstance(config.get(name), dict)]
    return Texts(
        texts=texts,
        schemas=[msgspec.json.encode(schema).decode() for schema in schemas],
        messages=_messages(values),
        tools=_length(values.get("tools")) + _length(values.get("functions")),
        media=media,
    )


def measured(body: bytes) -> Sizes:
    """The sizes of a request, by all of it. What is no JSON object is text."""
    found = texts_of(body)
    if found is None:
        return Sizes(text=letters(body))
    return Sizes(
        text=letters("\n".join(found.texts).encode(errors="replace")),
        schema=letters(",".join(found.schemas).encode(errors="replace")),
        messages=found.messages,
        tools=found.tools,
        media=found.media,
    )


def said(answer: bytes) -> Letters:
    """The sizes of a whole answer."""
    return letters("\n".join(_whole_texts(answer) or ()).encode(errors="replace"))


def said_texts(answer: bytes) -> list[str]:
    """What an answer says, whole or as the events of a stream, in whatever dialect; those of a stream as one text."""
    whole = _whole_texts(answer)
    if whole is not None:
        return whole
    return [b"".join(map(_plain, _EVENT.findall(answer))).decode(errors="replace")]


def _whole_texts(answer: bytes) -> list[str] | None:
    """None for what is not one JSON object."""
    try:
        values = msgspec.json.decode(answer)
    except (msgspec.DecodeError, RecursionError):
        return None
    return list(_spoken(values)) if isinstance(values, dict) else None


def said_in_events(events: int, size: int, sample: bytes) -> Letters:
    """The sizes of what so many events said, which had `size` bytes. `sample` are some of them: they tell how much of
    an event is its frame, and what letters there are."""
    texts = _EVENT.findall(sample)
    held = sum(map(len, texts))
    frames = (len(sample) - held) * events // max(len(texts), 1)
    content = max(size - frames, 0)
    text = b"".join(map(_plain, texts))
    if len(text) < _TELLING and text.isascii():
        return scaled(ENGLISH, content, total(ENGLISH))
    return scaled(letters(text), content, held)


def _plain(text: bytes) -> bytes:
    """A JSON string's text, without escapes."""
    if b"\\" not in text:
        return text
    try:
        found: str = msgspec.json.decode(b'"' + text + b'"')
    except msgspec.DecodeError:
        return text
    return found.encode(errors="replace")


def _texts(values: Any) -> tuple[list[str], int]:
    """All texts in what was asked, and how many images, sounds and files there are."""
    texts, media = [], 0
    for key, text in _strings(values, "", 0):
        if key in _MEDIA:
            media += 1
        elif key not in _SILENT:
            texts.append(text)
    return texts, media


def _spoken(values: Any) -> Iterator[str]:
    for key, text in _strings(values, "", 0):
        if key in _SAID:
            yield text


def _strings(value: Any, key: str, depth: int) -> Iterator[tuple[str, str]]:
    """Texts with the name of the member they stand in; objects that are a tool's input or output as JSON."""
    if isinstance(value, str):
        yield key, value
    elif depth > _DEPTH:
        return
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in ("input", "args", "response", "arguments") and isinstance(each, dict):
                yield name, msgspec.json.encode(each).decode()
            else:
                yield from _strings(each, key if name in ("uri", "b64_json") else name, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each, key, depth + 1)


def _messages(values: dict[str, Any]) -> int:
    lists = (values.get(name) for name in ("messages", "input", "contents"))
    counts = sum(len(each) for each in lists if isinstance(each, list))
    systems = ("system", "instructions", "systemInstruction", "system_instruction")
    return max(counts, 1) + sum(1 for name in systems if values.get(name))


def _length(value: object) -> int:
    return len(value) if isinstance(value, list) else 0
