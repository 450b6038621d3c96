"""Why an answer ended
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, 2026-11).
"""

from typing import Final

from chatvault.wire.hub.events import FinishReason

READ: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "model_context_window_exceeded": "context_full",
}


def reason_of(said: str) -> FinishReason:
    """A word nobody has heard of ended the answer all the same."""
    return READ.get(said, "stop")
