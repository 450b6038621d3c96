"""The official library of each dialect behind one interface: what was said, called and counted, as the library has it."""

import json
from typing import Any, ClassVar, NamedTuple, Protocol

import anthropic
import ollama
import openai
from google import genai
from google.genai import types

from tests.gateway.harness import Gate

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
    "required": ["city", "unit"],
}
ARGUMENTS = {"city": "sample city", "unit": "c"}
TOOL = "weather"
RESULT = "sunny"


class Said(NamedTuple):
    """`finish` is the library's own word; `said` is the turn as the library wants it back."""

    text: str
    calls: list[tuple[str, Any]]
    finish: str | None
    input: int | None
    output: int | None
    said: Any = None


class Speaker(Protocol):
    """`after` is an answer that called a tool: the question is put again, with the call and its result."""

    words: ClassVar[dict[str, str]]
    """How the dialect says `stop`, `call` and `length`."""
    refused: type[Exception]

    async def ask(
        self,
        model: str,
        text: str,
        *,
        stream: bool = False,
        tools: bool = False,
        limit: int | None = None,
        after: Said | None = None,
    ) -> Said: ...


class Chat:
    words: ClassVar = {"stop": "stop", "call": "tool_calls", "length": "length"}

    def __init__(self, gate: Gate) -> None:
        self.client: Any = gate.client()
        self.refused: Any = openai.OpenAIError

    async def ask(self, model: str, text: str, **wish: Any) -> Said:
        messages: list[Any] = [{"role": "user", "content": text}]
        if wish.get("after"):
            called = wish["after"].said
            result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": RESULT}
            messages += [called.model_dump(include={"role", "content", "tool_calls"}), result]
        more: dict[str, Any] = {"max_tokens": wish["limit"]} if wish.get("limit") else {}
        if wish.get("tools"):
            function = {"name": TOOL, "parameters": PARAMETERS}
            more["tools"] = [{"type": "function", "function": function}]
        if wish.get("stream"):
            async with self.client.chat.completions.stream(
                model=model, messages=messages, stream_options={"include_usage": True}, **more
            ) as stream:
                try:
                    answer = await stream.get_final_completion()
                except openai.LengthFinishReasonError as cut:  # the library takes it for an error
                    answer = cut.completion
        else:
            answer = await self.client.chat.completions.create(model=model, messages=messages, **more)
        (choice,) = answer.choices
        calls = [
            (call.function.name, json.loads(call.function.arguments))
            for call in choice.message.tool_calls or ()
        ]
        usage = answer.usage
        return Said(
            choice.message.content or "",
            calls,
            choice.finish_reason,
            usage and usage.prompt_tokens,
            usage and usage.completion_tokens,
            choice.message,
        )


