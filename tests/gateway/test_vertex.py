"""Vertex AI behind the gateway, and clients of Vertex AI before it: with their own libraries, whole and streamed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest
from anthropic._constants import ANTHROPIC_API_VERSION
from google import genai
from google.auth.credentials import Credentials
from google.genai import types

from chatvault.config.schema import Config, ModelConfig, ProviderConfig
from chatvault.config.snapshot import AccessToken, Snapshot
from chatvault.core.clock import now_us
from chatvault.providers.resolve import resolve
from tests.control.token_endpoint import key_file
from tests.gateway.harness import KEY, Gate, decoded, gateway, until

PLACE = "/v1/projects/acme-llm/locations/us-east5/publishers"
CLAUDE = "vertex/claude-sonnet-4-5@20250929"
GEMINI = "vertex/gemini-2.5-flash"
SAID = "One two three four"
ASK: Any = {"max_tokens": 99, "messages": [{"role": "user", "content": SAID}]}


def lent(text: str = KEY, seconds: float = 3600) -> dict[str, AccessToken]:
    return {"vertex": AccessToken(text, now_us() + int(seconds * 1e6))}


@asynccontextmanager
async def vertex(tmp_path: Path, *, token: bool = True) -> AsyncIterator[Gate]:
    """`vertex` is the simulated provider as Vertex AI, which takes `KEY` as a token; `fake` and `anthropic` are it as it
    is."""
    async with gateway(tmp_path) as gate:
        accounts = {
            "vertex": ProviderConfig(base_url=gate.fake.url, location="us-east5", credentials=key_file()),
            "anthropic": ProviderConfig(base_url=gate.fake.url, api_key=KEY),
        }
        found = resolve(Config(providers=accounts), {}, False, None)
        old = gate.control.snapshot
        models = {
            "claude-vertex": ModelConfig(provider="vertex", model="claude-sonnet-4-5@20250929"),
            "claude-anthropic": ModelConfig(provider="anthropic", model="claude-sonnet-4-5"),
            "echo": ModelConfig(provider="fake"),
        }
        new = msgspec.structs.replace(old, providers={**old.providers, **found.providers}, models=models)
        await gate.control.configure(msgspec.structs.replace(new, version=2))
        if token:
            gate.control.lend(lent())
        yield gate


def root(gate: Gate) -> str:
    return gate.base_url.removesuffix("/v1")


def seen(gate: Gate) -> tuple[str, dict[str, Any]]:
    """The path and the body of the last request that Vertex AI got; and that it was signed."""
    last = gate.fake.last
    assert last is not None
    assert last.headers["authorization"] == f"Bearer {KEY}"
    assert gate.token not in "".join(last.headers.values())
    return last.path, msgspec.json.decode(last.body)


def claude(gate: Gate) -> anthropic.AsyncAnthropic:
    client = anthropic.AsyncAnthropic(base_url=root(gate), api_key=gate.token, max_retries=0)
    gate.on_exit(client.close)
    return client


async def test_a_client_of_anthropic_keeps_its_bytes_but_for_the_model(tmp_path: Path) -> None:
    body = b'{"model": "%s", "max_tokens": 9 , "x":"\\ud800 \xc3\xa9",\n"messages":[{"role":"user","content":"a b"}]}'
    async with vertex(tmp_path) as gate:
        heard = await gate.send(gate.post(body % CLAUDE.encode(), path="/v1/messages?beta=true"))
        assert heard.status == 200
        assert gate.fake.last is not None
        assert gate.fake.last.body == (
            b'{"anthropic_version":"vertex-2023-10-16", "max_tokens": 9 , "x":"\\ud800 \xc3\xa9",\n'
            b'"messages":[{"role":"user","content":"a b"}]}'
        )
        assert (gate.fake.last.path, gate.fake.last.query) == (
            f"{PLACE}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
            "",
        )


@pytest.mark.parametrize(
    ("said", "sent"),
    [("2023-06-01", "vertex-2023-10-16"), ("2026-10-21", "2026-10-21"), ('2"x', "vertex-2023-10-16")],
)
async def test_the_version_that_a_client_speaks_stands_in_the_body(
    tmp_path: Path, said: str, sent: str
) -> None:
    async with vertex(tmp_path) as gate:
        request = gate.post(ASK | {"model": CLAUDE}, path="/v1/messages", **{"anthropic-version": said})
        assert (await gate.send(request)).status == 200
        assert seen(gate)[1]["anthropic_version"] == sent


async def test_anthropics_library(tmp_path: Path) -> None:
    async with vertex(tmp_path) as gate:
        client = claude(gate)
        answer = await client.messages.create(model=CLAUDE, **ASK)
        assert answer.usage.output_tokens > 0
        path, body = seen(gate)
        assert path == f"{PLACE}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"
        assert body == ASK | {"anthropic_version": ANTHROPIC_API_VERSION}
        async with client.messages.stream(model=CLAUDE, **ASK) as stream:
            told = await stream.get_final_message()
        assert told.content[0].text == answer.content[0].text  # type: ignore[union-attr]
        path, body = seen(gate)
        assert path.endswith("models/claude-sonnet-4-5@20250929:streamRawPredict")
        assert body["stream"] is True
        counted = await client.messages.count_tokens(model=CLAUDE, messages=ASK["messages"])
        assert counted.input_tokens == answer.usage.input_tokens
        path, body = seen(gate)
        assert path == f"{PLACE}/anthropic/models/count-tokens:rawPredict"
        assert body["model"] == "claude-sonnet-4-5@20250929"
        with pytest.raises(anthropic.APIStatusError) as failed:
            await client.messages.create(model=f"{CLAUDE}+fail-529", **ASK)
        assert failed.value.status_code == 529
        await gate.settled(4)
        records = await gate.records()
    assert [line.state for line in records.closed] == ["completed"] * 3 + ["upstream_error"]
    for line in records.closed[:2]:
        assert line.usage is not None
        assert line.usage.output == answer.usage.output_tokens
        assert line.cost


async def test_googles_library_for_the_gemini_api(tmp_path: Path) -> None:
    async with vertex(tmp_path) as gate:
        client = genai.Client(api_key=gate.token, http_options=types.HttpOptions(base_url=root(gate)))
        gate.on_exit(client.aio.aclose)
        await speaks_gemini(gate, client, GEMINI)
        counted = await client.aio.models.count_tokens(model=GEMINI, contents=SAID)
        assert counted.total_tokens
        assert seen(gate)[0] == f"{PLACE}/google/models/gemini-2.5-flash:countTokens"


class Given(Credentials):  # type: ignore[misc,no-untyped-call,unused-ignore]
    """Credentials that are a gateway's token."""

    def __init__(self, token: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.token = token

    def refresh(self, request: object) -> None:
        raise AssertionError("it does not expire")


async def test_googles_library_for_vertex_ai(tmp_path: Path) -> None:
    async with vertex(tmp_path) as gate:
        client = genai.Client(
            vertexai=True,
            project="the-clients-own",
            location="europe-west1",
            credentials=Given(gate.token),
            http_options=types.HttpOptions(base_url=root(gate)),
        )
        gate.on_exit(client.aio.aclose)
        await speaks_gemini(gate, client, GEMINI)
        answer = await client.aio.models.generate_content(model="fake/echo", contents=SAID)
        assert answer.text == SAID  # by a provider that speaks OpenAI's


async def speaks_gemini(gate: Gate, client: genai.Client, model: str) -> None:
    answer = await client.aio.models.generate_content(model=model, contents=SAID)
    assert answer.text
    path, _ = seen(gate)
    assert path == f"{PLACE}/google/models/gemini-2.5-flash:generateContent"
    stream = await client.aio.models.generate_content_stream(model=model, contents=SAID)
    assert "".join([chunk.text or "" async for chunk in stream]) == answer.text
    path, _ = seen(gate)
    assert path == f"{PLACE}/google/models/gemini-2.5-flash:streamGenerateContent"
    assert gate.fake.last is not None
    assert "alt=sse" in gate.fake.last.query


@pytest.mark.parametrize("model", ["claude-vertex", "claude-anthropic", "echo"])
async def test_anthropics_library_for_vertex_ai(tmp_path: Path, model: str) -> None:
    """Whoever answers: the same API on Vertex AI, Anthropic's own, another's. It writes a model's name as one segment
    of a path, so that has to be one without a slash."""
    async with vertex(tmp_path) as gate:
        client = anthropic.AsyncAnthropicVertex(
            region="europe-west1",
            project_id="the-clients-own",
            access_token=gate.token,
            base_url=f"{root(gate)}/v1",
            max_retries=0,
        )
        gate.on_exit(client.close)
        whole = await client.messages.create(model=model, **ASK)
        assert whole.usage.output_tokens > 0
        assert gate.fake.last is not None
        body = msgspec.json.decode(gate.fake.last.body)
        if model != "claude-vertex":
            assert body["model"] == {"claude-anthropic": "claude-sonnet-4-5"}.get(model, model)
            assert "anthropic_version" not in body
        if model == "claude-anthropic":  # the version that the library speaks goes where it belongs
            assert gate.fake.last.headers["anthropic-version"] == ANTHROPIC_API_VERSION
        elif model == "claude-vertex":
            assert body["anthropic_version"] == ANTHROPIC_API_VERSION
        async with client.messages.stream(model=model, **ASK) as stream:
            told = await stream.get_final_message()
        assert told.content[0].text == whole.content[0].text  # type: ignore[union-attr]
        await gate.settled(2)
        records = await gate.records()
    assert [line.state for line in records.closed] == ["completed", "completed"]
    assert [line.model for line in records.closed] == [model, model]


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
async def test_other_clients_go_through_the_hub(tmp_path: Path, model: str) -> None:
    async with vertex(tmp_path) as gate:
        client = gate.client()
        answer = await client.chat.completions.create(
            model=model, max_tokens=50, messages=[{"role": "user", "content": SAID}]
        )
        path, body = seen(gate)
        assert "model" not in body
        assert path.endswith((":rawPredict", ":generateContent"))
        stream = await client.chat.completions.create(
            model=model, max_tokens=50, messages=[{"role": "user", "content": SAID}], stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert text == answer.choices[0].message.content
        assert seen(gate)[0].endswith((":streamRawPredict", ":streamGenerateContent"))


async def test_open_models_are_asked_in_openais_dialect(tmp_path: Path) -> None:
    async with vertex(tmp_path) as gate:
        await gate.send(gate.post({"model": "vertex/meta/llama-4", "messages": []}))
        path, body = seen(gate)
    assert path == "/v1/projects/acme-llm/locations/us-east5/endpoints/openapi/chat/completions"
    assert body["model"] == "meta/llama-4"


async def test_what_a_model_is_not_asked_in_is_refused(tmp_path: Path) -> None:
    async with vertex(tmp_path) as gate:
        heard = await gate.send(gate.post({"model": CLAUDE}, path="/v1/embeddings"))
        assert heard.status == 400
        assert gate.fake.last is None


async def test_tokens_are_counted_for_clients_of_the_other_dialect(tmp_path: Path) -> None:
    async with vertex(tmp_path) as gate:
        counted = await gate.send(gate.post(ASK | {"model": GEMINI}, path="/v1/messages/count_tokens"))
        path, body = seen(gate)
        assert path == f"{PLACE}/google/models/gemini-2.5-flash:countTokens"
        assert body["contents"][0]["role"] == "user"  # as Vertex AI has it: not in a member of another
        assert decoded(counted)["input_tokens"] > 0
        asked = {"contents": [{"role": "user", "parts": [{"text": SAID}]}]}
        counted = await gate.send(gate.post(asked, path=f"/v1beta/models/{CLAUDE}:countTokens"))
        path, body = seen(gate)
        assert path == f"{PLACE}/anthropic/models/count-tokens:rawPredict"
        assert body["model"] == "claude-sonnet-4-5@20250929"
        assert decoded(counted)["totalTokens"] > 0
        assert "x-chatvault-estimated" not in counted.headers


@pytest.mark.parametrize("tokens", [{}, lent(seconds=-1)], ids=["none", "expired"])
async def test_nothing_goes_out_without_a_valid_token(tmp_path: Path, tokens: dict[str, AccessToken]) -> None:
    async with vertex(tmp_path, token=False) as gate:
        gate.control.lend(tokens)
        for path in ("/v1/messages", "/v1/chat/completions"):
            heard = await gate.send(gate.post(ASK | {"model": CLAUDE}, path=path))
            assert heard.status == 503
            assert heard.headers["retry-after"] == "5"
            assert b"no valid access token for the provider 'vertex'" in heard.body
        assert gate.fake.last is None
        assert gate.fake.stats.connections == 0
        records = await gate.records()
    assert [
        (line.state, line.code, line.attempts, line.cost, line.cost_source) for line in records.closed
    ] == [("gateway_error", "provider_unusable", 0, 0, "free")] * 2


async def test_a_new_token_disturbs_nothing(tmp_path: Path) -> None:
    """Tokens change while calls are made and streams run; every call is signed with one that held when it was sent, and
    no connection is made anew for it."""
    keys = {KEY}
    async with vertex(tmp_path) as gate:
        gate.fake.routes._api_keys = keys
        async with httpx2.AsyncClient(base_url=root(gate), headers={"x-api-key": gate.token}) as client:
            ask = ASK | {"model": f"{CLAUDE}+pace-20ms", "stream": True}
            first = await client.post("/v1/messages", json=ASK | {"model": CLAUDE})
            assert first.status_code == 200

            async def streamed() -> None:
                async with client.stream("POST", "/v1/messages", json=ask) as answer:
                    assert answer.status_code == 200
                    body = "".join([part async for part in answer.aiter_text()])
                assert "message_stop" in body

            pool = gate.worker.upstream("vertex", "anthropic").pool
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(streamed()) for _ in range(5)]
                for number in range(20):
                    token = f"{KEY}-{number}"
                    keys.add(token)
                    gate.control.lend(lent(token))
                    await until(lambda token=token: gate.worker.tokens["vertex"].text == token)  # type: ignore[misc]
                    keys.intersection_update({token})
                    whole = await client.post("/v1/messages", json=ASK | {"model": CLAUDE})
                    assert whole.status_code == 200
                await asyncio.gather(*running)
            assert gate.worker.upstream("vertex", "anthropic").pool is pool
            assert gate.fake.stats.connections <= 7
        await gate.settled(26)
        records = await gate.records()
    assert {line.state for line in records.closed} == {"completed"}


async def test_a_worker_that_returns_to_control_is_given_the_present_tokens(tmp_path: Path) -> None:
    async with vertex(tmp_path) as gate:
        await until(lambda: gate.worker.tokens)
        await gate.control.stop()
        gate.control.access = lent("newer")
        assert gate.worker.tokens["vertex"].text == KEY  # it goes on with what it has
        await gate.control.start()
        await until(lambda: gate.worker.tokens["vertex"].text == "newer")


def test_the_wire_of_a_snapshot_has_a_place_for_who_signs() -> None:
    found = resolve(Config(providers={"vertex": ProviderConfig(credentials=key_file())}), {}, False, None)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Snapshot) == found
