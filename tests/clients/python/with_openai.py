"""OpenAI's own library: `chat` or `responses`."""

import json
import sys
from typing import Any

import openai
from jobs import MOST, PARAMETERS, PIXEL, Calls, Got, Place, serve
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


class Chat:
    def __init__(self, place: Place) -> None:
        self.client: Any = openai.AsyncOpenAI(base_url=f"{place.url}/v1", api_key=place.token, max_retries=0)

    async def whole(self, job: Got) -> Got:
        return {"text": (await self.ask(job, False, self.asked(job["say"]))).content}

    async def streamed(self, job: Got) -> Got:
        parts: list[str] = []
        async for chunk in await self.client.chat.completions.create(
            model=job["model"], messages=self.asked(job["say"]), stream=True
        ):
            parts += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        return {"text": "".join(parts), "parts": len(parts)}

    broken = streamed
    refused = whole

    async def loop(self, job: Got, stream: bool = False) -> Got:
        calls, turns = Calls(), self.asked(job["say"])
        tools = [
            {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}
            for name, schema in PARAMETERS.items()
        ]
        said = await self.ask(job, stream, turns, tools=tools)
        while said.tool_calls and len(calls) < MOST:
            turns.append(said.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True))
            for call in said.tool_calls:
                result = calls.run(call.function.name, json.loads(call.function.arguments))
                turns.append({"role": "tool", "tool_call_id": call.id, "content": result})
            said = await self.ask(job, stream, turns, tools=tools)
        return {"text": said.content, "calls": calls}

    async def loop_streamed(self, job: Got) -> Got:
        return await self.loop(job, True)

    async def structured(self, job: Got) -> Got:
        answer = await self.client.chat.completions.parse(
            model=job["model"], messages=self.asked(job["say"]), response_format=Person
        )
        return {"value": answer.choices[0].message.parsed.model_dump()}

    async def image(self, job: Got) -> Got:
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        said = await self.ask(job, False, self.asked([{"type": "text", "text": job["say"]}, picture]))
        return {"text": said.content}

    def asked(self, content: Any) -> list[Any]:
        return [{"role": "user", "content": content}]

    async def ask(self, job: Got, stream: bool, messages: list[Any], **more: Any) -> Any:
        if stream:
            async with self.client.chat.completions.stream(
                model=job["model"], messages=messages, **more
            ) as events:
                answer = await events.get_final_completion()
        else:
            answer = await self.client.chat.completions.create(model=job["model"], messages=messages, **more)
        return answer.choices[0].message


class Responses:
    def __init__(self, place: Place) -> None:
        self.client: Any = openai.AsyncOpenAI(base_url=f"{place.url}/v1", api_key=place.token, max_retries=0)

    async def whole(self, job: Got) -> Got:
        return {"text": (await self.ask(job, False, job["say"])).output_text}

    async def streamed(self, job: Got) -> Got:
        parts: list[str] = []
        async for event in await self.client.responses.create(
            model=job["model"], input=job["say"], stream=True
        ):
            if event.type == "response.output_text.delta":
                parts.append(event.delta)
            elif event.type in ("error", "response.failed"):  # the library leaves it to its caller
                raise openai.OpenAIError(event.model_dump_json())
        return {"text": "".join(parts), "parts": len(parts)}

    broken = streamed
    refused = whole

    async def loop(self, job: Got, stream: bool = False) -> Got:
        """As agents ask: nothing is kept at the provider, and reasoning travels sealed."""
        calls, items = Calls(), [{"role": "user", "content": job["say"]}]
        tools = [
            {"type": "function", "name": name, "parameters": schema} for name, schema in PARAMETERS.items()
        ]
        more: Any = {"tools": tools, "store": False, "include": ["reasoning.encrypted_content"]}
        answer = await self.ask(job, stream, items, **more)
        while (asked := [each for each in answer.output if each.type == "function_call"]) and len(
            calls
        ) < MOST:
            items += [
                item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output
            ]
            for call in asked:
                result = calls.run(call.name, json.loads(call.arguments))
                items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
            answer = await self.ask(job, stream, items, **more)
        return {"text": answer.output_text, "calls": calls}

    async def loop_streamed(self, job: Got) -> Got:
        return await self.loop(job, True)

    async def structured(self, job: Got) -> Got:
        answer = await self.client.responses.parse(model=job["model"], input=job["say"], text_format=Person)
        return {"value": answer.output_parsed.model_dump()}

    async def image(self, job: Got) -> Got:
        picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "low"}
        content = [{"type": "input_text", "text": job["say"]}, picture]
        return {"text": (await self.ask(job, False, [{"role": "user", "content": content}])).output_text}

    async def ask(self, job: Got, stream: bool, items: Any, **more: Any) -> Any:
        if not stream:
            return await self.client.responses.create(model=job["model"], input=items, **more)
        async with self.client.responses.stream(model=job["model"], input=items, **more) as events:
            return await events.get_final_response()


serve({"chat": Chat, "responses": Responses}[sys.argv[1]])