class Responses:
    words: ClassVar = {"stop": "completed", "call": "completed", "length": "incomplete"}

    def __init__(self, gate: Gate) -> None:
        self.client: Any = gate.client()
        self.refused: Any = openai.OpenAIError

    async def ask(self, model: str, text: str, **wish: Any) -> Said:
        items: list[Any] = [{"role": "user", "content": text}]
        if wish.get("after"):
            called = wish["after"].said
            items += [each.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for each in called]
            call_id = next(each.call_id for each in called if each.type == "function_call")
            items.append({"type": "function_call_output", "call_id": call_id, "output": RESULT})
        more: dict[str, Any] = {"max_output_tokens": wish["limit"]} if wish.get("limit") else {}
        if wish.get("tools"):
            more["tools"] = [{"type": "function", "name": TOOL, "parameters": PARAMETERS, "strict": False}]
        if wish.get("stream"):
            answer = None
            async for event in await self.client.responses.create(
                model=model, input=items, stream=True, **more
            ):
                if event.type in ("response.completed", "response.incomplete"):
                    answer = event.response
                elif event.type in ("error", "response.failed"):  # the library leaves it to its caller
                    raise openai.OpenAIError(event.type)
            assert answer is not None, "the stream ended without its last event"
        else:
            answer = await self.client.responses.create(model=model, input=items, **more)
        calls = [
            (item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call"
        ]
        usage = answer.usage
        tokens = (usage and usage.input_tokens, usage and usage.output_tokens)
        return Said(answer.output_text, calls, answer.status, *tokens, answer.output)


class Claude:
    words: ClassVar = {"stop": "end_turn", "call": "tool_use", "length": "max_tokens"}
    refused: Any = anthropic.APIError

    def __init__(self, gate: Gate) -> None:
        root = gate.base_url.removesuffix("/v1")
        self.client: Any = anthropic.AsyncAnthropic(base_url=root, api_key=gate.token, max_retries=0)
        gate.on_exit(self.client.close)

    async def ask(self, model: str, text: str, **wish: Any) -> Said:
        messages: list[Any] = [{"role": "user", "content": text}]
        if wish.get("after"):
            called = wish["after"].said
            use = next(block for block in called if block.type == "tool_use")
            result = {"type": "tool_result", "tool_use_id": use.id, "content": RESULT}
            messages += [{"role": "assistant", "content": called}, {"role": "user", "content": [result]}]
        more: dict[str, Any] = {"max_tokens": wish.get("limit") or 64}
        if wish.get("tools"):
            more["tools"] = [{"name": TOOL, "input_schema": PARAMETERS}]
        if wish.get("stream"):
            async with self.client.messages.stream(model=model, messages=messages, **more) as stream:
                answer = await stream.get_final_message()
        else:
            answer = await self.client.messages.create(model=model, messages=messages, **more)
        text = "".join(block.text for block in answer.content if block.type == "text")
        calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
        usage = answer.usage
        return Said(text, calls, answer.stop_reason, usage.input_tokens, usage.output_tokens, answer.content)


class Gemini:
    words: ClassVar = {"stop": "STOP", "call": "STOP", "length": "MAX_TOKENS"}
    refused: Any = genai.errors.APIError

    def __init__(self, gate: Gate) -> None:
        root = gate.base_url.removesuffix("/v1")
        made = genai.Client(api_key=gate.token, http_options=types.HttpOptions(base_url=root))
        self.models: Any = made.aio.models
        gate.on_exit(made.aio.aclose)

    async def ask(self, model: str, text: str, **wish: Any) -> Said:
        contents = [types.Content(role="user", parts=[types.Part(text=text)])]
        if wish.get("after"):
            call = wish["after"].said
            answer = types.FunctionResponse(id=call.id, name=TOOL, response={"result": RESULT})
            contents.append(types.Content(role="model", parts=[types.Part(function_call=call)]))
            contents.append(types.Content(role="user", parts=[types.Part(function_response=answer)]))
        config = types.GenerateContentConfig(max_output_tokens=wish.get("limit"))
        if wish.get("tools"):
            declared = types.FunctionDeclaration(name=TOOL, parameters_json_schema=PARAMETERS)
            config.tools = [types.Tool(function_declarations=[declared])]
        asked: Any = {"model": model, "contents": contents, "config": config}
        if wish.get("stream"):
            chunks = [chunk async for chunk in await self.models.generate_content_stream(**asked)]
        else:
            chunks = [await self.models.generate_content(**asked)]
        found = [call for chunk in chunks for call in chunk.function_calls or ()]
        usage = next((c.usage_metadata for c in reversed(chunks) if c.usage_metadata), None)
        finish = [
            c.candidates[0].finish_reason for c in chunks if c.candidates and c.candidates[0].finish_reason
        ]
        text = "".join(
            part.text or ""
            for chunk in chunks
            for candidate in chunk.candidates or ()
            for part in (candidate.content and candidate.content.parts) or ()
        )
        return Said(
            text,
            [(call.name, call.args) for call in found],
            finish[-1].value if finish else None,
            usage and usage.prompt_token_count,
            usage and usage.candidates_token_count,
            found[0] if found else None,
        )


class Llama:
    words: ClassVar = {"stop": "stop", "call": "stop", "length": "length"}
    refused: Any = ollama.ResponseError

    def __init__(self, gate: Gate) -> None:
        root = gate.base_url.removesuffix("/v1")
        self.client: Any = ollama.AsyncClient(host=root, headers={"authorization": f"Bearer {gate.token}"})
        gate.on_exit(self.client.close)

    async def ask(self, model: str, text: str, **wish: Any) -> Said:
        messages: list[Any] = [{"role": "user", "content": text}]
        if wish.get("after"):
            messages += [wish["after"].said, {"role": "tool", "content": RESULT, "tool_name": TOOL}]
        asked: dict[str, Any] = {"model": model, "messages": messages}
        if wish.get("limit"):
            asked["options"] = {"num_predict": wish["limit"]}
        if wish.get("tools"):
            function = {"name": TOOL, "parameters": PARAMETERS}
            asked["tools"] = [{"type": "function", "function": function}]
        if wish.get("stream"):
            parts = [part async for part in await self.client.chat(**asked, stream=True)]
        else:
            parts = [await self.client.chat(**asked)]
        last = parts[-1]
        calling = next((part.message for part in parts if part.message.tool_calls), None)
        calls = [
            (c.function.name, dict(c.function.arguments)) for c in (calling.tool_calls if calling else ())
        ]
        text = "".join(part.message.content or "" for part in parts)
        return Said(text, calls, last.done_reason, last.prompt_eval_count, last.eval_count, calling)


SPEAKERS: dict[str, Any] = {
    "openai.chat": Chat,
    "openai.responses": Responses,
    "anthropic.messages": Claude,
    "gemini.generate": Gemini,
    "ollama.chat": Llama,
}
