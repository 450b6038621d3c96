"""The tap beside a stream, and what is known of a request and of a whole answer."""

import json
from typing import Any

import pytest

from chatvault.core.errors import ClientError
from chatvault.core.usage import Usage
from chatvault.wire.gemini.array import ArraySplitter
from chatvault.wire.gemini.dialect import GEMINI
from chatvault.wire.gemini.facts import read_facts
from chatvault.wire.gemini.request import read
from chatvault.wire.gemini.tap import StreamTap
from chatvault.wire.hub.events import UsageTold
from tests.wire.openai.recordings import pieces

PLAIN = {
    "candidates": [{"content": {"parts": [{"text": "Hi"}]}}],
    "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1, "totalTokenCount": 5},
    "modelVersion": "gemini-x",
}
LAST = {
    "candidates": [{"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["q"]}}],
    "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 7, "totalTokenCount": 11},
}
ERROR = {"error": {"code": 500, "message": "no"}}


def sse(*chunks: Any) -> list[bytes]:
    return [b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in chunks]


@pytest.mark.parametrize(
    ("model", "searches"),
    [("gemini-2.5-pro", 1), ("models/gemini-2.0-flash-001", 1), ("gemini-3-pro", 2), ("gemini-25", 2)],
)
def test_searches_are_counted_as_they_are_billed(model: str, searches: int) -> None:
    chunk = {
        "candidates": [{"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
        "usageMetadata": {"promptTokenCount": 1},
        "modelVersion": model,
    }
    body = json.dumps(chunk).encode()
    assert read_facts(body).usage == Usage(input=1, searches=searches)
    told = [event.usage for event in GEMINI.read_reply(body) if isinstance(event, UsageTold)]
    assert told[-1].searches == searches


def test_a_stream_that_is_whole() -> None:
    tap = StreamTap(hide=True)
    for packet in sse(PLAIN, PLAIN, PLAIN, LAST):
        assert tap.scan(packet) is packet
    assert (tap.events, tap.plain, tap.ended, tap.done) == (4, 2, True, False)
    assert tap.plain_size == 2 * len(sse(PLAIN)[0])
    assert tap.last == sse(PLAIN)[0]
    assert tap.facts.usage == Usage(input=4, output=7, searches=1)
    assert (tap.facts.finish, tap.facts.model, tap.facts.error) == ("STOP", "gemini-x", None)
    assert not tap.may_hide(b"data: {")


def test_a_stream_that_is_cut_tells_its_usage_so_far() -> None:
    tap = StreamTap()
    first, second = dict(PLAIN), dict(PLAIN, usageMetadata={"promptTokenCount": 4, "candidatesTokenCount": 3})
    for packet in sse(first, second):
        tap.scan(packet)
    assert not tap.ended
    assert tap.facts.usage == Usage(input=4, output=3)
    assert tap.plain == 1


def test_errors_and_what_cannot_be_read() -> None:
    tap = StreamTap()
    for packet in (b": ping\n\n", b"data: oops\n\n", *sse(PLAIN, ERROR)):
        tap.scan(packet)
    assert tap.events == 3
    assert tap.facts.error is not None
    assert json.loads(tap.facts.error) == ERROR["error"]


@pytest.mark.parametrize("sizes", [(1,), (7, 300), (10_000,)])
def test_an_array_is_done_when_it_is_closed(sizes: tuple[int, ...]) -> None:
    body = json.dumps([PLAIN, PLAIN, LAST], indent=1).encode()
    splitter, tap, out = ArraySplitter(), StreamTap(), b""
    for piece in pieces(body, sizes):
        whole = splitter.feed(piece)
        out += tap.scan(whole) if whole else b""
    assert out == body
    assert (tap.done, tap.ended) == (True, True)
    assert tap.facts.usage == Usage(input=4, output=7, searches=1)


def test_an_array_that_ends_with_nothing_but_its_bracket() -> None:
    tap = StreamTap()
    tap.scan(b"[" + json.dumps(PLAIN).encode())
    tap.scan(b"," + json.dumps(PLAIN).encode())
    assert (tap.done,) == (False,)
    tap.scan(b"\n]")
    assert (tap.done,) == (True,)
    assert tap.plain == 1
    assert StreamTap().scan(b"[oops") == b"[oops"


def test_facts_of_whole_answers() -> None:
    facts = read_facts(json.dumps({**PLAIN, **LAST}).encode())
    assert (facts.usage, facts.finish, facts.model) == (
        Usage(input=4, output=7, searches=1),
        "STOP",
        "gemini-x",
    )
    assert read_facts(json.dumps([PLAIN, LAST]).encode()).usage == facts.usage
    odd = {
        "candidates": [{"finishReason": {}}, 3],
        "usage_metadata": {"prompt_token_count": "4"},
        "modelVersion": 1,
    }
    assert read_facts(json.dumps(odd).encode()).usage == Usage(input=4)
    blocked = read_facts(b'{"promptFeedback": {"blockReason": "SAFETY"}}')
    assert (blocked.finish, blocked.usage) == ("SAFETY", None)
    assert read_facts(json.dumps(ERROR).encode()).error is not None
    assert read_facts(b'{"error": null}').error is None
    for body in (b"<html>", b'"x"'):
        with pytest.raises(ValueError):
            read_facts(body)


def test_what_a_gateway_decides_on() -> None:
    found = read(
        b'{"model": "models/m", "labels": {"a": "b"}, "generation_config": {"max_output_tokens": 5, "candidateCount": "2"}}'
    )
    assert (found.model, found.stream, found.max_output(), found.asks_usage()) == ("m", False, 10, True)
    assert found.metadata() == {"labels": {"a": "b"}}
    empty = read(b'{"contents": [], "generationConfig": null}')
    assert (empty.model, empty.max_output(), empty.metadata()) == (None, None, {})
    assert read(b'{"generationConfig": {"maxOutputTokens": -1}}').max_output() is None
    assert read(b'{"labels": []}').metadata() == {}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"generationConfig": {}, "generation_config": {}}', "generationConfig"),
        (b'{"GenerationConfig": {}}', "generationconfig"),
        (b'{"model": 1}', "model"),
    ],
)
def test_requests_that_can_be_read_two_ways_are_refused(body: bytes, param: str) -> None:
    with pytest.raises(ClientError) as caught:
        read(body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "config", [b"1", b'{"maxOutputTokens": "many"}', b'{"maxOutputTokens": 1, "candidateCount": {}}']
)
def test_bounds_that_are_none_are_refused(config: bytes) -> None:
    with pytest.raises(ClientError):
        read(b'{"generationConfig": %s}' % config).max_output()
