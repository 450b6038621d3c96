"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, whole or as an event of a
stream.
"""

import msgspec

from chatvault.core.errors import ChatVaultError

_encode = msgspec.json.Encoder().encode


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
