"""Compiles the price book from the genai-prices package: `python -m chatvault.pricing.compile` writes
`data/genai.json`.

The only file that imports genai-prices, and nothing imports it but this command and a test. Discounts that a
call must ask for (batch, flex) are left out: a call through the gateway is priced at the standard rate.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version

import msgspec
from genai_prices.data import providers
from genai_prices.data_units import unit_data
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from chatvault.core.errors import OperatorError
from chatvault.core.money import PICO
from chatvault.pricing.book import DATA, Daily, Entry, Library, Shelf, Since, Term
from chatvault.pricing.match import AllOf, AnyOf, Clause, Contains, EndsWith, Equals, Regex, StartsWith
from chatvault.pricing.price import Tier

FIELDS = {
    "input_mtok": "input",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "cache_audio_read_mtok": "cached_audio",
    "cache_image_read_mtok": "cached_image",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
    "web_searches_kcount": "searches",
    "requests_kcount": "request",
}
"""What genai-prices calls a price, and what we call the rate."""

BESIDE = frozenset({"storage_searches_kcount"})
"""Fees of tools beside the tokens, which a usage does not count: left out."""

FREE = frozenset(
    {
        ("openai", "moderation"),  # https://platform.openai.com/docs/guides/moderation, 2025-11
        ("google", "gemma-4-26b-a4b-it"),  # https://ai.google.dev/gemini-api/docs/pricing, 2026-10
        ("google", "gemma-4-31b-it"),  # https://ai.google.dev/gemini-api/docs/pricing, 2026-10
    }
)
"""Models without any rate that are free. Without a rate and not here, a model's price is unknown."""

TOLERANCE = Decimal("0.00001")
"""How far a rate may be from a whole number of pico-dollars, as a part of it. The package carries a few
thirds of a cent and results of binary arithmetic (`0.0833333333333333`, `0.18000000000000002` a million);
they become the nearest whole."""


def compiled() -> bytes:
    """The file's content: a line a provider. Raises OperatorError for what the book cannot say exactly
    enough."""
    source = f"genai-prices {version('genai-prices')}"
    shelves = ",\n".join(
        f"{msgspec.json.encode(provider.id).decode()}:{msgspec.json.encode(_shelf(provider)).decode()}"
        for provider in providers
    )
    text = f'{{"source":{msgspec.json.encode(source).decode()},"providers":{{\n{shelves}\n}}}}\n'.encode()
    msgspec.json.decode(text, type=Library)
    return text


def _shelf(provider: Provider) -> Shelf:
    entries = tuple(_entry(provider.id, model) for model in provider.models)
    return Shelf(entries, tuple(provider.fallback_model_providers or ()))


def _entry(provider_id: str, model: ModelInfo) -> Entry:
    prices = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    free = model.id.endswith(":free") or (provider_id, model.id) in FREE
    terms = tuple(_term(f"{provider_id}/{model.id}", price, free) for price in prices)
    name = model.name if model.name and model.name.lower() != model.id.lower() else None
    return Entry(model.id, _clause(model.match), terms, model.context_window, bool(model.deprecated), name)


def _term(where: str, price: ConditionalPrice, free: bool) -> Term:
    when = _when(price.constraint)
    parts = dict(_parts(price.prices))
    if not parts:
        return Term(when, {"input": 0, "output": 0} if free else None)
    if not parts.keys() <= FIELDS.keys() | BESIDE:
        return Term(when, None)  # charged by the hour, page, character: units that a usage does not count
    rates: dict[str, int] = {}
    tiers: list[Tier] = []
    for key, value in parts.items():
        if (field := FIELDS.get(key)) is None:
            continue
        per = int(unit_data[key_unit(key)]["per"])
        if isinstance(value, TieredPrices):
            rates[field] = whole(where, value.base, per)
            # There a tier begins above its `start`, here from its threshold on.
            tiers += [(field, tier.start + 1, whole(where, tier.price, per)) for tier in value.tiers]
        else:
            rates[field] = whole(where, value, per)
    return Term(when, rates, tuple(sorted(tiers, key=lambda tier: tier[1])))


def _parts(prices: ModelPrice) -> Iterator[tuple[str, Decimal | TieredPrices]]:
    for key, value in vars(prices).items():
        if isinstance(value, Decimal | TieredPrices):
            yield key, value


def key_unit(price_key: str) -> str:
    """The unit that a price is for. Raises OperatorError where there is none."""
    for unit, facts in unit_data.items():
        if facts["price_key"] == price_key:
            return unit
    raise OperatorError(f"genai-prices has no unit for {price_key}", code="prices_unknown_unit")


def whole(where: str, dollars: Decimal, per: int) -> int:
    """Pico-dollars a unit, of dollars for `per` units. Raises OperatorError where that is not a whole number,
    nearly."""
    exact = dollars * PICO / per
    nearest = exact.to_integral_value(ROUND_HALF_EVEN)
    if abs(exact - nearest) > exact * TOLERANCE:
        raise OperatorError(
            f"{where}: {dollars} $ for {per} units is finer than a pico-dollar a unit", code="prices_too_fine"
        )
    return int(nearest)


def _when(constraint: StartDateConstraint | TimeOfDateConstraint | None) -> Since | Daily | None:
    if isinstance(constraint, StartDateConstraint):
        midnight = datetime.combine(constraint.start_date, time(), UTC)
        return Since(int(midnight.timestamp()) * 1_000_000)
    if isinstance(constraint, TimeOfDateConstraint):
        return Daily(_minute(constraint.start_time), _minute(constraint.end_time))
    return None


def _minute(moment: time) -> int:
    if moment.second or moment.microsecond or moment.utcoffset():
        raise OperatorError(f"{moment} is not a whole minute in UTC", code="prices_odd_time")
    return moment.hour * 60 + moment.minute


def _clause(match: object) -> Clause:
    match match:
        case ClauseEquals(equals=text):
            return Equals(text.lower())
        case ClauseStartsWith(starts_with=text):
            return StartsWith(text.lower())
        case ClauseEndsWith(ends_with=text):
            return EndsWith(text.lower())
        case ClauseContains(contains=text):
            return Contains(text.lower())
        case ClauseRegex(regex=text):
            return Regex(text)
        case ClauseOr(or_=clauses):
            return AnyOf(tuple(map(_clause, clauses)))
        case ClauseAnd(and_=clauses):
            return AllOf(tuple(map(_clause, clauses)))
    raise OperatorError(f"unknown clause {match!r}", code="prices_unknown_clause")


if __name__ == "__main__":
    text = compiled()
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_bytes(text)
    sys.stdout.write(f"{DATA}: {len(text)} bytes\n")
