import subprocess
import sys
import tracemalloc
from time import perf_counter

import msgspec
import pytest

from chatvault.core.clock import from_iso
from chatvault.pricing.book import DATA as BOOK
from chatvault.pricing.book import DAY_US, MAX_CACHED, Daily, Index, Library, PriceBook, Shelf, Since, Term
from chatvault.pricing.match import AllOf, AnyOf, Contains, EndsWith, Equals, Regex, StartsWith, exact_names

AT = from_iso("2026-11-21T12:00:00Z")
DATA = msgspec.json.encode(
    {
        "source": "genai-prices 9.9.9",
        "providers": {
            "lab": [
                [
                    [
                        "fast",
                        ["|", [["=", "fast"], ["^", "fast-"]]],
                        [[None, {"input": 1, "output": 2}]],
                        8_000,
                    ],
                    ["old", ["=", "old"], [[None, {"input": 9, "output": 9}]], None, True],
                    [
                        "moody",
                        ["=", "moody"],
                        [
                            [["since", AT], {"input": 3, "output": 3}],
                            [["daily", 23 * 60, 60], {"input": 5, "output": 5}],
                        ],
                    ],
                    ["unsaid", ["=", "unsaid"], [[None, None]]],
                ],
                ["shop"],
            ],
            "shop": [[["loaf", ["~", "loaf"], [[None, {"input": 7, "output": 7}]]]], ["third"]],
            "third": [[["deep", ["=", "deep"], [[None, {"input": 1}]]]]],
        },
    }
)


@pytest.fixture
def book() -> PriceBook:
    overrides = {"home/fast": {"input": 50, "output": 60}, "cheap/*": {"input": 4, "output": 4}}
    return PriceBook(overrides, DATA)


def rate(
    book: PriceBook, model: str, at: int = AT, provider: str | None = "lab", name: str = "lab"
) -> int | None:
    price = book.price(provider, model, name, at)
    return None if price is None else price.rates["input"]


def test_names_match_in_any_case_and_are_remembered(book: PriceBook) -> None:
    first = book.price("lab", "FAST-2", "lab", AT)
    assert first is not None
    assert (first.provider, first.model, first.source, first.context_window) == (
        "lab",
        "fast",
        "genai-prices 9.9.9",
        8_000,
    )
    assert book.price("lab", "FAST-2", "lab", AT + 1) is first


def test_what_is_not_known_has_no_price(book: PriceBook) -> None:
    assert rate(book, "slow") is None
    assert rate(book, "unsaid") is None
    assert rate(book, "fast", provider=None) is None
    assert rate(book, "fast", provider="nobody") is None
    assert rate(book, "fast-" + "x" * 300) is None


def test_another_provider_is_asked_one_step_far(book: PriceBook) -> None:
    assert rate(book, "rye-loaf") == 7
    assert rate(book, "deep") is None
    assert rate(book, "deep", provider="shop") == 1


def test_a_configured_price_replaces_the_whole(book: PriceBook) -> None:
    price = book.price("lab", "fast", "home", AT)
    assert price is not None
    assert (price.source, price.provider, price.model) == ("config", "home", "fast")
    assert price.rates == {"input": 50, "output": 60}
    assert price.context_window == 8_000
    assert rate(book, "fast-3", name="home") == 1  # only the name that was configured
    assert rate(book, "anything", provider=None, name="cheap") == 4


def test_terms_change_with_time_and_the_memory_with_them(book: PriceBook) -> None:
    assert rate(book, "moody", from_iso("2026-11-20T12:00:00Z")) == 3  # none holds yet: the first
    assert rate(book, "moody") == 3
    assert rate(book, "moody", from_iso("2026-11-21T22:59:59Z")) == 3
    assert rate(book, "moody", from_iso("2026-11-21T23:00:00Z")) == 5
    assert rate(book, "moody", from_iso("2026-11-22T00:59:59Z")) == 5
    assert rate(book, "moody", from_iso("2026-11-22T01:00:00Z")) == 3


def test_constraints() -> None:
    assert Since(AT).active(AT)
    assert not Since(AT).active(AT - 1)
    noon = AT % DAY_US // 60_000_000
    assert Daily(noon, noon + 1).active(AT)
    assert not Daily(noon + 1, noon + 2).active(AT)
    assert not Daily(0, noon).active(AT)
    assert Term(None, {}).tiers == ()


@pytest.mark.parametrize(
    ("clause", "yes", "no"),
    [
        (Equals("gpt-4"), "gpt-4", "gpt-4o"),
        (StartsWith("gpt-4"), "gpt-4o", "a-gpt-4"),
        (EndsWith("-mini"), "o4-mini", "o4-minis"),
        (Contains("sonnet"), "claude-sonnet-4", "claude-opus-4"),
        (Regex(r"^o\d$"), "o3", "o3-mini"),
        (AnyOf((Equals("a"), Equals("b"))), "b", "c"),
        (AllOf((StartsWith("a"), EndsWith("z"))), "a-z", "a-y"),
    ],
)
def test_clauses(clause: Equals, yes: str, no: str) -> None:
    assert clause.matches(yes)
    assert not clause.matches(no)


def test_what_clients_ask_does_not_fill_the_memory(book: PriceBook) -> None:
    for number in range(MAX_CACHED + 10):
        book.price("lab", f"made-up-{number}", "lab", AT)
    assert len(book._held) <= MAX_CACHED


def test_models_are_listed_but_for_the_retired(book: PriceBook) -> None:
    assert book.models("lab") == ("fast", "moody", "unsaid")
    assert book.models("nobody") == ()
    assert book.models(None) == ()
    assert set(book.providers) == {"lab", "shop", "third"}


def test_a_worker_loads_it_in_little_time_and_room() -> None:
    best = 1.0
    for _ in range(5):
        began = perf_counter()
        PriceBook().price("openai", "gpt-4o-mini", "openai", AT)
        best = min(best, perf_counter() - began)
    assert best < 0.020
    tracemalloc.start()
    book = PriceBook()
    for provider in book.providers:
        book.models(provider)  # all of them, at the worst
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 8 << 20


def test_a_worker_needs_neither_the_package_nor_pydantic() -> None:
    code = (
        "import sys, chatvault.pricing.book as b; b.PriceBook().price('openai', 'gpt-4o', 'openai', 0);"
        "sys.exit(bool({'genai_prices', 'pydantic', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_many_names_are_found_as_one_by_one() -> None:
    """The index gives what a walk over the shelf gives, on every name there is and on near misses."""
    library = msgspec.json.decode(BOOK.read_bytes(), type=Library)
    for raw in library.providers.values():
        shelf = msgspec.json.decode(raw, type=Shelf)
        index = Index(shelf)
        for entry in shelf.entries[:200]:
            names = exact_names(entry.match) or (entry.id.lower(),)
            for name in (*names, f"{entry.id}-20260101", entry.id[:-1]):
                assert index.find(name) is shelf.find(name), name
