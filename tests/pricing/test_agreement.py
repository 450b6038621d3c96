"""On every model of the book, our exact integers agree with what the genai-prices library calculates by
itself."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices.types as theirs
import pytest
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot

from chatvault.core.money import PICO
from chatvault.core.usage import Usage
from chatvault.pricing.book import PriceBook
from chatvault.pricing.compile import FIELDS
from chatvault.pricing.price import cost

MOMENTS = (
    datetime(2024, 6, 1, 2, tzinfo=UTC),
    datetime(2025, 3, 1, 12, 15, tzinfo=UTC),
    datetime(2026, 11, 21, 7, tzinfo=UTC),
)
SPLITS = (
    Usage(input=1_000, output=500),
    Usage(input=12_345, cached=2_345, output=678, reasoning=321),
    Usage(
        input=300_001, cached=100_000, cache_write=7_000, cache_write_1h=1_000, output=4_096, reasoning=4_000
    ),
    Usage(input=200_000, output=1),
    Usage(input=272_001, output=1),
    Usage(input=5_000, input_audio=400, output=900, output_audio=800),
    Usage(input=5_000, input_image=4_000, output=1_500, output_image=1_290),
    Usage(input=100, output=100, searches=3),
)


def their_usage(usage: Usage) -> theirs.Usage:
    counts = {
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cached,
        "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "input_audio_tokens": usage.input_audio,
        "input_image_tokens": usage.input_image,
        "output_tokens": usage.output,
        "output_reasoning_tokens": usage.reasoning,
        "output_audio_tokens": usage.output_audio,
        "output_image_tokens": usage.output_image,
        "web_searches": usage.searches,
    }
    return theirs.Usage(**counts)


def cases() -> Iterator[tuple[str, str]]:
    for provider in providers:
        for model in provider.models:
            yield provider.id, model.id


def test_every_model_at_several_moments_and_usages() -> None:
    book, snapshot = PriceBook(), get_snapshot()
    compared = 0
    for provider_id, name in cases():
        try:
            provider, model = snapshot.find_provider_model(name, None, provider_id, None)
        except LookupError:
            assert book.price(provider_id, name, provider_id, 0) is None
            continue
        for moment in MOMENTS:
            price = book.price(provider_id, name, provider_id, int(moment.timestamp()) * 1_000_000)
            rates = vars(model.get_prices(moment))
            if price is None:
                measured = {key for key, value in rates.items() if value is not None and key in FIELDS}
                unmeasured = {key for key, value in rates.items() if value is not None and key not in FIELDS}
                assert unmeasured or not measured, f"{provider_id}/{name} has a price we lost"
                continue
            for usage in SPLITS:
                ours = cost(price, usage)
                if ours is None:  # they count what has no rate as 0, we as unknown
                    assert not {"input", "output", "searches"} <= price.rates.keys()
                    continue
                calculated = model.calc_price(their_usage(usage), provider, genai_request_timestamp=moment)
                exact = calculated.total_price * PICO
                assert abs(ours - exact) <= exact * Decimal("0.00001"), (provider_id, name, moment, usage)
                compared += ours == exact
    assert compared > 30_000


@pytest.mark.parametrize(
    ("provider_id", "name"),
    [
        ("openai", "GPT-4o-Mini"),
        ("openai", "gpt-4o-2024-08-06"),
        ("openai", "gpt-4o-20240806"),  # as some routers write the date
        ("openai", "gpt-5-mini-2025-08-07"),
        ("azure", "gpt-4o"),
        ("azure", "claude-sonnet-4-5"),  # by Azure's fallback to Anthropic
        ("google", "claude-sonnet-4-5"),
        ("openrouter", "openai/gpt-4o-mini"),
        ("mistral", "mistral-small-latest"),
        ("openai", "gpt-4o-20240231"),  # a date there is not
        ("openai", "claude-sonnet-4-5"),
    ],
)
def test_names_lead_to_the_same_model(provider_id: str, name: str) -> None:
    price = PriceBook().price(provider_id, name, "mine", int(MOMENTS[-1].timestamp()) * 1_000_000)
    try:
        _, model = get_snapshot().find_provider_model(name, None, provider_id, None)
    except LookupError:
        assert price is None
    else:
        assert price is not None
        assert price.model == model.id
