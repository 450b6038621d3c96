"""What is known of a model: by its name, its date, the book's model, another provider's word, the configuration."""

import msgspec
import pytest

from chatvault.config.schema import ModelConfig
from chatvault.pricing.book import PriceBook
from chatvault.pricing.facts import CONFIGURABLE, UNKNOWN, Facts, configured
from chatvault.pricing.price import upper_bound

BOOK = msgspec.json.encode(
    {
        "source": "genai-prices 9.9.9",
        "providers": {
            "lab": [
                [
                    ["fast", ["^", "fast"], [[None, {"input": 1, "output": 2}]], 8_000, False, "Fast One"],
                    ["old", ["=", "old"], [[None, {"input": 1, "output": 2}]], None, True],
                ],
                ["shop"],
            ],
            "shop": [[["loaf", ["~", "loaf"], [[None, {"input": 7, "output": 7}]]]]],
        },
    }
)
FACTS = msgspec.json.encode(
    {
        "sources": ["a list 1"],
        "providers": {
            "lab": {
                "fast": {"context": 4_000, "output": 500, "tools": True, "name": "fast by the list"},
                "fast-2025-01-02": {"output": 100},
                "unpriced": {"output": 9},
            },
            "shop": {"loaf": {"output": 70, "inputs": ["text", "image"]}},
        },
    }
)


@pytest.fixture
def book() -> PriceBook:
    said = {
        "mine": ModelConfig(provider="home", model="fast", output=333, inputs=("text", "pdf"), tools=False),
        "fast": ModelConfig(provider="other"),
    }
    return PriceBook({"home/*": {"input": 1, "output": 1}}, BOOK, models=said, facts=FACTS)


@pytest.mark.parametrize(
    ("provider", "name", "output"),
    [
        ("lab", "fast", 500),
        ("lab", "FAST-nonesuch", 500),  # a name of the book's model
        ("lab", "fast-2025-01-02", 100),  # a name of its own
        ("lab", "fast-20250102", 100),
        ("lab", "a-loaf", None),
        ("lab", "loaf", 70),  # by the fallback
        ("lab", "unpriced", 9),
        ("lab", "unheard-of", None),
        ("nobody", "fast", None),
        (None, "fast", None),
        ("lab", "fast" + "x" * 300, None),
    ],
)
def test_which_facts_are_a_models(
    book: PriceBook, provider: str | None, name: str, output: int | None
) -> None:
    wanted = 70 if name == "a-loaf" else output  # the book's model of the fallback
    assert book.facts(provider, name).output == wanted


def test_the_book_and_the_list_are_joined(book: PriceBook) -> None:
    assert book.facts("lab", "fast") == Facts(name="Fast One", context=8_000, output=500, tools=True)
    assert book.facts("lab", "old") == Facts(deprecated=True)
    assert book.facts("nobody", "fast") == UNKNOWN
    assert book.fact_sources == ("a list 1",)


def test_the_configuration_holds_over_them_for_its_provider_alone(book: PriceBook) -> None:
    mine = book.facts("lab", "fast", "home")
    assert (mine.output, mine.inputs, mine.tools, mine.context) == (333, ("text", "pdf"), False, 8_000)
    assert book.facts("lab", "fast", "other").output == 500
    assert book.facts(None, "fast", "home").output == 333


def test_the_most_a_model_says_bounds_a_call(book: PriceBook) -> None:
    price = book.price("lab", "fast", "home", 0)
    assert price is not None
    assert upper_bound(price, 10, None) == 10 + 333
    known = book.price("lab", "fast", "lab", 0)
    assert known is not None
    assert upper_bound(known, 10, None) == 10 + 2 * 500
    dated = book.price("lab", "fast-2025-01-02", "lab", 0)
    assert dated is not None
    assert upper_bound(dated, 10, None) == 10 + 2 * 100
    assert dated.version == known.version  # limits are no part of a price


def test_what_is_remembered_is_bounded(book: PriceBook) -> None:
    for number in range(5_000):
        book.facts("lab", f"fast-{number}")
    assert len(book._known) <= 4_096


def test_every_fact_but_the_kind_and_the_name_can_be_configured() -> None:
    assert set(Facts.__struct_fields__) - set(CONFIGURABLE) == {"name", "kind", "deprecated"}
    assert configured({"a": ModelConfig(provider="p")}) == {}


def test_real_models() -> None:
    book = PriceBook()
    claude = book.facts("anthropic", "claude-sonnet-4-5-20250929")
    assert (claude.name, claude.output, claude.released) == ("Claude Sonnet 4.5", 64_000, "2025-09-29")
    assert claude.inputs == ("text", "image", "pdf")
    assert claude.tools
    assert claude.reasoning
    gemini = book.facts("google", "gemini-2.5-flash")
    assert (gemini.context, gemini.output) == (1_048_576, 65_536)
    assert book.facts("openai", "gpt-4o-2024-05-13").output == 4_096
    assert book.facts("openai", "gpt-4o").output == 16_384
    assert book.facts("azure", "gpt-4o").output == 16_384
    assert book.facts("openai", "text-embedding-3-small").kind == "embedding"
    known = [
        book.facts(each, model) for each in ("openai", "anthropic", "google") for model in book.models(each)
    ]
    talk = [facts for facts in known if facts.kind == "chat"]
    assert len(talk) > 80
    assert sum(facts.output is not None for facts in talk) > 0.9 * len(talk)
