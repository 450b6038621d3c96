"""Why an answer ended: OpenAI's words and those of the providers that speak its dialect, by one table."""

from typing import Final

from chatvault.wire.hub.events import FinishReason

READ: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # Together: https://docs.together.ai/reference/chat-completions-1, seen 2026-11
    "eos": "stop",
    # Mistral: https://docs.mistral.ai/api/, seen 2026-11
    "model_length": "context_full",
    # DeepSeek: https://api-docs.deepseek.com/api/create-chat-completion, seen 2026-11
    "insufficient_system_resource": "error",
    # Z.ai: https://docs.z.ai/api-reference/llm/chat-completion, seen 2026-11
    "sensitive": "content_filter",
    "network_error": "error",
    "model_context_window_exceeded": "context_full",
    # OpenRouter: https://openrouter.ai/docs/api-reference/overview, seen 2026-11
    "error": "error",
    # What routers let through of other dialects.
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "abort": "error",
}
"""A word that is not here is read as `stop`, and kept as what was said."""

WRITTEN: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "stop_sequence": "stop",
    "pause": "stop",
    "context_full": "length",
    "error": "error",
}
