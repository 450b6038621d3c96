"""Clients of every dialect, with their own libraries, answered by a provider that speaks OpenAI's."""

from pathlib import Path

import ollama
import pytest
from google import genai
from google.genai import types

from tests.gateway.harness import Gate, gateway

SAID = "One two three four"


def root(gate: Gate) -> str:
    return gate.base_url.removesuffix("/v1")


async def test_googles_library(tmp_path: Path) -> None:
    async with gateway(tmp_path, known={"fake": ("echo",)}) as gate:
        client = genai.Client(api_key=gate.token, http_options=types.HttpOptions(base_url=root(gate)))
        gate.on_exit(client.aio.aclose)
        answer = await client.aio.models.generate_content(model="fake/echo", contents=SAID)
        assert answer.text == SAID
        assert answer.usage_metadata is not None
        assert answer.usage_metadata.candidates_token_count == 4
        stream = await client.aio.models.generate_content_stream(model="fake/echo", contents=SAID)
        parts = [chunk.text async for chunk in stream]
        assert "".join(part or "" for part in parts) == SAID
        assert len(parts) > 1
        names = [model.name async for model in await client.aio.models.list()]
        assert "models/fake/echo" in names
        with pytest.raises(genai.errors.ClientError) as missing:
            await client.aio.models.generate_content(model="fake/no-such-model", contents="x")
        assert missing.value.code == 404
        await gate.settled(3)
        records = await gate.records()
    assert [line.state for line in records.closed] == ["completed", "completed", "upstream_error"]
    assert [line.endpoint for line in records.closed[:2]] == ["generateContent", "streamGenerateContent"]
    assert all(line.usage is not None and line.usage.output == 4 for line in records.closed[:2])


async def test_ollamas_library(tmp_path: Path) -> None:
    async with gateway(tmp_path, known={"fake": ("echo",)}) as gate:
        client = ollama.AsyncClient(host=root(gate), headers={"authorization": f"Bearer {gate.token}"})
        gate.on_exit(client.close)
        asked = [{"role": "user", "content": SAID}]
        answer = await client.chat(model="fake/echo", messages=asked)
        assert answer.message.content == SAID
        assert answer.eval_count == 4
        parts = [part async for part in await client.chat(model="fake/echo", messages=asked, stream=True)]
        assert "".join(part.message.content or "" for part in parts) == SAID
        assert parts[-1].done
        made = await client.generate(model="fake/echo", prompt=SAID)
        assert made.response == SAID
        listed = await client.list()
        assert "fake/echo" in [model.model for model in listed.models]
        with pytest.raises(ollama.ResponseError) as missing:
            await client.chat(model="fake/no-such-model", messages=asked)
        assert missing.value.status_code == 404
        await gate.settled(4)
        records = await gate.records()
    assert [line.endpoint for line in records.closed] == ["api.chat", "api.chat", "api.generate", "api.chat"]
    assert all(line.usage is not None for line in records.closed[:3])


async def test_a_stream_of_gemini_without_server_sent_events_is_one_array(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        body = b'{"contents":[{"parts":[{"text":"One two"}]}]}'
        heard = await gate.send(
            gate.post(body, path="/v1beta/models/fake/echo:streamGenerateContent", authorization="")
        )
        assert heard.status == 401
        assert b'"UNAUTHENTICATED"' in heard.body
