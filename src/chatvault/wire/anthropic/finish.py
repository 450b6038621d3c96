"""Why an answer ended: Anthropic's `stop_reason` and the hub's reason, by one table both ways
(https://docs.anthropic.com/en/api/handling-stop-reasons, seen 2026-11).
"""

from typing import Final

from chatvault.wire.hub.events import FinishReason

READ: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_full",
}
_WRITTEN: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "pause": "pause_turn",
    "refusal": "refusal",
    "content_filter": "refusal",
    "context_full": "model_context_window_exceeded",
}


def reason_of(said: str) -> FinishReason:
    """A word nobody has heard of ended the answer all the same."""
    return READ.get(said, "stop")


def word_of(reason: FinishReason, said: str | None) -> str:
    """Anthropic's word: the one it said itself, if it did."""
    if said is not None and READ.get(said) == reason:
        return said
    return _WRITTEN.get(reason, "end_turn")
