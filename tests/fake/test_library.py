"""The shapes, judged by the real client library."""

import asyncio
import base64
import io
import math
import struct
import wave
import zlib

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import ModerationTextInputParam
from openai.types.chat import (
    ChatCompletionCustomToolParam,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from chatvault.fake import FakeProvider
from chatvault.fake.text import count_prompt, pieces


class Weather(BaseModel):
    city: str
    degrees: float
    tags: list[str]
    inner: "Weather | None" = None


HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello, please."}]
PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
CHAT_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": PARAMETERS, "strict": True},
}
TOOL: FunctionToolParam = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
ARGUMENTS = '{"city":"sample city","unit":"c"}'


async def test_chat_is_the_same_each_time_whole_and_streamed(client: AsyncOpenAI) -> None:
    first = await client.chat.completions.create(model="gpt-any", messages=HELLO)
    second = await client.chat.completions.create(model="gpt-any", messages=HELLO)
    assert first == second
    assert first.model == "gpt-any"
    assert first.choices[0].finish_reason == "stop"
    stream = await client.chat.completions.create(model="gpt-any", messages=HELLO, stream=True)
    deltas = [chunk.choices[0].delta.content async for chunk in stream]
    assert "".join(delta or "" for delta in deltas) == first.choices[0].message.content
    other = await client.chat.completions.create(model="gpt-other", messages=HELLO)
    assert other.id != first.id
    assert other.choices[0].message.content != first.choices[0].message.content


async def test_echo_gives_back_what_the_user_said_last(client: AsyncOpenAI) -> None:
    said: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "x"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Grüße, "}, {"type": "text", "text": "日本 😀\n "}],
        },
    ]
    answer = await client.chat.completions.create(model="echo", messages=said)
    assert answer.choices[0].message.content == "Grüße, 日本 😀\n "


async def test_usage_counts_what_was_said(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="echo", messages=HELLO)
    usage = answer.usage
    assert usage is not None
    assert usage.prompt_tokens == count_prompt(len("Say hello, please.")) == 9
    assert usage.completion_tokens == len(pieces("Say hello, please.")) == 5
    assert usage.total_tokens == 14
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 0
    long: list[ChatCompletionMessageParam] = [{"role": "user", "content": "word " * 1000}]
    usage = (await client.chat.completions.create(model="gpt", messages=long)).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 512


