"""The real client library against the gateway, sync and async."""

import asyncio
import io
import wave
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from pydantic import BaseModel

from tests.gateway.harness import Gate, gateway
from tests.gateway.records import Records

SAY: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    name: str
    age: int


def sound() -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\0\0" * 8000)
    file.seek(0)
    file.name = "sound.wav"
    return file


async def records_of(gate: Gate) -> Records:
    return await asyncio.to_thread(Records, gate.journal)


async def test_chat(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = gate.client()
        answer = await client.chat.completions.create(model="fake/echo", messages=SAY)
        assert answer.choices[0].message.content == "hello there"
        assert answer.usage is not None
        stream = await client.chat.completions.create(model="fake/echo", messages=SAY, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == "hello there"
        stream = await client.chat.completions.create(
            model="fake/echo", messages=SAY, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens > 0
        assert chunks[-1].choices == []
    for record in (await records_of(gate)).closed:
        assert (record.state, record.usage_source, record.finish) == ("completed", "provider", "stop")


async def test_tools_and_structured_output(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = gate.client()
        answer = await client.chat.completions.create(model="fake/simulated", messages=SAY, tools=[WEATHER])
        assert answer.choices[0].finish_reason == "tool_calls"
        calls = answer.choices[0].message.tool_calls
        assert calls is not None
        assert calls[0].type == "function"
        assert calls[0].function.name == "weather"
        async with client.chat.completions.stream(
            model="fake/simulated", messages=SAY, tools=[WEATHER]
        ) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.tool_calls
        parsed = await client.chat.completions.parse(
            model="fake/simulated", messages=SAY, response_format=Person
        )
        assert isinstance(parsed.choices[0].message.parsed, Person)
        response = await client.responses.parse(model="fake/simulated", input="who?", text_format=Person)
        assert isinstance(response.output_parsed, Person)
    assert {record.state for record in (await records_of(gate)).closed} == {"completed"}


async def test_completions_embeddings_and_moderations(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = gate.client()
        answer = await client.completions.create(model="fake/echo", prompt="hello there")
        assert answer.choices[0].text
        stream = await client.completions.create(model="fake/echo", prompt="hello there", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == answer.choices[0].text
        vectors = await client.embeddings.create(
            model="fake/simulated-embedding", input=["a", "b"], dimensions=8
        )
        assert [len(item.embedding) for item in vectors.data] == [8, 8]
        judged = await client.moderations.create(model="fake/any", input="harassment and more")
        assert judged.results[0].flagged
    assert {record.state for record in (await records_of(gate)).closed} == {"completed"}


async def test_responses(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = gate.client()
        answer = await client.responses.create(model="fake/echo", input="hello there")
        assert answer.output_text == "hello there"
        assert answer.usage is not None
        stream = await client.responses.create(model="fake/echo", input="hello there", stream=True)
        events = [event async for event in stream]
        assert events[-1].type == "response.completed"
        assert events[-1].response.output_text == "hello there"
        with pytest.raises(openai.PermissionDeniedError):
            await client.responses.retrieve("resp_1")
    for record in (await records_of(gate)).closed:
        assert (record.state, record.usage_source, record.finish) == ("completed", "provider", "completed")


async def test_models(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = gate.client()
        names = [model.id async for model in client.models.list()]
        assert names == ["public", "fake/echo", "fake/simulated"]
        assert (await client.models.retrieve("public")).owned_by == "fake"
        with pytest.raises(openai.NotFoundError, match="not among those"):
            await gate.client(gate.control.token(models=("fake/*",))).models.retrieve("public")
    assert not (await records_of(gate)).opened


async def test_sound_and_images(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = gate.client()
        heard = await client.audio.transcriptions.create(model="fake/any", file=sound())
        assert heard.text
        speech = await client.audio.speech.create(model="fake/any", voice="alloy", input="some words")
        assert (await speech.aread()).startswith(b"RIFF")
        async with client.audio.speech.with_streaming_response.create(
            model="fake/any", voice="alloy", input="some words"
        ) as streaming:
            assert b"".join([part async for part in streaming.iter_bytes()]).startswith(b"RIFF")
        picture = await client.images.generate(model="fake/any", prompt="a cat", size="256x256")
        assert picture.data is not None
        assert picture.data[0].b64_json
        edited = await client.images.edit(
            model="fake/any", prompt="a dog", image=("a.png", b"\x89PNG", "image/png")
        )
        assert edited.data
    records = await records_of(gate)
    assert {record.state for record in records.closed} == {"completed"}
    assert len({record.endpoint for record in records.closed}) == 4


async def test_raw_answers_tell_their_record(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        raw = await gate.client().chat.completions.with_raw_response.create(model="fake/echo", messages=SAY)
        assert raw.parse().choices[0].message.content == "hello there"
        record = (await records_of(gate)).only()
        assert raw.headers["x-request-id"] == record.id
        assert raw.headers["x-provider-request-id"] == record.upstream_id


async def test_errors_come_as_the_librarys_own(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = gate.client()

        async def ask(model: str, client: AsyncOpenAI = client) -> object:
            return await client.chat.completions.create(model=model, messages=SAY)

        with pytest.raises(openai.AuthenticationError, match="begin with 'cv-'"):
            await ask("fake/echo", gate.client("sk-wrong"))
        with pytest.raises(openai.RateLimitError) as limited:
            await ask("fake/fail-429-retry-after-3")
        assert limited.value.response.headers["retry-after"] == "3"
        with pytest.raises(openai.InternalServerError):
            await ask("fake/fail-500")
        with pytest.raises(openai.InternalServerError, match="not JSON"):
            await ask("fake/garbage")
        with pytest.raises(openai.BadRequestError):
            await ask("fake/fail-400")
        for model in ("fake/cut-after-3", "fake/reset-after-3", "fake/error-in-stream-after-3"):
            stream = await client.chat.completions.create(model=model, messages=SAY, stream=True)
            with pytest.raises(openai.APIError):
                [chunk async for chunk in stream]


async def test_a_stream_that_is_left_early_is_cancelled_upstream(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        stream = await gate.client().chat.completions.create(
            model="fake/pace-10ms+events-1000",
            messages=SAY,
            stream=True,
        )
        async for _ in stream:
            break
        await stream.close()
        await gate.settled(1)
    record = (await records_of(gate)).only()
    assert (record.state, record.usage_source) == ("client_gone", "estimated")


async def test_the_librarys_own_retries_are_calls_of_their_own(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = gate.client().with_options(max_retries=2)
        answer = await client.chat.completions.create(model="fake/echo+fail-first-1", messages=SAY)
        assert answer.choices[0].message.content == "hello there"
    states = [record.state for record in (await records_of(gate)).closed]
    assert states == ["upstream_error", "completed"]


async def test_the_synchronous_library(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        await asyncio.to_thread(_synchronously, gate.base_url, gate.token)
    assert {record.state for record in (await records_of(gate)).closed} == {"completed"}


def _synchronously(base_url: str, token: str) -> None:
    with OpenAI(base_url=base_url, api_key=token, max_retries=0) as client:
        answer = client.chat.completions.create(model="fake/echo", messages=SAY)
        assert answer.choices[0].message.content == "hello there"
        with client.chat.completions.create(model="fake/echo", messages=SAY, stream=True) as stream:
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "hello there"
        assert len(client.embeddings.create(model="fake/any", input="x").data) == 1
        assert client.responses.create(model="fake/echo", input="hi").output_text == "hi"
        with client.responses.stream(model="fake/echo", input="hi") as events:
            assert events.get_final_response().output_text == "hi"
        assert next(iter(client.models.list())).id == "public"
        assert client.audio.transcriptions.create(model="fake/any", file=sound()).text
        parsed = client.chat.completions.parse(model="fake/simulated", messages=SAY, response_format=Person)
        assert isinstance(parsed.choices[0].message.parsed, Person)
