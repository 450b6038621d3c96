"""The price book: which price holds for a model of a provider at a moment.

It reads `data/genai.json`, compiled ahead from the genai-prices package (`pricing/compile.py`), one provider
at a time and on first use, so that a worker starts fast and holds little. Lookups are cached, bounded, with
the time they hold for.
"""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec

from chatvault.pricing.match import Clause
from chatvault.pricing.price import Price, Tier, make_price

DATA = Path(__file__).parent / "data" / "genai.json"
DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
FOREVER_US = 1 << 62
MAX_NAME = 256
"""Characters of a model name; no longer one has a price."""
MAX_CACHED = 4096
"""Names come from clients, so what is remembered of them is bounded."""

_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class Since(msgspec.Struct, frozen=True, array_like=True, tag="since"):
    """Holds from this moment on, in microseconds since the epoch (a midnight, UTC)."""

    at: int

    def active(self, at_us: int) -> bool:
        return at_us >= self.at


class Daily(msgspec.Struct, frozen=True, array_like=True, tag="daily"):
    """Holds every day from one time to another, in minutes since midnight (UTC), over midnight where `end <
    start`."""

    start: int
    end: int

    def active(self, at_us: int) -> bool:
        minute = at_us % DAY_US // MINUTE_US
        if self.end < self.start:
            return minute >= self.start or minute < self.end
        return self.start <= minute < self.end


class Term(msgspec.Struct, frozen=True, array_like=True):
    """One of a model's prices and when it holds. `rates` is None where the book cannot say what a call
    costs."""

    when: Since | Daily | None
    rates: dict[str, int] | None
    tiers: tuple[Tier, ...] = ()


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A model. The last of its terms that holds is its price; if none does, the first."""

    id: str
    match: Clause
    terms: tuple[Term, ...]
    context_window: int | None = None
    deprecated: bool = False
    name: str | None = None
    """For people; None where it says no more than the id."""

    def term(self, at_us: int) -> Term:
        for term in reversed(self.terms):
            if term.when is None or term.when.active(at_us):
                return term
        return self.terms[0]

    def holds(self, at_us: int) -> tuple[int, int]:
        """A span of time around a moment in which the term cannot change, [from, until)."""
        kinds = {type(term.when) for term in self.terms}
        if Daily in kinds:
            start = at_us // MINUTE_US * MINUTE_US
            return start, start + MINUTE_US
        if Since in kinds:
            start = at_us // DAY_US * DAY_US
            return start, start + DAY_US
        return -FOREVER_US, FOREVER_US


class ModelFacts(msgspec.Struct, frozen=True):
    """What is known of a model beside its price. What the book does not say, it does not know: output limits,
    modalities, tools, dates."""

    id: str
    """In the book: a name that a client asks for may say more (a date, a variant)."""
    name: str | None
    """For people."""
    context_window: int | None
    """Tokens of input and output together."""
    deprecated: bool


class Shelf(msgspec.Struct, frozen=True, array_like=True):
    """A provider. Names it does not know are looked up in the `fallbacks`, one step far."""

    entries: tuple[Entry, ...]
    fallbacks: tuple[str, ...] = ()

    def find(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.match.matches(name)), None)


class Library(msgspec.Struct, frozen=True):
    """The compiled file."""

    source: str
    providers: dict[str, msgspec.Raw]


_Held = tuple[int, int, Price | None]


class PriceBook:
    """`overrides` are configured prices by `provider/model` (or `provider/*`, for all of its models that have
    none of their own): rates in pico-dollars a unit by usage field, and `request`. They replace a whole
    price, and hold at any time.
    """

    def __init__(
        self, overrides: Mapping[str, dict[str, int]] | None = None, data: bytes | None = None
    ) -> None:
        self._library = msgspec.json.decode(data if data is not None else DATA.read_bytes(), type=Library)
        self._overrides = dict(overrides or {})
        self._shelves: dict[str, Shelf] = {}
        self._held: dict[tuple[str | None, str, str], _Held] = {}

    @property
    def source(self) -> str:
        return self._library.source

    @property
    def providers(self) -> tuple[str, ...]:
        """The ids of all providers it knows."""
        return tuple(self._library.providers)

    def price(self, provider_id: str | None, model: str, provider_name: str, at_us: int) -> Price | None:
        """The price of a model at a moment (microseconds since the epoch); None where it is not known.

        `provider_id` is the provider's id in the book (None: it has none), `provider_name` its name in the
        configuration.
        """
        key = (provider_id, model, provider_name)
        held = self._held.get(key)
        if held is not None and held[0] <= at_us < held[1]:
            return held[2]
        if len(model) > MAX_NAME:
            return None
        held = self._look_up(provider_id, model, provider_name, at_us)
        if len(self._held) >= MAX_CACHED:
            self._held.clear()
        self._held[key] = held
        return held[2]

    def models(self, provider_id: str | None) -> tuple[str, ...]:
        """The ids of the models that a provider is known to serve and has not retired."""
        shelf = self._shelf(provider_id) if provider_id is not None else None
        return tuple(entry.id for entry in shelf.entries if not entry.deprecated) if shelf is not None else ()

    def facts(self, provider_id: str | None, model: str) -> ModelFacts | None:
        """What is known of a model of a provider, by its id in the book; None for a model it does not know."""
        if provider_id is None or len(model) > MAX_NAME:
            return None
        entry = self._find(provider_id, model.lower())
        if entry is None:
            return None
        return ModelFacts(entry.id, entry.name, entry.context_window, entry.deprecated)

    def _look_up(self, provider_id: str | None, model: str, provider_name: str, at_us: int) -> _Held:
        rates = self._overrides.get(f"{provider_name}/{model}", self._overrides.get(f"{provider_name}/*"))
        entry = self._find(provider_id, model.lower()) if provider_id is not None else None
        window = entry.context_window if entry is not None else None
        if rates is not None:
            price = make_price(provider_name, model, "config", rates, context_window=window)
            return -FOREVER_US, FOREVER_US, price
        if entry is None or provider_id is None:
            return -FOREVER_US, FOREVER_US, None
        term = entry.term(at_us)
        start, end = entry.holds(at_us)
        if term.rates is None:
            return start, end, None
        return start, end, make_price(provider_id, entry.id, self.source, term.rates, term.tiers, window)

    def _find(self, provider_id: str, name: str) -> Entry | None:
        entry = self._match(provider_id, name)
        if entry is None and (dashed := _dashed_date(name)) != name:
            entry = self._match(provider_id, dashed)
        return entry

    def _match(self, provider_id: str, name: str) -> Entry | None:
        shelf = self._shelf(provider_id)
        if shelf is None:
            return None
        shelves = [shelf, *filter(None, map(self._shelf, shelf.fallbacks))]
        return next(filter(None, (shelf.find(name) for shelf in shelves)), None)

    def _shelf(self, provider_id: str) -> Shelf | None:
        shelf = self._shelves.get(provider_id)
        if shelf is None and (raw := self._library.providers.get(provider_id)) is not None:
            shelf = self._shelves[provider_id] = msgspec.json.decode(raw, type=Shelf)
        return shelf


def _dashed_date(name: str) -> str:
    """`gpt-5.2-20251211`, as some routers write it, becomes `gpt-5.2-2025-12-11`; what is no date stays."""

    def dashed(match: re.Match[str]) -> str:
        year, month, day = match.groups()
        try:
            date(int(year), int(month), int(day))
        except ValueError:
            return match[0]
        return f"-{year}-{month}-{day}"

    return _COMPACT_DATE.sub(dashed, name)
