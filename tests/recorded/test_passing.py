"""Recorded exchanges through a running gateway, each in its own dialect: the bytes pass, and the record says what the
provider said.

In the default run a sample, in `make prove` all.
"""

from functools import partial
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from tests.recorded.exchanges import FOLDER, Exchange, of_file
from tests.recorded.passing import CONVERSATIONS, FILES
from tests.recorded.stage import Count, failures, measure, run, stage, table
from tests.recorded.stand_in import Way
from tests.recorded.table import DOCUMENT

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="CHATVAULT_RECORDED names no folder of recorded exchanges"
    ),
]
SAMPLE: Final = 150
SMALL: Final = 3000
"""Bytes of an answer that is small enough to come byte by byte."""
NOT_SERVED: Final = {"gemini.generate": 1, "gemini.stream": 1}
"""A model whose name no path can hold."""
ALL: Final = {
    "openai.chat": 4938,
    "openai.responses": 544,
    "openai.completions": 124,
    "openai.embeddings": 123,
    "openai.moderations": 5,
    "anthropic.messages": 598,
    "anthropic.count_tokens": 1,
    "vertex.anthropic": 10,
    "gemini.generate": 382,
    "gemini.stream": 193,
    "gemini.embed": 2,
    "ollama.chat": 142,
    "ollama.generate": 7,
    "ollama.embed": 1,
    "images": 27,
    "audio": 6,
    "rerank": 8,
    "cohere.chat": 122,
}
"""What passes of all recorded exchanges. The numbers may only rise."""


@pytest.mark.parametrize("way", ["recorded", "odd"])
async def test_a_sample_passes_byte_for_byte(tmp_path: Path, way: Way) -> None:
    counts = await measure(tmp_path, FILES, way, SAMPLE)
    print("\n" + table(counts))
    assert not failures(counts)
    assert {file: count.passed + count.skipped for file, count in counts.items()} == {
        file: min(passing + NOT_SERVED.get(file, 0), SAMPLE) for file, passing in ALL.items()
    }


@pytest.mark.parametrize("file", ["openai.embeddings", *sorted(CONVERSATIONS), "rerank", "cohere.chat"])
async def test_a_few_pass_that_come_byte_by_byte(tmp_path: Path, file: str) -> None:
    small = [exchange for exchange in of_file(file) if len(exchange.raw) < SMALL]
    few = sorted(small, key=lambda each: (not each.streaming, each.id))[:12]
    assert few
    async with stage(tmp_path) as there:
        count = await run(there, file, few, "bytes")
    assert count.passed == len(few) - count.skipped, count.why


def _of(instead: Exchange, _: Exchange) -> Exchange:
    return instead


async def test_the_judge_notices_what_is_wrong(tmp_path: Path) -> None:
    first = next(
        each
        for each in of_file("openai.chat")
        if each.raw.endswith(b"[DONE]\n\n") and b'"prompt_tokens":' in each.raw
    )
    text = first.response_body or ""
    served = {
        "body": text.replace("data: ", "data:  ", 1),
        "state": text.replace("data: [DONE]", 'data: {"error":{"message":"late"}}\n\ndata: [DONE]'),
        "usage": text.replace('"prompt_tokens":', '"prompt_tokens":1'),
        "whole": text[: len(text) // 2],
    }
    async with stage(tmp_path) as there:
        for kind, other in served.items():
            count = await run(
                there, "openai.chat", [first], "recorded", partial(_of, replace(first, response_body=other))
            )
            assert kind in str(count.why), (kind, count.why)


def test_the_documentation_says_how_many_pass() -> None:
    counts = {file: Count(NOT_SERVED.get(file, 0), passing) for file, passing in ALL.items()}
    assert table(counts) in DOCUMENT.read_text()


@pytest.mark.prove
@pytest.mark.parametrize("way", ["recorded", "odd"])
async def test_all_pass_byte_for_byte(tmp_path: Path, way: Way) -> None:
    counts = await measure(tmp_path, FILES, way)
    print("\n" + table(counts))
    for file, passing in ALL.items():
        assert counts[file].passed >= passing, failures(counts)
        assert counts[file].skipped <= NOT_SERVED.get(file, 0)
