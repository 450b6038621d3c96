"""The compiled price book is what the locked package says, and the compiler refuses what it cannot say
exactly enough."""

from datetime import time
from decimal import Decimal

import pytest
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ConditionalPrice,
    ModelPrice,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from chatvault.core.errors import OperatorError
from chatvault.pricing.book import DATA, Daily, Term
from chatvault.pricing.compile import _clause, _term, _when, compiled, key_unit, whole
from chatvault.pricing.match import AnyOf, Equals


def test_the_file_is_what_the_locked_package_gives_now() -> None:
    """If this fails after an upgrade of genai-prices: run `make prices`, and read the diff as one reads a
    price list."""
    assert compiled() == DATA.read_bytes()


def test_a_rate_is_a_whole_number_of_pico_dollars() -> None:
    assert whole("gpt-4o-mini", Decimal("0.15"), 1_000_000) == 150_000
    assert whole("web search", Decimal(10), 1_000) == 10_000_000_000
    assert whole("a third of a cent", Decimal("0.0833333333333333"), 1_000_000) == 83_333
    assert whole("binary dust", Decimal("0.18000000000000002"), 1_000_000) == 180_000


def test_a_rate_finer_than_a_pico_dollar_is_an_error() -> None:
    with pytest.raises(OperatorError, match=r"cheap/model: 0\.0000015 \$ for 1000000 units is finer"):
        whole("cheap/model", Decimal("0.0000015"), 1_000_000)


def test_what_is_charged_by_the_hour_has_no_price_here() -> None:
    by_the_hour = ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1), audio_hours=Decimal("0.24")))
    assert _term("mistral/voxtral", by_the_hour, free=False) == Term(None, None)


def test_no_rate_at_all_is_unknown_unless_it_is_known_to_be_free() -> None:
    silent = ConditionalPrice(prices=ModelPrice())
    assert _term("x/gone", silent, free=False).rates is None
    assert _term("x/y:free", silent, free=True).rates == {"input": 0, "output": 0}


def test_a_tier_begins_above_its_start() -> None:
    tiered = TieredPrices(base=Decimal("1.25"), tiers=[Tier(start=200_000, price=Decimal("2.5"))])
    term = _term("google/gemini", ConditionalPrice(prices=ModelPrice(input_mtok=tiered)), free=False)
    assert term == Term(None, {"input": 1_250_000}, (("input", 200_001, 2_500_000),))


def test_a_daily_time_is_in_minutes_of_utc() -> None:
    assert _when(TimeOfDateConstraint(start_time=time(0, 30), end_time=time(16, 30))) == Daily(30, 990)
    with pytest.raises(OperatorError, match="whole minute"):
        _when(TimeOfDateConstraint(start_time=time(0, 0, 1), end_time=time(1)))


def test_clauses_and_units_that_nobody_knows_are_errors() -> None:
    assert _clause(ClauseOr(or_=[ClauseEquals(equals="GPT-4o")])) == AnyOf((Equals("gpt-4o"),))
    with pytest.raises(OperatorError, match="unknown clause"):
        _clause("gpt-4o")
    with pytest.raises(OperatorError, match="no unit"):
        key_unit("smell_mtok")
