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
    said = {name: value for name, value in later.items() if value is not None}
    return {**earlier, **said} if earlier else said


def normalise(values: Mapping[str, object]) -> Usage | None:
    """The usage in our terms; None if the object counts nothing."""
    if number_of(values.get("input_tokens")) is None and number_of(values.get("output_tokens")) is None:
        return None
    fresh, cached, written, long = _input(values)
    output = _count(values, "output_tokens")
    if "iterations" in values:
        for each in objects_of(values["iterations"]):
            if each.get("type") == "compaction":
                more = _input(each)
                fresh, cached, written, long = (
                    fresh + more[0],
                    cached + more[1],
                    written + more[2],
                    long + more[3],
                )
                output += _count(each, "output_tokens")
    thinking = searches = 0
    if "output_tokens_details" in values:
        thinking = _count(object_of(values["output_tokens_details"]), "thinking_tokens")
    if "server_tool_use" in values:
        searches = _count(object_of(values["server_tool_use"]), "web_search_requests")
    return Usage(
        input=fresh + cached + written + long,
        cached=cached,
        cache_write=written,
        cache_write_1h=long,
        output=output,
        reasoning=min(thinking, output),
        searches=searches,
    )


def _input(values: Mapping[str, object]) -> tuple[int, int, int, int]:
    """Fresh, read from a cache, written for five minutes, written for an hour. The total of what was written
    is the newer word than its split, which only `message_start` tells.
    """
    written, short, long = _count(values, "cache_creation_input_tokens"), 0, 0
    if "cache_creation" in values:
        split = object_of(values["cache_creation"])
        short, long = _count(split, "ephemeral_5m_input_tokens"), _count(split, "ephemeral_1h_input_tokens")
    if number_of(values.get("cache_creation_input_tokens")) is not None:
        long = min(long, written)
        short = written - long
    return _count(values, "input_tokens"), _count(values, "cache_read_input_tokens"), short, long


def _count(values: Mapping[str, object], name: str) -> int:
    value = values.get(name)
    if type(value) is int and 0 <= value <= _MOST:
        return value
    return min(max(number_of(value) or 0, 0), _MOST)


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
