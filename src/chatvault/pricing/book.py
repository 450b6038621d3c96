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

from chatvault.config.schema import ModelConfig
from chatvault.pricing.facts import UNKNOWN, Facts, FactShelves, configured
from chatvault.pricing.match import Clause, exact_names
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


class Shelf(msgspec.Struct, frozen=True, array_like=True):
    """A provider. Names it does not know are looked up in the `fallbacks`, one step far."""

    entries: tuple[Entry, ...]
    fallbacks: tuple[str, ...] = ()

    def find(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.match.matches(name)), None)


class Index:
    """`Shelf.find`, for many names: most models are known by exact names, so that only the others before
    them need to be tried."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._exact: dict[str, int] = {}
        self._others: list[tuple[int, Entry]] = []
        for place, entry in enumerate(shelf.entries):
            names = exact_names(entry.match)
            if names is None:
                self._others.append((place, entry))
            for name in names or ():
                self._exact.setdefault(name, place)

    def find(self, name: str) -> Entry | None:
        """The first entry that takes the name."""
        known = self._exact.get(name, len(self.shelf.entries))
        for place, entry in self._others:
            if place > known:
                break
            if entry.match.matches(name):
                return entry
        return self.shelf.entries[known] if known < len(self.shelf.entries) else None


class Library(msgspec.Struct, frozen=True):
    """The compiled file."""

    source: str
    providers: dict[str, msgspec.Raw]


Span = tuple[int, int, Price | None]


class PriceBook:
    """`overrides` are configured prices by `provider/model` (or `provider/*`, for all of its models that have
    none of their own): rates in pico-dollars a unit by usage field, and `request`. They replace a whole
    price, and hold at any time. `models` are the configured ones, by public name: what they say of a model
    holds over what is known of it.
    """

    def __init__(
        self,
        overrides: Mapping[str, dict[str, int]] | None = None,
        data: bytes | None = None,
        *,
        models: Mapping[str, ModelConfig] | None = None,
        facts: bytes | None = None,
    ) -> None:
        self._library = msgspec.json.decode(data if data is not None else DATA.read_bytes(), type=Library)
        self._overrides = dict(overrides or {})
        self._shelves: dict[str, Index] = {}
        self._held: dict[tuple[str | None, str, str], Span] = {}
        self._facts = FactShelves(facts)
        self._said = configured(models or {})
        self._known: dict[tuple[str | None, str, str], Facts] = {}

    @property
    def source(self) -> str:
        return self._library.source

    @property
    def providers(self) -> tuple[str, ...]:
        """The ids of all providers it knows."""
        return tuple(self._library.providers)

    @property
    def fact_sources(self) -> tuple[str, ...]:
        """Where facts come from that the book itself does not have."""
        return self._facts.sources

    def price(self, provider_id: str | None, model: str, provider_name: str, at_us: int) -> Price | None:
        """The price of a model at a moment (microseconds since the epoch); None where it is not known.

        `provider_id` is the provider's id in the book (None: it has none), `provider_name` its name in the
        configuration.
        """
        return self.span(provider_id, model, provider_name, at_us)[2]

    def span(self, provider_id: str | None, model: str, provider_name: str, at_us: int) -> Span:
        """The same, with a span of time around the moment in which it cannot change: from, until, the price."""
        key = (provider_id, model, provider_name)
        held = self._held.get(key)
        if held is not None and held[0] <= at_us < held[1]:
            return held
        if len(model) > MAX_NAME:
            return -FOREVER_US, FOREVER_US, None
        held = self._look_up(provider_id, model, provider_name, at_us)
        if len(self._held) >= MAX_CACHED:
            self._held.clear()
        self._held[key] = held
        return held

    def models(self, provider_id: str | None) -> tuple[str, ...]:
        """The ids of the models that a provider is known to serve and has not retired."""
        index = self._shelf(provider_id) if provider_id is not None else None
        return tuple(entry.id for entry in index.shelf.entries if not entry.deprecated) if index else ()

    def facts(self, provider_id: str | None, model: str, provider_name: str = "") -> Facts:
        """What is known of a model of a provider, by the names that `price` takes. `UNKNOWN`: nothing."""
        key = (provider_id, model, provider_name)
        facts = self._known.get(key)
        if facts is None:
            if len(model) > MAX_NAME:
                return UNKNOWN
            facts = self._facts_of(provider_id, model.lower())
            said = self._said.get(f"{provider_name}/{model}")
            if said is not None:
                facts = msgspec.structs.replace(facts, **said)
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[key] = facts
        return facts

    def _facts_of(self, provider_id: str | None, name: str) -> Facts:
        index = self._shelf(provider_id) if provider_id is not None else None
        if provider_id is None or index is None:
            return UNKNOWN
        entry = self._find(provider_id, name)
        names = (name, _dashed_date(name)) if entry is None else (name, _dashed_date(name), entry.id.lower())
        facts = self._facts.find((provider_id, *index.shelf.fallbacks), names) or UNKNOWN
        if entry is None:
            return facts
        return msgspec.structs.replace(
            facts,
            name=entry.name or facts.name,
            context=max(filter(None, (entry.context_window, facts.context)), default=None),
            deprecated=entry.deprecated or facts.deprecated,
        )

    def _look_up(self, provider_id: str | None, model: str, provider_name: str, at_us: int) -> Span:
        rates = self._overrides.get(f"{provider_name}/{model}", self._overrides.get(f"{provider_name}/*"))
        entry = self._find(provider_id, model.lower()) if provider_id is not None else None
        facts = self.facts(provider_id, model, provider_name)
        limits = (facts.context, facts.output)
        if rates is not None:
            price = make_price(provider_name, model, "config", rates, (), *limits)
            return -FOREVER_US, FOREVER_US, price
        if entry is None or provider_id is None:
            return -FOREVER_US, FOREVER_US, None
        term = entry.term(at_us)
        start, end = entry.holds(at_us)
        if term.rates is None:
            return start, end, None
        return start, end, make_price(provider_id, entry.id, self.source, term.rates, term.tiers, *limits)

    def _find(self, provider_id: str, name: str) -> Entry | None:
        entry = self._match(provider_id, name)
        if entry is None and (dashed := _dashed_date(name)) != name:
            entry = self._match(provider_id, dashed)
        return entry

    def _match(self, provider_id: str, name: str) -> Entry | None:
        index = self._shelf(provider_id)
        if index is None:
            return None
        shelves = [index, *filter(None, map(self._shelf, index.shelf.fallbacks))]
        return next(filter(None, (each.find(name) for each in shelves)), None)

    def _shelf(self, provider_id: str) -> Index | None:
        index = self._shelves.get(provider_id)
        if index is None and (raw := self._library.providers.get(provider_id)) is not None:
            index = self._shelves[provider_id] = Index(msgspec.json.decode(raw, type=Shelf))
        return index


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
