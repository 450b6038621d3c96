"""Exchanges that public projects recorded with real providers: the usage is the provider's own, and no byte is changed.

Replayed where they lie, in the folder that CHATVAULT_RECORDED names; nothing of them is part of this project.
"""

import gzip
import json
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chatvault.wire.openai.reply import Facts, read
from chatvault.wire.openai.stream import StreamTap
from chatvault.wire.sse import EventSplitter

FOLDER = Path(os.environ.get("CHATVAULT_RECORDED", "/nonexistent"))
DIALECTS = [
    "openai.chat",
    "openai.completions",
    "openai.embeddings",
    "openai.responses",
    "openai.moderations",
]

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="CHATVAULT_RECORDED names no folder of recorded exchanges"
    ),
]


def exchanges(dialect: str, *, streaming: bool) -> Iterator[tuple[str, str, int]]:
    with gzip.open(FOLDER / f"{dialect}.jsonl.gz") as lines:
        for line in lines:
            exchange = json.loads(line)
            if exchange.get("response_body") and exchange["streaming"] is streaming:
                yield exchange["id"], exchange["response_body"], exchange["status"]


def words_of(value: Any) -> list[dict[str, Any]]:
    """The usage objects of one answer or event, wherever the dialect has its place for them."""
    if not isinstance(value, dict):
        return []
    places = [value, value.get("response"), value.get("x_groq")]
    return [
        place["usage"] for place in places if isinstance(place, dict) and isinstance(place.get("usage"), dict)
    ]


def agree(facts: Facts, words: list[dict[str, Any]], where: str) -> None:
    counted = [word for word in words if {"total_tokens", "prompt_tokens", "input_tokens"} & set(word)]
    if not counted:
        assert facts.usage is None, where
        return
    word, usage = counted[-1], facts.usage
    assert usage is not None, where
    prompt = word.get("prompt_tokens", word.get("input_tokens"))
    completion = word.get("completion_tokens", word.get("output_tokens")) or 0
    total = word.get("total_tokens")
    assert usage.input == (prompt if prompt is not None else total), where
    inside = word.get("prompt_tokens_details") or word.get("input_tokens_details") or {}
    outside = word.get("completion_tokens_details") or word.get("output_tokens_details") or {}
    reasoning = outside.get("reasoning_tokens") or word.get("reasoning_tokens") or 0
    beside = reasoning if reasoning > completion or total == usage.input + completion + reasoning else 0
    assert usage.output == completion + beside, where
    assert usage.reasoning == reasoning, where
    cached = (
        inside.get("cached_tokens") or word.get("prompt_cache_hit_tokens") or word.get("cached_tokens") or 0
    )
    assert usage.cached == cached, where
    for name, count in (("audio_tokens", usage.input_audio), ("image_tokens", usage.input_image)):
        assert count == (inside.get(name) or 0), where
    cost = word.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if isinstance(cost, int | float) and not word.get("is_byok"):
        assert facts.cost is not None, where
        assert abs(facts.cost - cost * 10**12) <= 1, where
    elif word.get("cost_in_usd_ticks"):
        assert facts.cost == word["cost_in_usd_ticks"] * 100, where


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whole_answers(dialect: str) -> None:
    seen = 0
    for where, body, status in exchanges(dialect, streaming=False):
        try:
            value = json.loads(body)
        except ValueError:
            continue
        if not isinstance(value, dict):
            continue
        facts = Facts()
        facts.learn(read(body.encode()))
        agree(facts, words_of(value), where)
        seen += 1
        if status >= 400 and value.get("error"):
            assert facts.error is not None, where
        for choice in value.get("choices") or []:
            if choice.get("finish_reason"):
                assert facts.finish is not None, where
    assert seen


def events_of(body: str) -> Iterator[tuple[str, Any]]:
    for text in re.split(r"(?<=\n\n)|(?<=\r\n\r\n)", body):
        data = "\n".join(line[5:].removeprefix(" ") for line in text.splitlines() if line.startswith("data:"))
        try:
            yield text, json.loads(data)
        except ValueError:
            yield text, None


def relay(body: bytes, cuts: list[int], *, hide: bool) -> tuple[StreamTap, bytes]:
    tap, splitter, shown = StreamTap(hide=hide), EventSplitter(), list[bytes]()
    for a, b in pairwise([0, *cuts, len(body)]):
        if whole := splitter.feed(body[a:b]):
            shown.append(tap.scan(whole))
    if splitter.partial:
        shown.append(tap.scan(bytes(splitter.partial) + b"\n\n")[:-2])
    return tap, b"".join(shown)


def check_stream(where: str, text: str, cuts: list[int]) -> None:
    body, words, kept = text.encode(), list[dict[str, Any]](), ""
    for raw, value in events_of(text):
        found = words_of(value)
        words += found
        if not (
            isinstance(value, dict) and value.get("choices") == [] and isinstance(value.get("usage"), dict)
        ):
            kept += raw
    tap, shown = relay(body, cuts, hide=False)
    assert shown == body, where
    agree(tap.facts, words, where)
    tap, shown = relay(body, cuts, hide=True)
    assert shown == kept.encode(), where
    agree(tap.facts, words, where)
    if "[DONE]" in text:
        assert tap.done, where


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.completions", "openai.responses"])
def test_streams(dialect: str) -> None:
    seen = 0
    for number, (where, text, _) in enumerate(exchanges(dialect, streaming=True)):
        size = len(text.encode())
        check_stream(where, text, list(range(997, size, 997)))
        if number % 40 == 0 and size < 20_000:
            check_stream(where, text, list(range(1, size)))
        seen += 1
    assert seen


@pytest.mark.prove
@pytest.mark.parametrize("dialect", ["openai.chat", "openai.completions", "openai.responses"])
def test_streams_byte_by_byte(dialect: str) -> None:
    for where, text, _ in exchanges(dialect, streaming=True):
        if len(text) < 200_000:
            check_stream(where, text, list(range(1, len(text.encode()))))


def test_errors_within_streams_are_found() -> None:
    found = 0
    for where, text, _ in exchanges("openai.chat", streaming=True):
        if any(isinstance(value, dict) and value.get("error") for _, value in events_of(text)):
            assert relay(text.encode(), [], hide=True)[0].facts.error is not None, where
            found += 1
    assert found
