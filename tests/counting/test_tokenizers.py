"""The tokenizers that count, and estimates against them on the texts of this project."""

import builtins
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from chatvault.core.errors import OperatorError
from chatvault.counting.families import FAMILIES, Family, tokens
from chatvault.counting.letters import letters
from chatvault.counting.tokenizers import Tokenizers

ROOT = Path(__file__).parents[2]
TEXTS = [
    path.read_text("utf-8")[:4_000]
    for path in (*(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("t*.py"))
]
KNOWN = [family for family in FAMILIES if family.vocabulary]


@pytest.fixture(scope="module")
def counter() -> Tokenizers:
    return Tokenizers()


def test_known_counts(counter: Tokenizers) -> None:
    assert counter.count("o200k_base", ["Hello, world!"]) == 4
    assert counter.count("cl100k_base", ["Hello, world!", "Hello, world!"]) == 8
    assert counter.count("o200k_base", []) == 0
    assert counter.count("o200k_base", ["<|endoftext|>"]) > 1, "a mark in a text is text"
    assert counter.name("o200k_base").startswith("splintr-rs ")
    assert counter.name("o200k_base").endswith(" o200k_base")


@pytest.mark.parametrize("family", KNOWN, ids=lambda family: family.name)
def test_estimates_come_near(counter: Tokenizers, family: Family) -> None:
    assert family.vocabulary is not None
    errors = []
    for text in TEXTS:
        counted = counter.count(family.vocabulary, [text])
        errors.append(abs(tokens(letters(text.encode()), family) / 100 - counted) / counted)
    assert len(errors) > 20
    assert median(errors) < 0.10
    assert max(errors) < 0.35


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "splintr", raising=False)
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "splintr":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(OperatorError, match=r"chatvault\[tokenizers\]") as caught:
        Tokenizers()
    assert caught.value.code == "tokenizers_missing"
