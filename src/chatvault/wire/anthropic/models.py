"""What a request may hold for which model, where it differs by the model's version.

From https://platform.claude.com/docs/en/build-with-claude (extended-thinking, adaptive-thinking, effort,
structured-outputs, mid-conversation-system-messages) and
https://platform.claude.com/docs/en/about-claude/models/overview, seen 2026-11:

- thoughts with a budget from 3.7 on; adaptive ones from 4.6 on (from 4.7 on nothing else);
- structured output from 4.1 on;
- messages of role `system` behind others: Opus from 4.8 on;
- the most output tokens: 4,096 up to 3, 8,192 with 3.5, 32,000 or more since.
"""

import re
from functools import lru_cache
from typing import Final, Literal

import msgspec

_VERSION: Final = re.compile(r"claude-(?:([a-z]+)-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?(?!\d)")


class ModelFacts(msgspec.Struct, frozen=True, gc=False):
    """`thinking`: how it is asked for. `max_output`: what is asked for when the client sets no bound, since
    this API demands one.
    """

    thinking: Literal["none", "budget", "adaptive"]
    xhigh: bool
    structured: bool
    system_turns: bool
    max_output: int


_NEWEST: Final = ModelFacts("adaptive", True, True, False, 32_000)
_STRANGER: Final = ModelFacts("budget", False, False, False, 8_192)
"""A model of somebody else who speaks this API: what most of them understand."""


def model_facts(model: str) -> ModelFacts:
    """By the name alone, with whatever prefix and suffix a cloud gives it."""
    if "claude" not in model:
        return _STRANGER
    return _remembered(model) if len(model) <= _REMEMBERED else _claude(model)


_REMEMBERED: Final = 256
"""Characters of a name whose facts may be kept; a client's can be as long as its body."""


def _claude(model: str) -> ModelFacts:
    found = _VERSION.search(model)
    if found is None:
        return _NEWEST
    version = (int(found[2]), int(found[3] or 0))
    return ModelFacts(
        "adaptive" if version >= (4, 6) else "budget" if version >= (3, 7) else "none",
        version >= (4, 7),
        version >= (4, 1),
        found[1] == "opus" and version >= (4, 8),
        32_000 if version >= (3, 7) else 8_192 if version >= (3, 5) else 4_096,
    )


_remembered: Final = lru_cache(maxsize=128)(_claude)
