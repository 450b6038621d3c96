"""Embeddings asked in every dialect, with its official library, of a provider that speaks each dialect alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import ollama
import openai
import pytest
from google import genai
from google.genai import types

from chatvault.config.schema import ModelConfig
from chatvault.fake import FakeProvider
from chatvault.fake.embeddings import vector
from chatvault.fake.text import count_prompt
from chatvault.wire.gemini.embeddings import GEMINI_EMBED
from chatvault.wire.ollama.embeddings import OLLAMA_EMBED, OLLAMA_EMBEDDINGS
from chatvault.wire.openai.embeddings import OPENAI_EMBEDDINGS
from tests.fake.raw import Heard
from tests.gateway.faces import provider_of
from tests.gateway.harness import KEY, RATES, Gate, decoded, gateway

TEXTS = ["One two three", "four"]
SIZE = 8
TOKENS = sum(count_prompt(len(text), 0) for text in TEXTS)
ANSWERING = ("openai.embeddings", "gemini.embed", "ollama.embed")
PATHS = {
    "openai.embeddings": "/v1/embeddings",
    "gemini.embed": "/v1beta/models/{model}:batchEmbedContents",
    "ollama.embed": "/api/embed",
}
DIALECTS = {
    "openai.embeddings": OPENAI_EMBEDDINGS,
    "gemini.embed": GEMINI_EMBED,
    "ollama.embed": OLLAMA_EMBED,
    "ollama.embeddings": OLLAMA_EMBEDDINGS,
}
outbound = pytest.mark.parametrize("answering", ANSWERING)
inbound = pytest.mark.parametrize("asked", ANSWERING)


class Vectors(NamedTuple):
    """`input`: the tokens that were told, None where the dialect has no place for them."""

    vectors: list[list[float]]
    input: int | None


class OpenAI:
    refused: Any = openai.OpenAIError

    def __init__(self, gate: Gate) -> None:
        self.client: Any = gate.client()

    async def embed(self, model: str, texts: list[str], **more: Any) -> Vectors:
        """The library asks for base64 unless it is told otherwise, and unpacks it."""
        answer = await self.client.embeddings.create(model=model, input=texts, dimensions=SIZE, **more)
        assert [each.index for each in answer.data] == list(range(len(texts)))
        return Vectors([each.embedding for each in answer.data], answer.usage and answer.usage.prompt_tokens)


class Google:
    refused: Any = genai.errors.APIError

    def __init__(self, gate: Gate) -> None:
        options = types.HttpOptions(base_url=gate.base_url.removesuffix("/v1"))
        made = genai.Client(api_key=gate.token, http_options=options)
        self.models: Any = made.aio.models
        gate.on_exit(made.aio.aclose)

    async def embed(self, model: str, texts: list[str], **more: Any) -> Vectors:
        contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]
        config = types.EmbedContentConfig(output_dimensionality=SIZE)
        answer = await self.models.embed_content(model=model, contents=contents, config=config)
        return Vectors([each.values for each in answer.embeddings], None)


class Llama:
    refused: Any = ollama.ResponseError

    def __init__(self, gate: Gate) -> None:
        root = gate.base_url.removesuffix("/v1")
        self.client: Any = ollama.AsyncClient(host=root, headers={"authorization": f"Bearer {gate.token}"})
        gate.on_exit(self.client.close)

    async def embed(self, model: str, texts: list[str], **more: Any) -> Vectors:
        answer = await self.client.embed(model=model, input=texts, dimensions=SIZE)
        return Vectors([list(each) for each in answer.embeddings], answer.prompt_eval_count)


LIBRARIES: dict[str, Any] = {"openai.embeddings": OpenAI, "gemini.embed": Google, "ollama.embed": Llama}


@asynccontextmanager
async def before(tmp_path: Path, dialect: str, **changes: Any) -> AsyncIterator[tuple[Gate, FakeProvider]]:
    """A gateway before a provider that speaks `dialect` alone."""
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(tmp_path, providers={"only": provider_of(fake, dialect)}, **changes) as gate,
    ):
        yield gate, fake


async def send(gate: Gate, asked: str, model: str, body: dict[str, Any], **headers: str) -> Heard:
    path = PATHS[asked].format(model=model)
    if asked != "gemini.embed":
        body = {"model": model, **body}
    return await gate.send(gate.post(body, path, **headers))


def body_of(asked: str, texts: list[str], **more: Any) -> dict[str, Any]:
    if asked == "gemini.embed":
        return {"requests": [{"content": {"parts": [{"text": text}]}, **more} for text in texts]}
    return {"input": texts, **more}


@inbound
@outbound
async def test_the_vectors_of_each_text(tmp_path: Path, asked: str, answering: str) -> None:
    async with before(tmp_path, answering, prices={"only/*": RATES}) as (gate, fake):
        library = LIBRARIES[asked](gate)
        for texts in (TEXTS, TEXTS[:1]):
            said = await library.embed("only/echo", texts)
            wanted = [pytest.approx(vector("echo", text, SIZE), abs=1e-7) for text in texts]
            assert said.vectors == wanted
        if asked == "openai.embeddings":
            floats = await library.embed("only/echo", TEXTS, encoding_format="float")
            assert floats.vectors == [pytest.approx(vector("echo", text, SIZE), abs=1e-7) for text in TEXTS]
        else:
            await library.embed("only/echo", TEXTS)
        await gate.settled(3)
        records = await gate.records()
        assert fake.stats.requests == 3
    first, last = records.closed[0], records.closed[-1]
    for line in (first, last):
        assert (line.state, line.usage_source, line.cost_source) == ("completed", "provider", "prices")
        assert line.usage is not None
        assert (line.usage.input, line.usage.output) == (TOKENS, 0)
        assert line.cost == TOKENS * RATES["input"]
    (opened, *_) = records.opened
    assert opened.reserved is not None
    assert opened.reserved >= TOKENS * RATES["input"]


@outbound
async def test_the_older_endpoint_of_ollama_has_one_vector(tmp_path: Path, answering: str) -> None:
    async with before(tmp_path, answering) as (gate, _):
        client = Llama(gate).client
        answer = await client.embeddings(model="only/echo", prompt=TEXTS[0])
        assert list(answer.embedding) == pytest.approx(vector("echo", TEXTS[0], 1536), abs=1e-7)
        await gate.settled(1)
        line = (await gate.records()).only()
    assert (line.endpoint, line.state, line.stream) == ("api.embeddings", "completed", False)


@inbound
@outbound
async def test_a_failure_is_told_in_the_clients_dialect(tmp_path: Path, asked: str, answering: str) -> None:
    faults = {
        "limited": ("fail-429-retry-after-7", 429, "upstream_status"),
        "down": ("fail-503", 503, "upstream_status"),
        "page": ("html", 502, "upstream_status"),
        "garbage": ("garbage", 502, "upstream_not_json"),
        "short": ("echo+events-1", 502, "upstream_not_json"),
        "cut": ("echo+cut-after-20", 502, "upstream_cut"),
    }
    if asked == answering:  # the bytes pass
        del faults["short"]
    models = {name: ModelConfig(provider="only", model=model) for name, (model, _, _) in faults.items()}
    async with before(tmp_path, answering, models=models) as (gate, _):
        library = LIBRARIES[asked](gate)
        for name, (_, status, _) in faults.items():
            with pytest.raises(library.refused):
                await library.embed(name, TEXTS)
            heard = await send(gate, asked, name, body_of(asked, TEXTS))
            assert heard.status == status
            refusal = DIALECTS[asked].read_error(status, heard.body)
            assert refusal.message
        await gate.settled(2 * len(faults))
        records = await gate.records()
    for line in records.closed:
        assert line.model is not None
        assert line.code == faults[line.model][2], line.model
        assert (line.usage, line.usage_source) == (None, "unknown")


@inbound
@outbound
async def test_what_cannot_be_carried(tmp_path: Path, asked: str, answering: str) -> None:
    if asked == answering:
        pytest.skip("nothing is translated")
    own = {
        "openai.embeddings": {"user": "u"},
        "gemini.embed": {"taskType": "RETRIEVAL_QUERY"},
        "ollama.embed": {"keep_alive": "5m"},
    }
    (name,) = own[asked]
    async with before(tmp_path, answering) as (gate, fake):
        body = body_of(asked, TEXTS, **own[asked])
        heard = await send(gate, asked, "only/echo", body)
        assert heard.status == 200
        assert heard.headers["x-chatvault-dropped"] == name
        strict = await send(gate, asked, "only/echo", body, x_chatvault_strict="1")
        assert strict.status == 400
        assert name in strict.body.decode()
        plain = await send(gate, asked, "only/echo", body_of(asked, TEXTS), x_chatvault_strict="1")
        assert plain.status == 200
        assert "x-chatvault-dropped" not in plain.headers
        assert fake.stats.requests == 2


async def test_more_texts_than_gemini_takes_are_refused_before_they_are_sent(tmp_path: Path) -> None:
    async with before(tmp_path, "gemini.embed") as (gate, fake):
        heard = await send(gate, "openai.embeddings", "only/echo", {"input": ["x"] * 101})
        assert (heard.status, decoded(heard)["error"]["param"]) == (400, "input")
        most = await send(gate, "openai.embeddings", "only/echo", {"input": ["x"] * 100, "dimensions": 2})
        assert (most.status, len(decoded(most)["data"])) == (200, 100)
        assert fake.stats.requests == 1


@inbound
async def test_a_provider_of_conversations_alone_has_none(tmp_path: Path, asked: str) -> None:
    async with before(tmp_path, "anthropic.messages") as (gate, fake):
        heard = await send(gate, asked, "only/echo", body_of(asked, TEXTS))
        assert heard.status == 400
        assert "does not speak" in heard.body.decode()
        assert fake.stats.requests == 0


async def test_a_provider_that_says_nothing_of_embeddings_is_asked_in_its_own_family(tmp_path: Path) -> None:
    async with before(tmp_path, "openai.chat") as (gate, _):
        heard = await send(gate, "openai.embeddings", "only/echo", {"input": "x", "dimensions": 3})
        assert heard.status == 200
        assert decoded(heard)["data"][0]["index"] == 0
        foreign = await send(gate, "ollama.embed", "only/echo", {"input": "x"})
        assert foreign.status == 400
