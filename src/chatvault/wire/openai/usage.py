"""OpenAI's usage objects, normalised once for all its dialects and the many providers that speak them.

Chat and completions count `prompt_tokens` and `completion_tokens`, the rest `input_tokens` and
`output_tokens`; both include what their details tell apart
(https://platform.openai.com/docs/api-reference/chat/object, seen 2026-11).
"""

from decimal import ROUND_CEILING, Decimal
from typing import Final, TypeVar

import msgspec

from chatvault.core.money import PICO
from chatvault.core.usage import Usage

Count = int | float | None


class InputDetails(msgspec.Struct, gc=False):
    cached_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_write_tokens: Count = None
    cache_creation_tokens: Count = None
    cache_creation_input_tokens: Count = None
    """Anthropic's names, as Hugging Face's router passes them on (seen in recorded answers, 2026-11)."""
    audio_tokens: Count = None
    image_tokens: Count = None


class OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count = None
    audio_tokens: Count = None
    image_tokens: Count = None


class CostParts(msgspec.Struct, gc=False):
    """Perplexity's cost, in US dollars (https://docs.perplexity.ai/api-reference/chat-completions-post, seen
    2026-11).
    """

    total_cost: Decimal | None = None


class CostDetails(msgspec.Struct, gc=False):
    upstream_inference_cost: Decimal | None = None


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
    input_token_details: InputDetails | None = None
    """Transcriptions write it so (https://platform.openai.com/docs/api-reference/audio/json-object, seen
    2026-11).
    """
    prompt_cache_hit_tokens: Count = None
    """DeepSeek's name (https://api-docs.deepseek.com/api/create-chat-completion, seen 2026-11)."""
    num_cached_tokens: Count = None
    cached_tokens: Count = None
    """Moonshot's and Together's place for it (seen in recorded answers, 2026-11)."""
    cache_creation_input_tokens: Count = None
    reasoning_tokens: Count = None
    """Together's place for it, counted in `completion_tokens` (seen in recorded answers, 2026-11)."""
    num_search_queries: Count = None
    """Perplexity's (https://docs.perplexity.ai/api-reference/chat-completions-post, seen 2026-11)."""
    cost: Decimal | CostParts | None = None
    """What OpenRouter charged, in US dollars (https://openrouter.ai/docs/use-cases/usage-accounting, seen
    2026-11).
    """
    is_byok: bool | None = None
    """The provider behind OpenRouter charges the account's own key, beside `cost`."""
    cost_details: CostDetails | None = None
    cost_in_usd_ticks: Count = None
    """xAI's: 10^-10 dollars (https://docs.x.ai/docs/models, seen 2026-11)."""


_NESTED: Final[dict[str, type[InputDetails | OutputDetails | CostParts | CostDetails]]] = {
    "prompt_tokens_details": InputDetails,
    "input_tokens_details": InputDetails,
    "input_token_details": InputDetails,
    "completion_tokens_details": OutputDetails,
    "output_tokens_details": OutputDetails,
    "cost": CostParts,
    "cost_details": CostDetails,
}
_NO_INPUT: Final = InputDetails()
_NO_OUTPUT: Final = OutputDetails()
_MOST: Final = 1 << 48
"""More tokens than any call has; what claims more is not believed beyond it, so that sums stay within 64
bits.
"""
_DEAREST: Final = 1_000_000
"""Dollars a single call may be said to have cost."""
S = TypeVar("S", bound=msgspec.Struct)


def normalise(shape: UsageShape) -> Usage | None:
    """The usage in our terms; None if the object counts nothing (audio by the second, for one)."""
    prompt = shape.prompt_tokens if shape.prompt_tokens is not None else shape.input_tokens
    completion = shape.completion_tokens if shape.completion_tokens is not None else shape.output_tokens
    if prompt is None and completion is None and shape.total_tokens is None:
        return None
    inside = (
        shape.prompt_tokens_details or shape.input_tokens_details or shape.input_token_details or _NO_INPUT
    )
    outside = shape.completion_tokens_details or shape.output_tokens_details or _NO_OUTPUT
    given = _count(completion) if completion is not None else 0
    taken = _count(prompt) if prompt is not None else max(_count(shape.total_tokens) - given, 0)
    thought = outside.reasoning_tokens or shape.reasoning_tokens
    reasoning = _count(thought) if thought else 0
    if reasoning and (_count(shape.total_tokens) == taken + given + reasoning or reasoning > given):
        # Some count reasoning beside completion_tokens: xAI (https://docs.x.ai/docs/guides/reasoning, seen 2026-11),
        # and OpenRouter for Gemini, whose total leaves it out while its cost does not (recorded answers, 2025).
        given += reasoning
    cached = (
        inside.cached_tokens
        or inside.cache_read_input_tokens
        or shape.prompt_cache_hit_tokens
        or shape.num_cached_tokens
        or shape.cached_tokens
    )
    written = (
        inside.cache_write_tokens
        or inside.cache_creation_tokens
        or inside.cache_creation_input_tokens
        or shape.cache_creation_input_tokens
    )
    return Usage(
        input=taken,
        cached=min(_count(cached), taken) if cached else 0,
        cache_write=min(_count(written), taken) if written else 0,
        input_audio=min(_count(inside.audio_tokens), taken) if inside.audio_tokens else 0,
        input_image=min(_count(inside.image_tokens), taken) if inside.image_tokens else 0,
        output=given,
        reasoning=min(reasoning, given) if reasoning else 0,
        output_audio=min(_count(outside.audio_tokens), given) if outside.audio_tokens else 0,
        output_image=min(_count(outside.image_tokens), given) if outside.image_tokens else 0,
        searches=_count(shape.num_search_queries) if shape.num_search_queries else 0,
    )


def _count(value: Count) -> int:
    if type(value) is int and 0 <= value <= _MOST:
        return value
    if not value or value != value:  # a NaN may come as a string
        return 0
    return int(min(max(value, 0), _MOST))


def reported_cost(shape: UsageShape) -> int | None:
    """Pico-dollars that the provider itself says were charged, rounded up; None if it says nothing."""
    if shape.cost is None and shape.cost_in_usd_ticks is None:
        return None
    dollars = shape.cost.total_cost if isinstance(shape.cost, CostParts) else shape.cost
    cost = _pico(dollars)
    if cost is None:
        return _count(shape.cost_in_usd_ticks) * (PICO // 10**10) if shape.cost_in_usd_ticks else None
    if shape.is_byok and shape.cost_details is not None:
        cost += _pico(shape.cost_details.upstream_inference_cost) or 0
    return cost


def _pico(dollars: Decimal | None) -> int | None:
    if dollars is None or not dollars.is_finite() or not 0 <= dollars <= _DEAREST:
        return None
    return int((dollars * PICO).to_integral_value(ROUND_CEILING))


def lenient_shape(raw: msgspec.Raw) -> UsageShape | None:
    """What can be read of a usage object with members of unheard-of shapes, each by itself; None if it is no
    object.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return _lenient(value, UsageShape) if isinstance(value, dict) else None


def _lenient(value: dict[str, object], kind: type[S]) -> S:
    shape = kind()
    for field in msgspec.structs.fields(kind):
        found = value.get(field.name)
        if isinstance(found, dict) and field.name in _NESTED:
            setattr(shape, field.name, _lenient(found, _NESTED[field.name]))
        elif found is not None and not isinstance(found, bool):
            try:
                setattr(shape, field.name, msgspec.convert(found, field.type, strict=False))
            except msgspec.ValidationError:
                continue
    return shape
