"""Why an answer ended: one table for both ways (https://ai.google.dev/api/generate-content#FinishReason,
seen 2026-11).
"""

from typing import Final

from chatvault.wire.hub.events import Finished, FinishReason

_READ: Final[dict[str, FinishReason]] = {
    "FINISH_REASON_UNSPECIFIED": "stop",
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "CONTINUATION": "pause",
    "LANGUAGE": "error",
    "OTHER": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
}
_NUMBERED: Final = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "BLOCKLIST",
    7: "PROHIBITED_CONTENT",
    8: "SPII",
    9: "MALFORMED_FUNCTION_CALL",
    10: "MODEL_ARMOR",
}
"""As Vertex AI numbers them for clients that ask for numbers (`enum-encoding=int`; googleapis,
aiplatform/v1/content.proto, seen 2026-11).
"""
_WRITTEN: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "context_full": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
    "error": "OTHER",
}
_BLOCKED: Final = "promptFeedback.blockReason="


def said(value: object) -> str | None:
    """The reason's name; None where there is none yet."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _NUMBERED.get(value, str(value)) if value else None
    return value if isinstance(value, str) and value else None


def finished(name: str, choice: int, *, called: bool, detail: str | None = None) -> Finished:
    """`called`: the choice holds tool calls, which Gemini ends with `STOP` like all else. `detail` is its own
    explanation."""
    reason = _READ.get(name, "error")
    if reason == "stop":
        return Finished(reason="tool_calls" if called else "stop", said=name, choice=choice)
    return Finished(reason=reason, said=name, choice=choice, detail=detail)


def blocked(reason: str) -> Finished:
    """The prompt was refused: there is no candidate at all."""
    return Finished(reason="content_filter", said=f"{_BLOCKED}{reason}")


def block_reason(event: Finished) -> str | None:
    """The reason the prompt was refused for, where it was."""
    told = event.said or ""
    return told.removeprefix(_BLOCKED) if told.startswith(_BLOCKED) else None


def written(event: Finished) -> str:
    return event.said if event.said in _READ else _WRITTEN[event.reason]
