"""Bedrock's usage, normalised.

`inputTokens` counts what was neither read from a cache nor written to one, and the total is the sum of all
(https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html, 2026-11).
"""

from typing import Final

from chatvault.core.usage import Usage
from chatvault.wire.json_value import Values, count, objects_of

_MOST: Final = 1 << 48
"""More tokens than any call has."""


def normalise(usage: Values) -> Usage | None:
    """None if nothing is counted."""
    if usage.get("inputTokens") is None and usage.get("outputTokens") is None:
        return None
    cached, wrote = _count(usage, "cacheReadInputTokens"), _count(usage, "cacheWriteInputTokens")
    details = objects_of(usage.get("cacheDetails"))
    long = min(sum(_count(each, "inputTokens") for each in details if each.get("ttl") == "1h"), wrote)
    return Usage(
        input=_count(usage, "inputTokens") + cached + wrote,
        cached=cached,
        cache_write=wrote - long,
        cache_write_1h=long,
        output=_count(usage, "outputTokens"),
    )


def _count(values: Values, name: str) -> int:
    return min(count(values.get(name)), _MOST)
