"""Reasoning effort in words, and in tokens: one table for all dialects.

Providers that take a budget ask for at least 1,024 tokens
(https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking, seen 2026-11); the steps between are
those of the OpenAI-compatible endpoints of Gemini (https://ai.google.dev/gemini-api/docs/openai#thinking,
seen 2026-11).
"""

from typing import Final

_BUDGETS: Final = {
    "none": 0,
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 64_000,
}
_WORDS: Final = ((0, "none"), (1_024, "low"), (8_192, "medium"), (24_576, "high"), (32_768, "xhigh"))


def budget_of(effort: str) -> int | None:
    """Tokens for a word; None for one that is not known."""
    return _BUDGETS.get(effort)


def effort_of(budget: int) -> str:
    """The smallest word that covers a budget in tokens."""
    return next((word for most, word in _WORDS if budget <= most), "max")
