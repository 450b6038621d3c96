"""Every recorded exchange told in every other dialect, and judged by the official libraries.

In the default run a sample, in `make prove` all.
"""

import pytest

from tests.recorded.exchanges import FOLDER, SOURCES
from tests.recorded.table import failures, measure, tables
from tests.recorded.tally import KINDS, Tally

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="CHATVAULT_RECORDED names no folder of recorded exchanges"
    ),
]
SAMPLE = 400
# What passes, of all recorded exchanges, in the order of KINDS. The numbers may only rise.
FLOORS: dict[tuple[str, str], tuple[int, ...]] = {
    ("openai.chat", "openai.responses"): (4531, 4887, 387),
    ("openai.chat", "anthropic.messages"): (4511, 4886, 387),
    ("openai.chat", "gemini.generate"): (4531, 4886, 387),
    ("openai.chat", "ollama.chat"): (4531, 4881, 387),
    ("openai.responses", "openai.chat"): (516, 452, 21),
    ("openai.responses", "anthropic.messages"): (513, 444, 21),
    ("openai.responses", "gemini.generate"): (517, 453, 21),
    ("openai.responses", "ollama.chat"): (518, 452, 21),
    ("anthropic.messages", "openai.chat"): (587, 515, 21),
    ("anthropic.messages", "openai.responses"): (587, 519, 21),
    ("anthropic.messages", "gemini.generate"): (587, 519, 21),
    ("anthropic.messages", "ollama.chat"): (587, 519, 21),
    ("gemini.generate", "openai.chat"): (554, 506, 22),
    ("gemini.generate", "openai.responses"): (554, 557, 22),
    ("gemini.generate", "anthropic.messages"): (554, 557, 22),
    ("gemini.generate", "ollama.chat"): (554, 557, 22),
    ("ollama.chat", "openai.chat"): (131, 142, 11),
    ("ollama.chat", "openai.responses"): (131, 142, 11),
    ("ollama.chat", "anthropic.messages"): (131, 142, 11),
    ("ollama.chat", "gemini.generate"): (131, 142, 11),
    ("openai.embeddings", "gemini.embed"): (112, 108, 6),
    ("openai.embeddings", "ollama.embed"): (112, 108, 6),
    ("gemini.embed", "openai.embeddings"): (0, 2, 0),
    ("gemini.embed", "ollama.embed"): (2, 2, 0),
    ("ollama.embed", "openai.embeddings"): (0, 1, 0),
    ("ollama.embed", "gemini.embed"): (1, 1, 0),
    ("openai.chat", "bedrock.converse"): (0, 4878, 0),
    ("openai.responses", "bedrock.converse"): (0, 444, 0),
    ("anthropic.messages", "bedrock.converse"): (0, 515, 0),
    ("gemini.generate", "bedrock.converse"): (0, 557, 0),
    ("ollama.chat", "bedrock.converse"): (0, 142, 0),
    ("bedrock.converse", "openai.chat"): (120, 0, 5),
    ("bedrock.converse", "openai.responses"): (120, 0, 5),
    ("bedrock.converse", "anthropic.messages"): (120, 0, 5),
    ("bedrock.converse", "gemini.generate"): (120, 0, 5),
    ("bedrock.converse", "ollama.chat"): (120, 0, 5),
    ("bedrock.invoke", "openai.chat"): (68, 0, 0),
    ("bedrock.invoke", "openai.responses"): (68, 0, 0),
    ("bedrock.invoke", "anthropic.messages"): (68, 0, 0),
    ("bedrock.invoke", "gemini.generate"): (68, 0, 0),
    ("bedrock.invoke", "ollama.chat"): (68, 0, 0),
}
# What fails in the sample. The numbers may only fall.
CEILINGS: dict[tuple[str, str], int] = {
    ("openai.chat", "bedrock.converse"): 1,
    ("anthropic.messages", "bedrock.converse"): 2,
    ("openai.chat", "anthropic.messages"): 4,
    ("openai.chat", "gemini.generate"): 5,
    ("openai.chat", "ollama.chat"): 1,
    ("openai.responses", "openai.chat"): 3,
    ("openai.responses", "anthropic.messages"): 4,
    ("openai.responses", "gemini.generate"): 1,
    ("openai.responses", "ollama.chat"): 5,
    ("anthropic.messages", "openai.chat"): 3,
    ("gemini.generate", "openai.chat"): 39,
    ("gemini.embed", "openai.embeddings"): 2,
    ("ollama.embed", "openai.embeddings"): 1,
}
SIZES = dict.fromkeys(SOURCES, 100) | {
    "bedrock.invoke": 60,
    "openai.embeddings": 100,
    "gemini.embed": 1,
    "ollama.embed": 0,
}
"""At least so many exchanges, and one more, are there to be judged."""


def passes(tally: Tally) -> dict[tuple[str, str], tuple[int, ...]]:
    return {
        (source, target): tuple(getattr(pair, kind).passed for kind in KINDS)
        for source, target, pair in tally.rows()
    }


def failed(tally: Tally) -> dict[tuple[str, str], int]:
    counts = {
        (source, target): sum(getattr(pair, kind).failed for kind in KINDS)
        for source, target, pair in tally.rows()
    }
    return {pair: count for pair, count in counts.items() if count}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("source", SIZES)
def test_a_sample_says_the_same_in_every_dialect(source: str) -> None:
    tally = measure(SAMPLE, source)
    print("\n" + tables(tally))
    assert tally.exchanges[source] > SIZES[source]
    assert tally.unread[source] + tally.cut[source] <= 5
    for pair, count in failed(tally).items():
        assert count <= CEILINGS.get(pair, 0), failures(tally)


@pytest.mark.prove
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("source", SIZES)
def test_all_say_the_same_in_every_dialect(source: str) -> None:
    tally = measure(None, source)
    print("\n" + tables(tally))
    counts = passes(tally)
    for pair, floors in FLOORS.items():
        if pair[0] != source:
            continue
        for kind, count, floor in zip(KINDS, counts[pair], floors, strict=True):
            assert count >= floor, (pair, kind, failures(tally))
