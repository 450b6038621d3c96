"""Recorded answers through a running gateway, asked for by the official libraries of all other dialects.

In the default run a sample, in `make prove` all.
"""

from pathlib import Path
from typing import Final

import pytest

from tests.recorded.crossing import KINDS, Pair, cross, failures, listed_errors, table
from tests.recorded.exchanges import DIALECTS, FOLDER, exchanges
from tests.recorded.table import DOCUMENT

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="CHATVAULT_RECORDED names no folder of recorded exchanges"
    ),
]
SAMPLE: Final = 40
EVERY: Final = pytest.mark.parametrize("source", DIALECTS)


def others(source: str) -> list[str]:
    return [target for target in DIALECTS if target != source]


@EVERY
async def test_a_sample_is_heard_the_same_in_every_dialect(tmp_path: Path, source: str) -> None:
    found = {source: await cross(tmp_path, source, exchanges(source, at_most=SAMPLE), others(source))}
    print("\n" + table(found))
    assert not failures(found)
    assert all(sum(pair.of(kind).passed for kind in KINDS) >= SAMPLE for pair in found[source].values())


async def test_errors_of_every_kind_are_heard_the_same_in_every_dialect(tmp_path: Path) -> None:
    listed = listed_errors()
    found = {"openai.chat": await cross(tmp_path, "openai.chat", listed, DIALECTS)}
    assert not failures(found)
    assert {target: pair.errors.passed for target, pair in found["openai.chat"].items()} == dict.fromkeys(
        DIALECTS, 2 * len(listed)
    )


def test_the_documentation_says_how_many_are_heard() -> None:
    document = DOCUMENT.read_text()
    for (source, target), counts in ALL.items():
        passed = [f"{count} | {failing}" for count, failing in zip(counts[::2], counts[1::2], strict=True)]
        assert f"| `{source}` | `{target}` | {' | '.join(passed)} |" in document


@pytest.mark.prove
@EVERY
async def test_all_are_heard_the_same_in_every_dialect(tmp_path: Path, source: str) -> None:
    found: dict[str, dict[str, Pair]] = {
        source: await cross(tmp_path, source, exchanges(source), others(source))
    }
    print("\n" + table(found))
    for target, pair in found[source].items():
        for kind, floor in zip(KINDS, ALL[source, target][::2], strict=True):
            assert pair.of(kind).passed >= floor, (target, kind, failures(found))


# What passes and what fails of all recorded exchanges, in the order of KINDS. What passes may only rise.
ALL: Final[dict[tuple[str, str], tuple[int, ...]]] = {
    ("openai.chat", "openai.responses"): (4530, 0, 766, 0, 20, 0),
    ("openai.chat", "anthropic.messages"): (4510, 20, 766, 0, 20, 0),
    ("openai.chat", "gemini.generate"): (4530, 0, 766, 0, 20, 0),
    ("openai.chat", "ollama.chat"): (4530, 0, 766, 0, 20, 0),
    ("openai.responses", "openai.chat"): (517, 1, 41, 0, 5, 0),
    ("openai.responses", "anthropic.messages"): (513, 5, 41, 0, 5, 0),
    ("openai.responses", "gemini.generate"): (517, 1, 41, 0, 5, 0),
    ("openai.responses", "ollama.chat"): (518, 0, 41, 0, 5, 0),
    ("anthropic.messages", "openai.chat"): (585, 0, 42, 0, 2, 0),
    ("anthropic.messages", "openai.responses"): (585, 0, 42, 0, 2, 0),
    ("anthropic.messages", "gemini.generate"): (585, 0, 42, 0, 2, 0),
    ("anthropic.messages", "ollama.chat"): (585, 0, 42, 0, 2, 0),
    ("gemini.generate", "openai.chat"): (554, 0, 44, 0, 1, 0),
    ("gemini.generate", "openai.responses"): (554, 0, 44, 0, 1, 0),
    ("gemini.generate", "anthropic.messages"): (554, 0, 44, 0, 1, 0),
    ("gemini.generate", "ollama.chat"): (554, 0, 44, 0, 1, 0),
    ("ollama.chat", "openai.chat"): (131, 0, 22, 0, 0, 0),
    ("ollama.chat", "openai.responses"): (131, 0, 22, 0, 0, 0),
    ("ollama.chat", "anthropic.messages"): (131, 0, 22, 0, 0, 0),
    ("ollama.chat", "gemini.generate"): (131, 0, 22, 0, 0, 0),
}
