"""Invoices: what was used, what it costs a million, and the page that says so."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from chatvault.core.clock import from_iso
from chatvault.core.money import dollars
from chatvault.core.usage import Usage
from chatvault.pricing.book import PriceBook
from chatvault.pricing.price import Price, cost

Bill = Callable[..., str | None]
NOON = "2026-11-21T12:00:00Z"


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook()


@pytest.fixture
def bill(book: PriceBook) -> Bill:
    def written(provider: str, model: str, usage: Usage, at: str = NOON) -> str | None:
        amount = cost(priced(book, provider, model, at), usage)
        return None if amount is None else dollars(amount)

    return written


def priced(book: PriceBook, provider: str, model: str, at: str = NOON) -> Price:
    price = book.price(provider, model, provider, from_iso(at))
    assert price is not None
    return price


def test_gpt_4o_mini_chat(bill: Bill) -> None:
    """https://platform.openai.com/docs/pricing: 0.15 $ input, 0.075 $ cached input, 0.60 $ output."""
    assert bill("openai", "gpt-4o-mini", Usage(input=1_000, output=500)) == "0.00045"
    assert bill("openai", "gpt-4o-mini", Usage(input=1_000, cached=400, output=500)) == "0.00042"
    assert bill("openai", "gpt-4o-mini", Usage(input=1)) == "0.00000015"
    assert bill("openai", "gpt-4o-mini", Usage()) == "0.00"


def test_reasoning_is_part_of_the_output(bill: Bill) -> None:
    """https://platform.openai.com/docs/pricing: gpt-5, 1.25 $ input, 10 $ output, reasoning tokens as
    output."""
    assert bill("openai", "gpt-5", Usage(input=10_000, output=3_000, reasoning=2_500)) == "0.0425"


def test_reasoning_with_a_rate_of_its_own(bill: Bill) -> None:
    """https://docs.perplexity.ai/docs/getting-started/pricing: deep research, 2 $ input, 8 $ output, 3 $
    reasoning."""
    used = Usage(input=1_000_000, output=1_000_000, reasoning=900_000)
    assert bill("openrouter", "perplexity/sonar-deep-research", used) == "5.50"  # 2 + 0.1 x 8 + 0.9 x 3


def test_embeddings_have_no_output(bill: Bill) -> None:
    """https://platform.openai.com/docs/pricing: text-embedding-3-small, 0.02 $."""
    assert bill("openai", "text-embedding-3-small", Usage(input=8_000)) == "0.00016"
    assert bill("openai", "text-embedding-3-small", Usage(input=8_000, output=1)) is None


def test_cache_writes_of_both_lifetimes(bill: Bill) -> None:
    """https://www.anthropic.com/pricing#api: Sonnet 4.5, 3 $ input, 3.75 $ and 6 $ writes, 0.30 $ reads, 15 $
    output."""
    used = Usage(input=100_000, cached=50_000, cache_write=20_000, cache_write_1h=10_000, output=2_000)
    # 20,000 plain 0.06, 50,000 read 0.015, 20,000 written 0.075, 10,000 for an hour 0.06, output 0.03
    assert bill("anthropic", "claude-sonnet-4-5", used) == "0.24"


def test_a_tier_is_for_the_whole_call(bill: Bill) -> None:
    """https://ai.google.dev/gemini-api/docs/pricing: Gemini 2.5 Pro, 1.25 $ / 10 $, above 200k of prompt 2.50
    $ / 15 $."""
    assert bill("google", "gemini-2.5-pro", Usage(input=200_000, output=1_000)) == "0.26"
    assert bill("google", "gemini-2.5-pro", Usage(input=200_001, output=1_000)) == "0.5150025"
    assert bill("google", "gemini-2.5-pro", Usage(input=200_001, cached=100_001, output=0)) == "0.27500025"


def test_audio_has_its_own_price_and_is_not_text_as_well(bill: Bill) -> None:
    """https://platform.openai.com/docs/pricing: gpt-realtime, text 4 $ / 16 $, audio 32 $ / 64 $, cached 0.40
    $."""
    used = Usage(input=10_000, input_audio=8_000, output=2_000, output_audio=1_500)
    assert bill("openai", "gpt-realtime", used) == "0.368"  # 0.008 + 0.256, 0.008 + 0.096


def test_images_in_and_cached_images(bill: Bill) -> None:
    """https://platform.openai.com/docs/pricing: gpt-image-1, text 5 $ (cached 1.25 $), image 10 $ (2.50 $),
    output 40 $."""
    used = Usage(input=1_000, cached=600, input_image=900, output=4_000)
    # 900 images leave 100 text: these are cached first, so 500 of the cached are images. 400 images at full
    # price.
    assert bill("openai", "gpt-image-1", used) == "0.165375"  # 0.000125 + 0.00125 + 0.004 + 0.16


def test_a_fee_for_each_call(bill: Bill) -> None:
    """https://docs.perplexity.ai/docs/getting-started/pricing: Sonar Pro, 3 $ / 15 $, and 14 $ for 1,000
    requests."""
    assert bill("perplexity", "sonar-pro", Usage(input=1_000, output=1_000)) == "0.032"


def test_web_searches(bill: Bill) -> None:
    """https://platform.openai.com/docs/pricing: 10 $ for 1,000 searches."""
    assert bill("openai", "gpt-4o-mini", Usage(input=1_000, output=500, searches=2)) == "0.02045"
    assert (
        bill("groq", "llama-3.3-70b-versatile", Usage(input=1, searches=1)) is None
    )  # nobody says what it costs


def test_a_price_that_changed(bill: Bill) -> None:
    """https://api-docs.deepseek.com/quick_start/pricing: V4 Pro, from 0.435 $ / 0.87 $ to 0.66 $ / 1.98 $ on
    2026-08-17."""
    used = Usage(input=1_000_000, output=1_000_000)
    assert bill("deepseek", "deepseek-v4-pro", used, "2026-08-16T23:59:59Z") == "1.305"
    assert bill("deepseek", "deepseek-v4-pro", used, "2026-08-17T00:00:00Z") == "2.64"


def test_a_price_by_the_time_of_day(bill: Bill) -> None:
    """https://api-docs.deepseek.com/quick_start/pricing: V4 Pro costs double from 1:00 to 4:00 and 6:00 to
    10:00 UTC."""
    used = Usage(input=1_000_000, output=1_000_000)
    for at, due in {
        "00:59": "2.64",
        "01:00": "5.28",
        "03:59": "5.28",
        "04:00": "2.64",
        "09:59": "5.28",
    }.items():
        assert bill("deepseek", "deepseek-v4-pro", used, f"2026-11-21T{at}:30Z") == due, at


def test_free_is_a_price_and_unknown_is_none(book: PriceBook, bill: Bill) -> None:
    """https://openrouter.ai/docs: models that end in `:free` cost nothing. Whisper is charged by the minute
    of sound."""
    assert bill("openrouter", "deepseek/deepseek-r1:free", Usage(input=5, output=7)) == "0.00"
    assert book.price("openai", "whisper-1", "openai", from_iso(NOON)) is None
    assert book.price("openai", "no-such-model", "openai", from_iso(NOON)) is None


def test_a_billion_calls_are_exact(bill: Bill, book: PriceBook) -> None:
    one = cost(priced(book, "openai", "gpt-4o-mini"), Usage(input=1_001, cached=7, output=333))
    assert one is not None
    assert Decimal(dollars(one * 10**9)) == Decimal(dollars(one)) * 10**9
