"""Estimates against what tokenizers counted (written down here once) and against the families of real models."""

import pytest

from chatvault.core.sizes import Letters, Sizes
from chatvault.counting.estimate import estimate, input_tokens, output_tokens
from chatvault.counting.families import _BY_NAME, FAMILIES, OTHER, family_of, tokens
from chatvault.counting.letters import letters
from chatvault.pricing.book import PriceBook

PROSE = (
    "The gateway holds the keys of the providers, hands out tokens that expire, decides where each call goes, and keeps "
    "a record of every call, with what it cost, that a crash cannot lose and an edit cannot hide in."
)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-mini", "o200k"), ("gpt-4.1", "o200k"), ("gpt-5.2-2025-12-11", "o200k"), ("o3-mini", "o200k"),
        ("gpt-4-turbo", "cl100k"), ("gpt-3.5-turbo", "cl100k"), ("openai/gpt-oss-120b", "gpt-oss"),
        ("claude-sonnet-4-5", "claude"), ("claude-opus-4-7", "claude-5"), ("us.anthropic.claude-opus-5-v1:0", "claude-5"),
        ("gemini-2.5-pro", "gemini"), ("gemma4:e2b", "gemma"), ("Qwen/Qwen3-4B", "qwen"), ("meta-llama/Llama-3.3", "llama"),
        ("deepseek-chat", "deepseek"), ("ministral-3b-latest", "mistral"), ("zai-org/GLM-5.2", "glm"), ("kimi-k2", "kimi"),
        ("some-model", "other"), (None, "other"), ("", "other"),
    ],
)  # fmt: skip
def test_families_of_models(model: str | None, family: str) -> None:
    assert family_of(model).name == family


def test_most_models_of_the_large_providers_have_a_family() -> None:
    book = PriceBook()
    names = [name for each in ("openai", "anthropic", "deepseek", "mistral") for name in book.models(each)]
    strangers = [name for name in names if family_of(name) is OTHER]
    assert len(strangers) < 0.25 * len(names), strangers


@pytest.mark.parametrize("family", [*FAMILIES, OTHER], ids=lambda family: family.name)
def test_prose_comes_near(family: object) -> None:
    known = next(each for each in (*FAMILIES, OTHER) if each is family)
    counted = (
        68 if known.name == "claude-5" else 46
    )  # by each of the tokenizers: splintr-rs 0.22 and ctok 1.3
    assert tokens(letters(PROSE.encode()), known) / 100 == pytest.approx(counted, rel=0.16)
    assert _BY_NAME[known.name] is known
    assert len(known.rates) == len(Letters.__struct_fields__)
    assert all(rate > 0 for rate in known.rates)


def test_a_request_costs_more_than_its_text() -> None:
    o200k, claude = family_of("gpt-4o"), family_of("claude-3")
    text = letters(PROSE.encode())
    bare = input_tokens(Sizes(text=text, messages=1), o200k)
    assert bare > tokens(text, o200k) // 100
    assert input_tokens(Sizes(text=text, messages=3), o200k) == bare + 7
    assert input_tokens(Sizes(text=text, messages=1, media=2), o200k) == bare + 2 * 765
    with_tools = input_tokens(Sizes(text=text, messages=1, tools=2, schema=letters(b'{"a":1}')), claude)
    assert with_tools > input_tokens(Sizes(text=text, messages=1), claude) + 300


def test_an_event_is_a_token_at_least() -> None:
    family = family_of("gpt-4o")
    assert output_tokens(Sizes(said=Letters(lower=4), events=9), family) == 9
    assert output_tokens(Sizes(said=letters(PROSE.encode()), events=9), family) > 40
    assert estimate(Sizes(), family).output == 0
