"""Anthropic's usage, normalised and re-told.

`input_tokens` counts what was neither read from a cache nor written to one, and `output_tokens` includes
thinking (https://docs.anthropic.com/en/api/messages#response-usage, seen 2026-11). A `compaction` entry of
`iterations` is billed and is not in the totals
(https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage, seen 2026-11), so it is
added; the entries of other kinds are in the totals, or another model's.
"""

from collections.abc import Mapping
from typing import Final

from chatvault.core.usage import Usage
from chatvault.wire.json_value import Values, number_of, object_of, objects_of

_MOST: Final = 1 << 48
"""More tokens than any call has; what claims more is not believed beyond it, so that sums stay within 64
bits.
"""


def merged(earlier: Mapping[str, object], later: Mapping[str, object]) -> Values:
    """The usage of a stream: what `message_delta` says replaces what `message_start` said, null says nothing."""
    return {**earlier, **{name: value for name, value in later.items() if value is not None}}


def normalise(values: Mapping[str, object]) -> Usage | None:
    """The usage in our terms; None if the object counts nothing."""
    if number_of(values.get("input_tokens")) is None and number_of(values.get("output_tokens")) is None:
        return None
    fresh, cached, written, long = _input(values)
    output = _count(values, "output_tokens")
    thinking = _count(object_of(values.get("output_tokens_details")), "thinking_tokens")
    for each in objects_of(values.get("iterations")):
        if each.get("type") == "compaction":
            more = _input(each)
            fresh, cached, written, long = (
                fresh + more[0],
                cached + more[1],
                written + more[2],
                long + more[3],
            )
            output += _count(each, "output_tokens")
    return Usage(
        input=fresh + cached + written + long,
        cached=cached,
        cache_write=written,
        cache_write_1h=long,
        output=output,
        reasoning=min(thinking, output),
        searches=_count(object_of(values.get("server_tool_use")), "web_search_requests"),
    )


def _input(values: Mapping[str, object]) -> tuple[int, int, int, int]:
    """Fresh, read from a cache, written for five minutes, written for an hour. The total of what was written
    is the newer word than its split, which only `message_start` tells.
    """
    split = object_of(values.get("cache_creation"))
    short, long = _count(split, "ephemeral_5m_input_tokens"), _count(split, "ephemeral_1h_input_tokens")
    written = _count(values, "cache_creation_input_tokens")
    if number_of(values.get("cache_creation_input_tokens")) is not None:
        long = min(long, written)
        short = written - long
    return _count(values, "input_tokens"), _count(values, "cache_read_input_tokens"), short, long


def _count(values: Mapping[str, object], name: str) -> int:
    return min(max(number_of(values.get(name)) or 0, 0), _MOST)


def retold(usage: Usage) -> Values:
    """Usage in Anthropic's shape. Tokens of audio and images are counted there, and not told apart."""
    written = usage.cache_write + usage.cache_write_1h
    told: Values = {
        "input_tokens": max(usage.input - usage.cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output,
    }
    if usage.reasoning:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.searches:
        told["server_tool_use"] = {"web_search_requests": usage.searches, "web_fetch_requests": 0}
    return told
