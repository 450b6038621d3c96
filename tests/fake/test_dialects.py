"""The dialects of Anthropic, Gemini and Ollama, judged by their own libraries."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import ollama
import pytest
from google import genai
from google.genai import types

from chatvault.fake import FakeProvider
from chatvault.fake.text import count_prompt
from tests.fake.raw import ask, written

SAID = "One two three four"
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
    "required": ["city", "unit"],
}
ARGUMENTS = {"city": "sample city", "unit": "c"}
MESSAGES = "/v1/messages"
CHAT = "/api/chat"


@pytest.fixture
async def claude(fake: FakeProvider) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=fake.url, api_key="any", max_retries=0) as library:
        yield library


@pytest.fixture
async def gemini(fake: FakeProvider) -> AsyncIterator[genai.client.AsyncClient]:
    made = genai.Client(
        api_key="any", http_options=types.HttpOptions(base_url=fake.url, api_version="v1beta")
    )
    yield made.aio
    await made.aio.aclose()


@pytest.fixture
async def llama(fake: FakeProvider) -> AsyncIterator[ollama.AsyncClient]:
    made: Any = ollama.AsyncClient(host=fake.url)
    yield made
    await made.close()


def asked(model: str = "echo", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": SAID}], **fields}


def prompted(model: str = "echo", **fields: Any) -> dict[str, Any]:
    return asked(model, max_tokens=64, **fields)


async def test_the_same_question_has_the_same_answer_in_every_dialect(
    client: Any,
    claude: Any,
    gemini: Any,
    llama: Any,
) -> None:
    chat = await client.chat.completions.create(**asked("any"))
    message = await claude.messages.create(**prompted("any"))
    generated = await gemini.models.generate_content(model="any", contents=SAID)
    said = await llama.chat(**asked("any"))
    text = chat.choices[0].message.content
    assert [message.content[0].text, generated.text, said.message.content] == [text] * 3
    prompt = count_prompt(len(SAID))
    usage = generated.usage_metadata
    assert usage is not None
    assert [message.usage.input_tokens, usage.prompt_token_count, said.prompt_eval_count] == [prompt] * 3
    counted = await claude.messages.count_tokens(**asked())
    assert counted.input_tokens == prompt
    assert (await gemini.models.count_tokens(model="echo", contents=SAID)).total_tokens == prompt


async def test_anthropics_stream_is_the_real_sequence(claude: Any) -> None:
    events = [event async for event in await claude.messages.create(**prompted(stream=True))]
    kinds = [event.type for event in events]
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 4,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    async with claude.messages.stream(**prompted()) as stream:
        final = await stream.get_final_message()
    whole = await claude.messages.create(**prompted())
    assert final.content[0].model_dump(include={"text"}) == {"text": SAID}
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 4)
    assert (whole.stop_reason, whole.usage.output_tokens) == ("end_turn", 4)
    cut = await claude.messages.create(**{**prompted(), "max_tokens": 2})
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 2)
    stopped = await claude.messages.create(**prompted(stop_sequences=["three"]))
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "three")


async def test_a_ping_stands_in_anthropics_stream(fake: FakeProvider) -> None:
    heard = await ask(fake, written(prompted(stream=True), MESSAGES))
    assert heard.body.count(b'event: ping\ndata: {"type":"ping"}\n\n') == 1


async def test_anthropics_tools(claude: Any) -> None:
    tools = [
        {"name": "clock", "input_schema": {"type": "object"}},
        {"name": "weather", "input_schema": PARAMETERS},
    ]
    wish = prompted(tools=tools, tool_choice={"type": "tool", "name": "weather"})
    whole = await claude.messages.create(**wish)
    async with claude.messages.stream(**wish) as stream:
        final = await stream.get_final_message()
    (block,) = whole.content
    for message in (whole, final):
        (block,) = message.content
        assert message.stop_reason == "tool_use"
        assert (block.type, block.name, block.input) == ("tool_use", "weather", ARGUMENTS)
    result = {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "sunny"}]}
    turns = [{"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    after = await claude.messages.create(**{**wish, "messages": [*wish["messages"], *turns]})
    assert (after.content[0].type, after.content[0].text) == ("text", SAID)
    first = await claude.messages.create(**prompted(tools=tools))
    assert first.content[0].name == "clock"
    none = await claude.messages.create(**prompted(tools=tools, tool_choice={"type": "none"}))
    assert none.content[0].type == "text"
    with pytest.raises(anthropic.BadRequestError, match="tool_choice"):
        await claude.messages.create(**prompted(tools=tools, tool_choice={"type": "tool", "name": "none"}))


async def test_anthropics_errors(claude: Any) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        await claude.messages.create(**prompted("no-such-model"))
    assert missing.value.type == "not_found_error"
    with pytest.raises(anthropic.RateLimitError) as limited:
        await claude.messages.create(**prompted("fail-429-retry-after-2"))
    assert limited.value.response.headers["retry-after"] == "2"
    with pytest.raises(anthropic.BadRequestError, match="does not fit"):
        await claude.messages.create(**prompted(), extra_body={"max_tokens": None})
    with pytest.raises(anthropic.BadRequestError, match="at least one message"):
        await claude.messages.create(model="echo", max_tokens=1, messages=[])
    with pytest.raises(anthropic.APIStatusError, match="broke off"):
        async with claude.messages.stream(**prompted("echo+error-in-stream-after-4")) as stream:
            await stream.get_final_message()


async def test_geminis_streams(fake: FakeProvider, gemini: Any) -> None:
    stream = await gemini.models.generate_content_stream(model="echo", contents=SAID)
    chunks = [chunk async for chunk in stream]
    assert [chunk.text for chunk in chunks] == ["One", " two", " three", " four", ""]
    assert [c.usage_metadata and c.usage_metadata.candidates_token_count for c in chunks] == [1, 2, 3, 4, 4]
    assert chunks[-1].candidates is not None
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    body = {"contents": [{"parts": [{"text": SAID}]}]}
    heard = await ask(fake, written(body, "/v1beta/models/echo:streamGenerateContent"))
    assert heard.headers["content-type"] == "application/json"
    array = json.loads(heard.body)
    assert [each["candidates"][0]["content"]["parts"][0]["text"] for each in array] == [
        c.text for c in chunks
    ]
    for model in ("no-done", "cut-after-2"):
        open_ended = await ask(fake, written(body, f"/v1beta/models/echo%2B{model}:streamGenerateContent"))
        assert not open_ended.body.rstrip().endswith(b"]")


async def test_geminis_wishes(gemini: Any) -> None:
    thought = await gemini.models.generate_content(
        model="reasoner+cached-3",
        contents=SAID,
        config=types.GenerateContentConfig(
            max_output_tokens=70, candidate_count=2, system_instruction="Be brief."
        ),
    )
    assert thought.candidates is not None
    assert thought.usage_metadata is not None
    assert [each.finish_reason for each in thought.candidates] == ["MAX_TOKENS"] * 2
    assert thought.usage_metadata.thoughts_token_count == 128
    assert thought.usage_metadata.candidates_token_count == 12
    assert thought.usage_metadata.cached_content_token_count == 3
    schema = types.Schema(type=types.Type.OBJECT, properties={"n": types.Schema(type=types.Type.INTEGER)})
    fitting = await gemini.models.generate_content(
        model="any",
        contents=SAID,
        config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema),
    )
    assert fitting.text == '{"n":1}'
    names = [model.name async for model in await gemini.models.list()]
    assert "models/echo" in names
    assert (await gemini.models.get(model="models/any")).name == "models/any"


async def test_geminis_tools(gemini: Any) -> None:
    functions = [types.FunctionDeclaration(name="weather", parameters_json_schema=PARAMETERS)]
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=functions)])
    whole = await gemini.models.generate_content(model="echo", contents=SAID, config=config)
    stream = await gemini.models.generate_content_stream(model="echo", contents=SAID, config=config)
    chunks = [chunk async for chunk in stream]
    (call,) = whole.function_calls
    for answer in (whole, chunks[0]):
        (call,) = answer.function_calls
        assert (call.name, call.args) == ("weather", ARGUMENTS)
    after = await gemini.models.generate_content(
        model="echo",
        contents=[
            types.Content(role="user", parts=[types.Part(text=SAID)]),
            types.Content(role="model", parts=[types.Part(function_call=call)]),
            types.Content(
                role="user",
                parts=[types.Part.from_function_response(name="weather", response={"result": "sunny"})],
            ),
        ],
        config=config,
    )
    assert after.text == SAID


async def test_geminis_errors(fake: FakeProvider, gemini: Any) -> None:
    with pytest.raises(genai.errors.ClientError) as missing:
        await gemini.models.generate_content(model="no-such-model", contents="x")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
    with pytest.raises(genai.errors.ServerError) as failed:
        await gemini.models.generate_content(model="fail-503", contents="x")
    assert (failed.value.code, failed.value.status) == (503, "UNAVAILABLE")
    with pytest.raises(genai.errors.APIError, match="broke off"):
        async for _ in await gemini.models.generate_content_stream(
            model="error-in-stream-after-2", contents="x"
        ):
            pass
    empty = await ask(fake, written({"contents": []}, "/v1beta/models/echo:generateContent"))
    assert (empty.status, empty.json["error"]["status"]) == (400, "INVALID_ARGUMENT")  # type: ignore[index]


async def test_ollamas_answers(llama: Any) -> None:
    parts = [part async for part in await llama.chat(**asked(stream=True))]
    assert [part.message.content for part in parts] == ["One", " two", " three", " four", ""]
    assert [part.done for part in parts] == [False] * 4 + [True]
    assert (parts[-1].done_reason, parts[-1].eval_count) == ("stop", 4)
    cut = await llama.chat(**asked(options={"num_predict": 2, "stop": "x"}))
    assert (cut.message.content, cut.done_reason) == ("One two", "length")
    fitting = await llama.chat(**asked(format=PARAMETERS))
    assert fitting.message.content == '{"city":"sample city","unit":"c"}'
    assert "echo" in [model.model for model in (await llama.list()).models]


async def test_ollamas_tools(llama: Any) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
    whole = await llama.chat(**asked(tools=tools))
    parts = [part async for part in await llama.chat(**asked(tools=tools, stream=True))]
    for message in (whole.message, parts[0].message):
        (call,) = message.tool_calls
        assert (call.function.name, call.function.arguments) == ("weather", ARGUMENTS)
    messages = [
        *asked()["messages"],
        whole.message,
        {"role": "tool", "content": "sunny", "tool_name": "weather"},
    ]
    after = await llama.chat(model="echo", messages=messages, tools=tools)
    assert after.message.content == SAID


async def test_ollamas_errors(fake: FakeProvider, llama: Any) -> None:
    with pytest.raises(ollama.ResponseError) as missing:
        await llama.chat(**asked("no-such-model"))
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="broke off"):
        async for _ in await llama.chat(**asked("error-in-stream-after-2", stream=True)):
            pass
    with pytest.raises(ollama.ResponseError, match="messages"):
        await llama.chat(model="echo", messages=[])
    whole = await ask(fake, written(asked("error-in-stream-after-0", stream=False), CHAT))
    assert (whole.status, whole.json) == (200, {"error": "The simulated model broke off."})
    version = await ask(fake, b"GET /api/version HTTP/1.1\r\nhost: fake\r\n\r\n")
    assert version.json == {"version": "0.13.0"}


@pytest.mark.parametrize("fault", ["no-usage", "usage-null"])
async def test_usage_can_be_left_out(fake: FakeProvider, fault: str) -> None:
    said = {"contents": [{"parts": [{"text": SAID}]}]}
    path = f"/v1beta/models/{fault}"
    for stream in (False, True):
        verb = "streamGenerateContent" if stream else "generateContent"
        for request in (
            written(prompted(fault, stream=stream), MESSAGES),
            written(said, f"{path}:{verb}"),
            written(asked(fault, stream=stream), CHAT),
        ):
            heard = await ask(fake, request)
            assert (b'"usage' in heard.body or b'"eval_count' in heard.body) == (fault == "usage-null")
            assert b"_tokens" not in heard.body
            assert b"TokenCount" not in heard.body


@pytest.mark.parametrize(
    ("header", "path"),
    [("x-api-key", MESSAGES), ("x-goog-api-key", "/v1beta/models/echo:generateContent"), ("", CHAT)],
)
async def test_each_dialect_has_its_own_way_to_bring_the_key(header: str, path: str) -> None:
    async with FakeProvider(api_key="right") as fake:
        body = prompted(contents=[{"parts": [{"text": SAID}]}], stream=False)
        wrong = await ask(fake, written(body, path))
        assert wrong.status == 401
        assert b"bearer" in wrong.body
        right = await ask(fake, written(body, path, **{header or "authorization": "right"}))
        assert right.status == 200
        assert (await ask(fake, written(body, path + "?alt=x&key=right"))).status == 200


async def test_a_stream_without_its_finish(fake: FakeProvider) -> None:
    body = {"contents": [{"parts": [{"text": SAID}]}]}
    for request in (
        written(prompted("no-finish", stream=True), MESSAGES),
        written(body, "/v1beta/models/no-finish:streamGenerateContent?alt=sse"),
        written(asked("no-finish"), CHAT),
        written(prompted("no-finish"), MESSAGES),
        written(body, "/v1beta/models/no-finish:generateContent"),
    ):
        heard = await ask(fake, request)
        assert heard.status == 200
        for said in (b"end_turn", b"finishReason", b"done_reason"):
            assert said not in heard.body
