"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, whole or as an event of a
stream.
"""

import re
from typing import Final

import msgspec

from chatvault.core.errors import ChatVaultError

_encode = msgspec.json.Encoder().encode
_STATUS: Final = re.compile(r'"(?:code|status)"\s*:\s*"?([45][0-9]{2})\b')
_ANSWERS: Final = (
    "choices", "output", "data", "content", "candidates", "response", "results", "embeddings", "embedding", "text",
)  # fmt: skip
"""Members that hold what a model said, in any dialect."""


def error_body(error: ChatVaultError) -> bytes:
    return _encode(
        {"error": {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}}
    )


def error_event(error: ChatVaultError, dialect: str) -> bytes:
    """The event that tells a client, in the middle of its stream, that the answer is not whole."""
    if dialect == "openai.responses":
        body = _encode(
            {
                "type": "error",
                "code": error.code,
                "message": error.message,
                "param": error.param,
                "sequence_number": 0,
            }
        )
        return b"event: error\ndata: " + body + b"\n\n"
    return b"data: " + error_body(error) + b"\n\n"


def error_text(body: bytes) -> str | None:
    """The message in a provider's error answer, whatever its shape; None if it has none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    for name in ("error", "message", "detail"):
        if isinstance(value, list) and value:
            value = value[0]  # Gemini's errors, and FastAPI's
        if isinstance(value, dict) and name in value:
            value = value[name]
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("message", value.get("msg"))
    return value if isinstance(value, str) else None


def status_in(error: str) -> int:
    """The status that an error inside an answer names; 502 if it names none."""
    match = _STATUS.search(error)
    return int(match[1]) if match else 502


def is_only_error(body: bytes) -> bool:
    """Whether an answer is an error and nothing else, whatever its dialect. An object that names its kind is an answer
    that failed: its reader knows where to look.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return False
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, dict) and _is_error(each) for each in value)
    return isinstance(value, dict) and _is_error(value)


def _is_error(value: dict[str, object]) -> bool:
    kinds = {value.get("object"), value.get("type")} if _are_texts(value) else set()
    if not (value.get("error") or "error" in kinds) or kinds - {None, "error"}:
        return False
    return not any(value.get(name) for name in _ANSWERS) and not isinstance(value.get("message"), dict)


def _are_texts(value: dict[str, object]) -> bool:
    return all(isinstance(value.get(name), str | None) for name in ("object", "type"))
