"""The lists of models, in the shape of each dialect, read by the official libraries where these know the fields."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import ollama
from anthropic import AsyncAnthropic
from google import genai
from google.genai import types

from chatvault.config.schema import ModelConfig
from chatvault.config.snapshot import ProviderSnapshot
from tests.gateway.harness import Gate, gateway

MODELS = {
    "one": ModelConfig(
        provider="fake", model="simulated", context=1_000, input=900, output=100, inputs=("text", "image"),
        outputs=("text",), tools=True, reasoning=True, structured_output=False, released="2025-09-29",
        knowledge="2025-07", retires="2027-01-01",
    ),
    "bare": ModelConfig(provider="fake", model="nothing-known"),
    "vectors": ModelConfig(provider="lab", model="text-embedding-3-small"),
}  # fmt: skip
LAB = ProviderSnapshot(
    name="lab", kind="openai", base_url="http://127.0.0.1:9/v1", dialects=("openai.chat",), price_id="openai"
)
SETTINGS: dict[str, Any] = {
    "models": MODELS,
    "known": {},
    "providers": {"lab": LAB},
    "prices": {"fake/simulated": {"input": 150_000}},
}


def root(gate: Gate) -> str:
    return gate.base_url.removesuffix("/v1")


async def asked(gate: Gate, request: bytes) -> Any:
    return (await gate.send(request)).json


async def test_openais_shape(tmp_path: Path) -> None:
    async with gateway(tmp_path, **SETTINGS) as gate:
        found = await asked(gate, gate.get("/v1/models"))
        one, bare, vectors = found["data"]
        alone = await asked(gate, gate.get("/v1/models/one"))
        read = await gate.client().models.retrieve("one")
    day = int(datetime(2025, 9, 29, tzinfo=UTC).timestamp())
    assert (
        one
        == alone
        == {
            "id": "one", "object": "model", "created": day, "owned_by": "fake", "context_length": 1_000,
            "max_output_length": 100, "input_modalities": ["text", "image"], "output_modalities": ["text"],
            "supported_features": ["tools", "reasoning"], "pricing": {"prompt": "0.00000015"},
            "knowledge_cutoff": "2025-07", "expiration_date": "2027-01-01",
        }
    )  # fmt: skip
    assert read.created == day
    assert bare == {"id": "bare", "object": "model", "created": 0, "owned_by": "fake"}
    assert vectors["context_length"] > 8_000
    assert vectors["pricing"]["prompt"] == "0.00000002"
    assert "supported_features" in vectors or "tools" not in vectors


async def test_anthropics_shape(tmp_path: Path) -> None:
    async with gateway(tmp_path, **SETTINGS) as gate:
        client = AsyncAnthropic(api_key=gate.token, base_url=root(gate), max_retries=0)
        gate.on_exit(client.close)
        listed = [model async for model in client.models.list()]
        one = await client.models.retrieve("one")
        raw = await asked(gate, gate.get("/v1/models/one", **{"anthropic-version": "2023-06-01"}))
    assert [model.id for model in listed] == ["one", "bare", "vectors"]
    assert (one.type, one.display_name, one.created_at) == ("model", "one", datetime(2025, 9, 29, tzinfo=UTC))
    assert (raw["max_input_tokens"], raw["max_tokens"]) == (900, 100)
    assert raw["capabilities"] == {
        "image_input": {"supported": True},
        "pdf_input": {"supported": False},
        "structured_outputs": {"supported": False},
        "thinking": {"supported": True},
    }
    bare = listed[1].model_dump(exclude_none=True)
    assert bare.keys() == {"type", "id", "display_name", "created_at"}


async def test_geminis_shape(tmp_path: Path) -> None:
    async with gateway(tmp_path, **SETTINGS) as gate:
        client = genai.Client(api_key=gate.token, http_options=types.HttpOptions(base_url=root(gate)))
        gate.on_exit(client.aio.aclose)
        listed = [model async for model in await client.aio.models.list()]
        one = await client.aio.models.get(model="one")
        token = gate.control.token(models=("bare",))
        missing = await asked(gate, gate.get("/v1beta/models/one", token=token))
    assert [model.name for model in listed] == ["models/one", "models/bare", "models/vectors"]
    assert (one.input_token_limit, one.output_token_limit, one.thinking) == (900, 100, True)
    assert one.supported_actions == ["generateContent", "streamGenerateContent", "countTokens"]
    assert listed[1].input_token_limit is None
    assert listed[2].supported_actions == ["embedContent", "batchEmbedContents"]
    assert missing["error"]["code"] == 404


async def test_ollamas_shape(tmp_path: Path) -> None:
    async with gateway(tmp_path, **SETTINGS) as gate:
        client = ollama.AsyncClient(host=root(gate), headers={"authorization": f"Bearer {gate.token}"})
        gate.on_exit(client.close)
        tags = (await client.list()).models
        one, bare, vectors = [await client.show(name) for name in MODELS]
        hidden = gate.control.token(models=("bare",))
        refused = await gate.send(gate.post({"model": "one"}, path="/api/show", token=hidden))
        broken = await gate.send(gate.post([], path="/api/show"))
    assert [tag.model for tag in tags] == ["one", "bare", "vectors"]
    assert tags[0].modified_at == datetime(2025, 9, 29, tzinfo=UTC)
    assert one.modelinfo is not None
    assert one.modelinfo["general.context_length"] == 1_000
    assert one.capabilities == ["completion", "tools", "vision", "thinking"]
    assert bare.capabilities == ["completion"]
    assert "general.context_length" not in (bare.modelinfo or {})
    assert vectors.capabilities == ["embedding"]
    assert refused.status == 404
    assert "one" not in msgspec.json.decode(refused.body)["error"].partition("those")[2]
    assert broken.status == 400


async def test_each_lists_what_the_token_may_use_alone(tmp_path: Path) -> None:
    async with gateway(tmp_path, **SETTINGS) as gate:
        token = gate.control.token(models=("bare",))
        anthropic = {"anthropic-version": "2023-06-01"}
        names = [
            [one["id"] for one in (await asked(gate, gate.get("/v1/models", token=token)))["data"]],
            [
                one["id"]
                for one in (await asked(gate, gate.get("/v1/models", token=token, **anthropic)))["data"]
            ],
            [
                one["name"][7:]
                for one in (await asked(gate, gate.get("/v1beta/models", token=token)))["models"]
            ],
            [one["name"] for one in (await asked(gate, gate.get("/api/tags", token=token)))["models"]],
        ]
        missing = await gate.send(gate.get("/v1/models/one", token=token, **anthropic))
    assert names == [["bare"]] * 4
    assert missing.status == 404


async def test_a_model_is_shown_by_a_name_with_a_slash_though_no_list_has_it(tmp_path: Path) -> None:
    """The libraries of OpenAI and Anthropic encode the slash, Google's does not."""
    name = "fake/of-tomorrow"
    async with gateway(tmp_path) as gate:
        claude = AsyncAnthropic(api_key=gate.token, base_url=root(gate), max_retries=0)
        google = genai.Client(api_key=gate.token, http_options=types.HttpOptions(base_url=root(gate)))
        gate.on_exit(claude.close)
        gate.on_exit(google.aio.aclose)
        assert (await gate.client().models.retrieve(name)).id == name
        assert (await claude.models.retrieve(name)).id == name
        assert (await google.aio.models.get(model=name)).name == f"models/{name}"
