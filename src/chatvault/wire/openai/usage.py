"""OpenAI's usage objects, normalised once for all its dialects and the many providers that speak them.

Chat and completions count `prompt_tokens` and `completion_tokens`, the rest `input_tokens` and `output_tokens`; both include what their
details tell apart (https://platform.openai.com/docs/api-reference/chat/object, seen 2026-11).
"""

from decimal import Decimal
from typing import Final

import msgspec

from chatvault.core.money import PICO
from chatvault.core.usage import Usage

Count = int | float | None


class InputDetails(msgspec.Struct, gc=False):
    cached_tokens: Count = None
    cache_write_tokens: Count = None
    cache_creation_tokens: Count = None
    audio_tokens: Count = None
    image_tokens: Count = None


class OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count = None
    audio_tokens: Count = None
    image_tokens: Count = None


class UsageShape(msgspec.Struct, gc=False):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    input_tokens: Count = None
    output_tokens: Count = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: Count = None
    """DeepSeek's name for cached tokens (https://api-docs.deepseek.com/api/create-chat-completion, seen 2026-11)."""
    num_cached_tokens: Count = None
    cost: Decimal | None = None
    """What OpenRouter charged, in US dollars (https://openrouter.ai/docs/use-cases/usage-accounting, seen 2026-11)."""


_NO_INPUT: Final = InputDetails()
_NO_OUTPUT: Final = OutputDetails()


def normalise(shape: UsageShape) -> Usage | None:
    """The usage in our terms; None if the object counts nothing (audio by the second, for one)."""
    prompt = shape.prompt_tokens if shape.prompt_tokens is not None else shape.input_tokens
    completion = shape.completion_tokens if shape.completion_tokens is not None else shape.output_tokens
    if prompt is None and completion is None and shape.total_tokens is None:
        return None
    inside = shape.prompt_tokens_details or shape.input_tokens_details or _NO_INPUT
    outside = shape.completion_tokens_details or shape.output_tokens_details or _NO_OUTPUT
    taken = int(prompt if prompt is not None else (shape.total_tokens or 0) - (completion or 0))
    given, reasoning = int(completion or 0), int(outside.reasoning_tokens or 0)
    if reasoning and shape.total_tokens == taken + given + reasoning:
        # xAI counts reasoning beside completion_tokens (https://docs.x.ai/docs/guides/reasoning, seen 2026-11).
        given += reasoning
    cached = inside.cached_tokens or shape.prompt_cache_hit_tokens or shape.num_cached_tokens or 0
    return Usage(
        max(taken, 0),
        int(cached),
        int(inside.cache_write_tokens or inside.cache_creation_tokens or 0),
        0,
        int(inside.audio_tokens or 0),
        int(inside.image_tokens or 0),
        max(given, 0),
        reasoning,
        int(outside.audio_tokens or 0),
        int(outside.image_tokens or 0),
    )


def reported_cost(shape: UsageShape) -> int | None:
    """Pico-dollars that the provider itself says it charged, rounded up; None if it says nothing."""
    if shape.cost is None or not shape.cost.is_finite() or shape.cost < 0:
        return None
    return -int(-shape.cost * PICO // 1)