async def test_a_streams_usage_comes_only_when_asked_for(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
    assert not [chunk async for chunk in stream if "usage" in chunk.model_fields_set]
    stream = await client.chat.completions.create(
        model="echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    content = [c for c in chunks[:-1] if c.choices[0].delta.content]
    assert chunks[-1].usage.completion_tokens == len(content) == 5


async def test_a_reasoner_reasons(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="fake/reasoner", messages=HELLO)
    usage = answer.usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 64
    assert usage.completion_tokens == 64 + len(pieces(answer.choices[0].message.content or ""))
    response = await client.responses.create(model="reasoner", input="hi")
    assert [item.type for item in response.output] == ["reasoning", "message"]


async def test_limits_stops_choices_and_logprobs(client: AsyncOpenAI) -> None:
    create = client.chat.completions.create
    answer = await create(model="echo", messages=HELLO, max_tokens=2, logprobs=True)
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Say hello", "length")
    assert choice.logprobs is not None
    assert [token.token for token in choice.logprobs.content or ()] == ["Say", " hello"]
    answer = await create(model="reasoner", messages=HELLO, max_completion_tokens=30)
    assert answer.choices[0].message.content == ""
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 30
    answer = await create(model="echo", messages=HELLO, stop=["zzz", " please"])
    assert answer.choices[0].message.content == "Say hello,"
    answer = await create(model="gpt", messages=HELLO, n=2)
    assert answer.choices[0].message.content != answer.choices[1].message.content
    stream = await create(model="gpt", messages=HELLO, n=2, stream=True, logprobs=True)
    streamed = {0: "", 1: ""}
    async for chunk in stream:
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == {c.index: c.message.content for c in answer.choices}


async def test_a_tool_is_called_once(client: AsyncOpenAI) -> None:
    create = client.chat.completions.create
    answer = await create(model="gpt", messages=HELLO, tools=[CHAT_TOOL])
    assert answer.choices[0].finish_reason == "tool_calls"
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    call = calls[0]
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", ARGUMENTS)
    replied: list[ChatCompletionMessageParam] = [
        *HELLO,
        {
            "role": "assistant",
            "tool_calls": [
                {"id": call.id, "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "12"},
    ]
    assert (await create(model="gpt", messages=replied, tools=[CHAT_TOOL])).choices[0].message.content
    assert (
        (await create(model="gpt", messages=HELLO, tools=[CHAT_TOOL], tool_choice="none"))
        .choices[0]
        .message.content
    )
    async with client.chat.completions.stream(model="gpt", messages=HELLO, tools=[CHAT_TOOL]) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.tool_calls is not None
    assert final.choices[0].message.tool_calls[0].function.arguments == ARGUMENTS


async def test_the_chosen_tool_is_called(client: AsyncOpenAI) -> None:
    custom: ChatCompletionCustomToolParam = {"type": "custom", "custom": {"name": "shell"}}
    answer = await client.chat.completions.create(
        model="gpt",
        messages=HELLO,
        tools=[CHAT_TOOL, custom],
        tool_choice={"type": "custom", "custom": {"name": "shell"}},
    )
    assert answer.choices[0].message.tool_calls is not None
    call = answer.choices[0].message.tool_calls[0]
    assert call.type == "custom"
    assert call.custom.input == "sample input for shell"
    with pytest.raises(openai.BadRequestError, match="tool_choice"):
        await client.chat.completions.create(
            model="gpt",
            messages=HELLO,
            tools=[CHAT_TOOL],
            tool_choice={"type": "function", "function": {"name": "other"}},
        )


async def test_structured_output_fits_its_schema(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.parse(model="gpt", messages=HELLO, response_format=Weather)
    parsed = completion.choices[0].message.parsed
    assert parsed is not None
    assert (parsed.city, parsed.degrees, parsed.tags) == ("sample city", 1.0, ["sample tags"])
    response = await client.responses.parse(model="gpt", input="hi", text_format=Weather)
    assert response.output_parsed == parsed
    loose = await client.chat.completions.create(
        model="gpt", messages=HELLO, response_format={"type": "json_object"}
    )
    assert loose.choices[0].message.content == '{"answer":"sample answer"}'
    loose_response = await client.responses.create(
        model="gpt", input="hi", text={"format": {"type": "json_object"}}
    )
    assert loose_response.output_text == '{"answer":"sample answer"}'


async def test_a_response_streams_the_real_sequence(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="echo", input="hello there", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(10))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "hello there"
    usage = last.response.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 2, 9)
    whole = await client.responses.create(model="echo", input="hello there")
    assert whole.usage == usage


async def test_a_response_reasons_first_and_may_lack_its_end(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="reasoner", input="hi", stream=True)
    types = [event.type async for event in stream]
    assert types[2:5] == [
        "response.output_item.added",
        "response.output_item.done",
        "response.output_item.added",
    ]
    stream = await client.responses.create(model="no-done", input="hi", stream=True)
    assert [event.type async for event in stream][-1] == "response.output_item.done"


async def test_a_response_calls_a_tool_once(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="gpt", input="hi", tools=[TOOL]) as stream:
        types = [event.type async for event in stream]
        final = await stream.get_final_response()
    call = final.output[0]
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("weather", ARGUMENTS)
    assert types.count("response.function_call_arguments.delta") > 5
    assert types[-1] == "response.completed"
    again = await client.responses.create(
        model="gpt",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {
                "type": "function_call",
                "call_id": call.call_id,
                "name": "weather",
                "arguments": call.arguments,
            },
            {"type": "function_call_output", "call_id": call.call_id, "output": "12"},
        ],
        tools=[TOOL],
    )
    assert again.output_text
    searched = await client.responses.create(model="gpt", input="hi", tools=[{"type": "web_search"}])
    assert searched.output_text
    custom = await client.responses.create(
        model="gpt",
        input="hi",
        tools=[TOOL, {"type": "custom", "name": "shell"}],
        tool_choice={"type": "custom", "name": "shell"},
    )
    assert custom.output[0].type == "custom_tool_call"
    with pytest.raises(openai.BadRequestError, match="tool_choice"):
        await client.responses.create(
            model="gpt", input="hi", tools=[TOOL], tool_choice={"type": "function", "name": "other"}
        )


async def test_a_response_cut_by_its_limit_is_incomplete(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="echo", input="one two three", max_output_tokens=2)
    assert (response.status, response.output_text) == ("incomplete", "one two")
    stream = await client.responses.create(
        model="echo", input="one two three", max_output_tokens=2, stream=True
    )
    assert [event.type async for event in stream][-1] == "response.incomplete"


async def test_text_completions(client: AsyncOpenAI) -> None:
    create = client.completions.create
    answer = await create(model="echo", prompt=["one two", "three"], n=2)
    assert [choice.text for choice in answer.choices] == ["one two", "one two", "three", "three"]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 6)
    assert (await create(model="echo", prompt="ab", echo=True, stop="b")).choices[0].text == "aba"
    assert (await create(model="echo", prompt=[7, 8])).choices[0].text == "7 8"
    answer = await create(model="echo", prompt=[[7], [8, 9]])
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3
    stream = await create(model="echo", prompt="one two", stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "one two"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2


async def test_embeddings_are_unit_vectors(client: AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model="e", input=["a", "b", "a"], dimensions=16)
    first, second, third = (item.embedding for item in answer.data)
    assert first == third != second
    assert len(first) == 16
    assert math.isclose(sum(number * number for number in first), 1.0, rel_tol=1e-5)
    assert answer.usage.prompt_tokens == 3
    floats = await client.embeddings.create(model="e", input="a", dimensions=16, encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(first, abs=1e-6)
    tokens = await client.embeddings.create(model="e", input=[[1, 2], [3]])
    assert (len(tokens.data), tokens.usage.total_tokens, len(tokens.data[0].embedding)) == (2, 3, 1536)
    assert len((await client.embeddings.create(model="e", input=[1, 2])).data) == 1
    for bad in ({"input": ""}, {"input": "a", "dimensions": 0}):
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(model="e", **bad)
    without = await client.embeddings.create(model="no-usage", input="a")
    assert "usage" not in without.model_fields_set


async def test_models_and_moderations(client: AsyncOpenAI) -> None:
    assert "echo" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("any/thing")).id == "any/thing"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("no-such-model")
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="no-such-model", messages=HELLO)
    checked = await client.moderations.create(input=["peace", "Violence!"])
    assert [result.flagged for result in checked.results] == [False, True]
    assert checked.results[1].categories.violence
    part: ModerationTextInputParam = {"type": "text", "text": "hate"}
    parts = await client.moderations.create(input=[part])
    assert parts.results[0].categories.hate


async def test_speech_is_sound(client: AsyncOpenAI) -> None:
    spoken = await client.audio.speech.create(
        model="s", voice="alloy", input="one two three four", response_format="wav"
    )
    with wave.open(io.BytesIO(spoken.content)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(0.2)
    bare = await client.audio.speech.create(
        model="s", voice="alloy", input="one two three four", response_format="pcm"
    )
    assert spoken.content[44:] == bare.content
    async with client.audio.speech.with_streaming_response.create(
        model="s", voice="alloy", input="one two three four", stream_format="sse"
    ) as response:
        text = await response.text()
    assert text.count("speech.audio.delta") == 1
    assert '"output_tokens":1' in text


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_transcriptions_hear_the_file(client: AsyncOpenAI) -> None:
    spoken = await client.audio.speech.create(model="s", voice="alloy", input="word " * 30)
    create = client.audio.transcriptions.create
    file = ("a.wav", spoken.content)
    heard = await create(model="transcriber", file=file)
    assert heard.text.endswith(".")
    assert heard.usage is not None
    assert heard.usage.type == "tokens"
    assert heard.usage.input_tokens == 20
    assert (await create(model="transcriber", file=("b.mp3", b"other"))).text != heard.text
    timed = await create(model="whisper", file=file)
    assert timed.usage is not None
    assert timed.usage.type == "duration"
    assert timed.usage.seconds == 2
    assert await create(model="t", file=file, response_format="text") == heard.text + "\n"
    assert "--> 00:00:01,500" in await create(model="t", file=file, response_format="srt")
    assert (await create(model="t", file=file, response_format="vtt")).startswith("WEBVTT")
    verbose = await create(model="t", file=file, response_format="verbose_json")
    assert verbose.duration == pytest.approx(1.5)
    events = [event async for event in await create(model="t", file=file, stream=True)]
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == heard.text
    assert events[-1].type == "transcript.text.done"
    assert (await client.audio.translations.create(model="t", file=file)).text == heard.text


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_images_are_pictures(client: AsyncOpenAI) -> None:
    made = await client.images.generate(model="i", prompt="a cat", n=2, size="256x256")
    assert made.data is not None
    first, second = (base64.b64decode(image.b64_json or "") for image in made.data)
    assert first != second
    assert struct.unpack(">II", first[16:24]) == (256, 256)
    start = first.index(b"IDAT")
    size = struct.unpack(">I", first[start - 4 : start])[0]
    assert len(zlib.decompress(first[start + 4 : start + 4 + size])) == 256 * 33
    assert made.usage is not None
    assert made.usage.output_tokens == 544
    linked = await client.images.generate(model="i", prompt="a cat", response_format="url")
    assert linked.data is not None
    assert (linked.data[0].url or "").startswith("https://images.invalid/")
    stream = await client.images.generate(model="i", prompt="a cat", stream=True, partial_images=2)
    assert [event.type async for event in stream] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    edited = await client.images.edit(model="i", prompt="a dog", image=("a.png", first), n=1)
    assert edited.usage is not None
    assert edited.usage.input_tokens_details.image_tokens == 100
    varied = await client.images.create_variation(image=("a.png", first))
    assert varied.data
    with pytest.raises(openai.BadRequestError, match="size"):
        await client.images.generate(model="i", prompt="a cat", size="huge")


async def test_files_come_and_go(client: AsyncOpenAI) -> None:
    assert [file.id async for file in client.files.list()] == []
    stored = await client.files.create(file=("lines.jsonl", b"{}\n"), purpose="batch")
    assert (stored.filename, stored.bytes, stored.purpose) == ("lines.jsonl", 3, "batch")
    assert await client.files.retrieve(stored.id) == stored
    assert (await client.files.content(stored.id)).content == b"{}\n"
    assert [file.id async for file in client.files.list()] == [stored.id]
    assert (await client.files.delete(stored.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(stored.id)
    for number in range(102):
        await client.files.create(file=(f"{number}.txt", str(number).encode()), purpose="batch")
    assert len([file async for file in client.files.list()]) == 100


async def test_bad_requests_name_the_field(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="gpt", messages=[])
    assert caught.value.param == "messages"
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="gpt", messages=HELLO, max_tokens="x")  # type: ignore[call-overload]
    assert caught.value.param == "max_tokens"
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post("/audio/transcriptions", body={"model": "x"}, cast_to=object)
    assert "multipart" in str(caught.value)
    with pytest.raises(openai.BadRequestError) as caught:
        await client.images.edit(model="i", image=("a.png", b""), prompt=None)  # type: ignore[call-overload]
    assert "prompt" in str(caught.value)
    with pytest.raises(openai.NotFoundError):
        await client.get("/batches", cast_to=object)


async def test_the_synchronous_library_works_too(fake: FakeProvider) -> None:
    def work() -> tuple[str, str]:
        with OpenAI(base_url=fake.base_url, api_key="any", max_retries=0) as library:
            whole = library.chat.completions.create(model="gpt", messages=HELLO).choices[0].message.content
            stream = library.chat.completions.create(model="gpt", messages=HELLO, stream=True)
            return whole or "", "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    whole, streamed = await asyncio.to_thread(work)
    assert whole == streamed != ""


async def test_a_key_is_checked_only_if_there_is_one() -> None:
    async with FakeProvider(api_key="right") as fake:
        for key, works in (("right", True), ("wrong", False)):
            async with AsyncOpenAI(base_url=fake.base_url, api_key=key, max_retries=0) as library:
                if works:
                    await library.models.list()
                else:
                    with pytest.raises(openai.AuthenticationError):
                        await library.models.list()
