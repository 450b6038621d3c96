"""Ollama's own library."""

import json
from typing import Any

import ollama
from jobs import MOST, PARAMETERS, PERSON, PIXEL, Calls, Got, Place, serve


class Llama:
    def __init__(self, place: Place) -> None:
        headers = {"authorization": f"Bearer {place.token}"}
        self.client: Any = ollama.AsyncClient(host=place.url, headers=headers)

    async def whole(self, job: Got) -> Got:
        return {"text": (await self.ask(job, False, self.asked(job))).content}

    async def streamed(self, job: Got) -> Got:
        stream = await self.client.chat(model=job["model"], messages=self.asked(job), stream=True)
        parts = [part.message.content async for part in stream if part.message.content]
        return {"text": "".join(parts), "parts": len(parts)}

    broken = streamed
    refused = whole

    async def loop(self, job: Got, stream: bool = False) -> Got:
        calls, turns = Calls(), self.asked(job)
        tools = [
            {"type": "function", "function": {"name": name, "parameters": schema}}
            for name, schema in PARAMETERS.items()
        ]
        said = await self.ask(job, stream, turns, tools=tools)
        while said.tool_calls and len(calls) < MOST:
            turns.append(said)
            for call in said.tool_calls:
                result = calls.run(call.function.name, dict(call.function.arguments))
                turns.append({"role": "tool", "content": result, "tool_name": call.function.name})
            said = await self.ask(job, stream, turns, tools=tools)
        return {"text": said.content, "calls": calls}

    async def loop_streamed(self, job: Got) -> Got:
        return await self.loop(job, True)

    async def structured(self, job: Got) -> Got:
        said = await self.ask(job, False, self.asked(job), format=PERSON)
        return {"value": json.loads(said.content)}

    async def image(self, job: Got) -> Got:
        return {"text": (await self.ask(job, False, self.asked(job, images=[PIXEL]))).content}

    def asked(self, job: Got, **more: Any) -> list[Any]:
        return [{"role": "user", "content": job["say"], **more}]

    async def ask(self, job: Got, stream: bool, messages: list[Any], **more: Any) -> Any:
        if not stream:
            return (await self.client.chat(model=job["model"], messages=messages, **more)).message
        parts = await self.client.chat(model=job["model"], messages=messages, stream=True, **more)
        said = ollama.Message(role="assistant", content="")
        async for part in parts:
            said.content = (said.content or "") + (part.message.content or "")
            said.tool_calls = [*(said.tool_calls or ()), *(part.message.tool_calls or ())]
        return said


serve(Llama)
