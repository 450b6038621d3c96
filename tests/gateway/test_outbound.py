"""Every dialect that clients speak, with its official library, by every dialect that a provider speaks alone."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatvault.config.schema import ModelConfig
from chatvault.core.sizes import Letters
from chatvault.fake import FakeProvider
from chatvault.fake.text import count_prompt
from tests.fake.raw import ask, written
from tests.gateway.faces import provider_of
from tests.gateway.harness import KEY, Gate, gateway
from tests.gateway.speakers import ARGUMENTS, SPEAKERS, TOOL, Speaker

SAID = "One two three four"
DIALECTS = tuple(SPEAKERS)
FAULTS = {
    "cut": "echo+cut-after-4",
    "inside": "echo+error-in-stream-after-4",
    "garbage": "echo+garbage-after-4",
    "limited": "fail-429-retry-after-7",
    "down": "fail-503",
    "page": "html",
    "silent": "echo+no-usage",
    "open": "echo+no-done+no-finish",
}
"""Models by their public name, and the fault each stands for."""

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
inbound = pytest.mark.parametrize("asked", DIALECTS)
outbound = pytest.mark.parametrize("answering", DIALECTS)


@asynccontextmanager
async def before(tmp_path: Path, dialect: str) -> AsyncIterator[tuple[Gate, FakeProvider]]:
    """A gateway before a provider that speaks `dialect` alone, as `only/...` and by the names of faults."""
    models = {name: ModelConfig(provider="only", model=fault) for name, fault in FAULTS.items()}
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(tmp_path, providers={"only": provider_of(fake, dialect)}, models=models) as gate,
    ):
        yield gate, fake


def request_of(dialect: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """A path and a body as a client of the dialect writes them."""
    said = {"model": model, "stream": stream, "messages": [{"role": "user", "content": SAID}]}
    match dialect:
        case "openai.chat":
            usage = {"stream_options": {"include_usage": True}} if stream else {}
            return "/v1/chat/completions", said | usage
        case "openai.responses":
            return "/v1/responses", {"model": model, "stream": stream, "input": SAID}
        case "anthropic.messages":
            return "/v1/messages", said | {"max_tokens": 64}
        case "gemini.generate":
            verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"/v1beta/models/{model}:{verb}", {"contents": [{"parts": [{"text": SAID}]}]}
        case _:
            return "/api/chat", said


@outbound
@inbound
async def test_text_and_tools(tmp_path: Path, asked: str, answering: str) -> None:
    async with before(tmp_path, answering) as (gate, fake):
        speaker: Speaker = SPEAKERS[asked](gate)
        words = speaker.words
        for stream in (False, True):
            said = await speaker.ask("only/echo", SAID, stream=stream)
            assert (said.text, said.calls, said.finish) == (SAID, [], words["stop"])
            assert (said.input, said.output) == (count_prompt(len(SAID)), 4)
            short = await speaker.ask("only/echo", SAID, stream=stream, limit=2)
            assert (short.text, short.finish, short.output) == ("One two", words["length"], 2)
            called = await speaker.ask("only/echo", SAID, stream=stream, tools=True)
            assert (called.text, called.calls, called.finish) == ("", [(TOOL, ARGUMENTS)], words["call"])
            after = await speaker.ask("only/echo", SAID, stream=stream, tools=True, after=called)
            assert (after.text, after.calls, after.finish) == (SAID, [], words["stop"])
        await gate.settled(8)
        records = await gate.records()
        assert fake.stats.requests == 8
    assert [line.state for line in records.closed] == ["completed"] * 8
    assert [line.usage_source for line in records.closed] == ["provider"] * 8
    usage = [line.usage for line in records.closed]
    assert [each and (each.input, each.output) for each in usage[:2]] == [(9, 4), (9, 2)]


@outbound
@inbound
@both_ways
async def test_a_broken_answer_is_an_error(tmp_path: Path, asked: str, answering: str, stream: bool) -> None:
    states = {
        "cut": "upstream_cut",
        "inside": "error_in_band",
        "garbage": "upstream_error",
        "limited": "upstream_error",
        "down": "upstream_error",
        "page": "upstream_error",
    }
    if stream:
        states["open"] = "upstream_cut"
    if asked == answering:  # the bytes pass as they are, for the client to judge
        del states["garbage"]
        if not stream:
            del states["inside"]
    async with before(tmp_path, answering) as (gate, _):
        speaker: Speaker = SPEAKERS[asked](gate)
        for model in states:
            with pytest.raises(speaker.refused) as refused:
                await speaker.ask(model, SAID, stream=stream)
            assert str(refused.value)
        await gate.settled(len(states))
        records = await gate.records()
    found = {line.model: line for line in records.closed}
    assert {model: line.state for model, line in found.items()} == states
    for model in ("limited", "down", "page"):
        assert (found[model].usage, found[model].usage_source) == (None, "unknown")
    if stream:
        for model in ("cut", "inside", "open"):
            assert found[model].usage_source in ("estimated", "provider"), model
            usage = found[model].usage
            assert usage is not None
            assert usage.input > 0


@outbound
@inbound
@both_ways
async def test_an_answer_without_usage_is_whole_all_the_same(
    tmp_path: Path, asked: str, answering: str, stream: bool
) -> None:
    if asked == answering == "anthropic.messages":
        pytest.skip("Anthropic's own library cannot read its own API without usage")
    async with before(tmp_path, answering) as (gate, _):
        speaker: Speaker = SPEAKERS[asked](gate)
        said = await speaker.ask("silent", SAID, stream=stream)
        assert said.text == SAID
        await gate.settled(1)
        line = (await gate.records()).only()
    assert (line.state, line.usage_source) == ("completed", "estimated")
    assert line.usage is not None
    assert line.usage.input > 0
    assert line.usage.output > 0
    assert line.sizes is not None
    assert line.sizes.said != Letters()


@outbound
@both_ways
async def test_in_the_same_dialect_the_bytes_pass(tmp_path: Path, answering: str, stream: bool) -> None:
    async with before(tmp_path, answering) as (gate, fake):
        path, body = request_of(answering, "only/echo", stream=stream)
        heard = await gate.send(gate.post(body, path))
        path, body = request_of(answering, "echo", stream=stream)
        direct = await ask(fake, written(body, path, authorization=f"Bearer {KEY}"))
    assert (heard.status, heard.body) == (direct.status, direct.body)
    assert heard.headers["content-type"] == direct.headers["content-type"]
    assert "x-chatvault-dropped" not in heard.headers


async def test_a_stream_of_gemini_that_is_an_array_passes_and_is_translated(tmp_path: Path) -> None:
    path, body = request_of("gemini.generate", "only/echo", stream=True)
    for place, answering in enumerate(("gemini.generate", "ollama.chat")):
        async with before(tmp_path / str(place), answering) as (gate, _):
            heard = await gate.send(gate.post(body, path.removesuffix("?alt=sse")))
            await gate.settled(1)
            line = (await gate.records()).only()
        parts = [each["candidates"][0]["content"]["parts"] for each in json.loads(heard.body)]
        assert "".join(part["text"] for each in parts for part in each if "text" in part) == SAID
        assert (line.state, line.usage and line.usage.output) == ("completed", 4)


@inbound
@pytest.mark.parametrize("answering", ["anthropic.messages", "gemini.generate", "ollama.chat"])
async def test_what_cannot_be_carried_is_told_or_refused(tmp_path: Path, asked: str, answering: str) -> None:
    if asked == answering:
        pytest.skip("nothing is translated")
    async with before(tmp_path, answering) as (gate, fake):
        path, body = request_of(asked, "only/echo", stream=False)
        heard = await gate.send(gate.post(body | {"unheard": 1}, path))
        assert heard.status == 200
        assert "unheard" in heard.headers["x-chatvault-dropped"]
        strict = await gate.send(gate.post(body | {"unheard": 1}, path, x_chatvault_strict="1"))
        assert strict.status == 400
        assert b"unheard" in strict.body
        plain = await gate.send(gate.post(body, path, x_chatvault_strict="1"))
        assert plain.status == 200, plain.body
        assert fake.stats.requests == 2


@inbound
@outbound
async def test_a_hint_when_to_come_again_passes(tmp_path: Path, asked: str, answering: str) -> None:
    async with before(tmp_path, answering) as (gate, _):
        path, body = request_of(asked, "limited", stream=True)
        heard = await gate.send(gate.post(body, path))
    assert (heard.status, heard.headers["retry-after"]) == (429, "7")
    assert heard.headers["content-type"].startswith("application/json")
