"""What a provider of the chat dialect takes, where that differs from OpenAI."""

import re
from typing import Final, Literal

import msgspec

_NEW_MODELS: Final = re.compile(r"(?:^|/)(?:o[1-9]|gpt-[5-9])")
"""Models that refuse `max_tokens` (https://platform.openai.com/docs/guides/reasoning, seen 2026-11)."""


class ChatQuirks(msgspec.Struct, frozen=True, kw_only=True):
    max_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """None: by the model's name, since OpenAI's newer models know one only and many other providers the
    other only."""
    caches: bool = False
    """It takes `cache_control` markers, as OpenRouter does."""
    top_k: bool = False
    stream_usage: bool = True
    """It takes `stream_options.include_usage`."""
    thoughts: bool = True
    """It takes thoughts back, as `reasoning_content` and `reasoning_details`."""
    refuses: frozenset[str] = frozenset()
    """Top-level fields it answers with an error."""

    def bound_of(self, model: str) -> str:
        """The field that bounds the answer."""
        if self.max_field is not None:
            return self.max_field
        return "max_completion_tokens" if _NEW_MODELS.search(model) else "max_tokens"
