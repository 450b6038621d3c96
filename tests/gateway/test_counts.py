"""Counting tokens by either dialect that has an endpoint for it, at providers that speak it, another, or none."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from anthropic import AsyncAnthropic
from google import genai
from google.genai import types

from chatvault.config.schema import ModelConfig
from chatvault.config.snapshot import Face
from chatvault.counting.estimate import input_tokens
from chatvault.counting.families import family_of
from chatvault.counting.measure import measured
from chatvault.fake import FakeProvider
from tests.fake.raw import Heard, ask, written
from tests.gateway.faces import provider_of
from tests.gateway.harness import KEY, gateway
from tests.gateway.scripted import scripted

SAID = "One two three four five"
MESSAGES = {"messages": [{"role": "user", "content": SAID}], "system": "Be brief."}
CONTENTS = {
    "contents": [{"role": "user", "parts": [{"text": SAID}]}],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
}
ANTHROPIC, GEMINI = "/v1/messages/count_tokens", "/v1beta/models/only/echo:countTokens"


def request_of(path: str) -> tuple[dict[str, Any], str]:
    """A body, and the member of the answer that holds the count."""
    if path == ANTHROPIC:
        return MESSAGES | {"model": "only/echo"}, "input_tokens"
    return {"generateContentRequest": CONTENTS | {"model": "models/only/echo"}}, "totalTokens"


def answer_of(heard: Heard) -> Any:
    return heard.json


async def own_count(fake: FakeProvider, dialect: str) -> int:
    """What the provider says itself, asked in its dialect."""
    if dialect.startswith("anthropic"):
        heard = await ask(
            fake, written(MESSAGES | {"model": "echo"}, ANTHROPIC, host="x", **{"x-api-key": KEY})
        )
        return int(answer_of(heard)["input_tokens"])
    path = GEMINI.replace("only/", "")
    body = {"generateContentRequest": CONTENTS | {"model": "models/echo"}}
    heard = await ask(fake, written(body, path, host="x", **{"x-goog-api-key": KEY}))
    return int(answer_of(heard)["totalTokens"])


@pytest.mark.parametrize("path", [ANTHROPIC, GEMINI])
@pytest.mark.parametrize("dialect", ["anthropic.messages", "gemini.generate"])
async def test_a_provider_that_counts_is_asked(tmp_path: Path, path: str, dialect: str) -> None:
    body, member = request_of(path)
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(tmp_path, providers={"only": provider_of(fake, dialect)}) as gate,
    ):
        heard = await gate.send(gate.post(body, path=path))
        own = await own_count(fake, dialect)
        await gate.settled(1)
        line = (await gate.records()).only()
        assert fake.last is not None
    assert (heard.status, heard.json[member]) == (200, own)
    assert "x-chatvault-estimated" not in heard.headers
    assert "x-chatvault-dropped" not in heard.headers
    assert (line.state, line.cost, line.cost_source, line.usage_source) == ("completed", 0, "free", "unknown")


@pytest.mark.parametrize("path", [ANTHROPIC, GEMINI])
@pytest.mark.parametrize("dialect", ["openai.chat", "ollama.chat"])
async def test_one_that_does_not_is_not_asked(tmp_path: Path, path: str, dialect: str) -> None:
    body, member = request_of(path)
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(tmp_path, providers={"only": provider_of(fake, dialect)}) as gate,
    ):
        heard = await gate.send(gate.post(body, path=path))
        assert fake.stats.requests == 0
        assert (await gate.records()).closed == []
    family = family_of("echo")
    asked = b'{"messages":[{"role":"user","content":"One two three four five"}],"system":"Be brief."}'
    assert heard.status == 200
    assert heard.json == {member: pytest.approx(input_tokens(measured(asked), family), abs=1)}
    assert heard.headers["x-chatvault-estimated"] == "input_tokens"


async def test_the_official_libraries(tmp_path: Path) -> None:
    models = {"claude-x": ModelConfig(provider="only", model="echo")}
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(tmp_path, providers={"only": provider_of(fake, "gemini.generate")}, models=models) as gate,
    ):
        root = gate.base_url.removesuffix("/v1")
        client = AsyncAnthropic(api_key=gate.token, base_url=root, max_retries=0)
        gate.on_exit(client.close)
        asked: Any = {"messages": MESSAGES["messages"], "system": MESSAGES["system"]}
        tool: Any = {
            "name": "look",
            "description": "Looks.",
            "input_schema": {"type": "object", "properties": {}},
        }
        bare = await client.messages.count_tokens(model="claude-x", **asked)
        more = await client.messages.count_tokens(model="claude-x", tools=[tool], **asked)
        google = genai.Client(api_key=gate.token, http_options=types.HttpOptions(base_url=root))
        gate.on_exit(google.aio.aclose)
        counted = await google.aio.models.count_tokens(model="claude-x", contents=SAID)
    assert bare.input_tokens >= 5
    assert more.input_tokens >= bare.input_tokens
    assert counted.total_tokens is not None
    assert 5 <= counted.total_tokens <= bare.input_tokens


@pytest.mark.parametrize(
    ("path", "dialect"), [(ANTHROPIC, "gemini.generate"), (GEMINI, "anthropic.messages")]
)
async def test_a_refusal_is_told_in_the_clients_dialect(tmp_path: Path, path: str, dialect: str) -> None:
    body, _ = request_of(path)
    body = body | {"model": "only/fail-429-retry-after-7"} if path == ANTHROPIC else body
    path = path.replace("echo", "fail-429-retry-after-7")
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(tmp_path, providers={"only": provider_of(fake, dialect)}) as gate,
    ):
        heard = await gate.send(gate.post(body, path=path))
    assert heard.status == 429
    error = answer_of(heard)["error"]
    assert (
        error["type"] == "rate_limit_error" if path == ANTHROPIC else error["status"] == "RESOURCE_EXHAUSTED"
    )


@pytest.mark.parametrize(
    "answer", [b"[1]", b"{}", b"no JSON", b'{"totalTokens":-1}', b'{"totalTokens":"many"}']
)
async def test_what_is_no_count_is_an_error(tmp_path: Path, answer: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
    body, _ = request_of(ANTHROPIC)
    async with gateway(tmp_path) as gate, scripted(gate, head + answer):
        snapshot = gate.control.snapshot
        entry = snapshot.providers["scripted"]
        face = Face(base_url=entry.base_url, headers={})
        entry = msgspec.structs.replace(entry, faces={"gemini": face}, dialects=("gemini.generate",))
        providers = snapshot.providers | {"scripted": entry}
        await gate.control.configure(msgspec.structs.replace(snapshot, version=9, providers=providers))
        heard = await gate.send(gate.post(body | {"model": "scripted/m"}, path=ANTHROPIC))
        await gate.settled(1)
    assert (heard.status, heard.json["type"]) == (502, "error")


async def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(tmp_path, providers={"only": provider_of(fake, "gemini.generate")}) as gate,
    ):
        heard = await gate.send(gate.post({"model": "only/echo", "messages": "x"}, path=ANTHROPIC))
        assert fake.stats.requests == 0
    assert heard.status == 400
