"""Anthropic's own library, its runner of tools included."""

from typing import Any

import anthropic
from anthropic import beta_async_tool
from jobs import MOST, PIXEL, Calls, Got, Place, serve
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


class Messages:
    def __init__(self, place: Place) -> None:
        self.client: Any = anthropic.AsyncAnthropic(base_url=place.url, api_key=place.token, max_retries=0)

    async def whole(self, job: Got) -> Got:
        answer = await self.client.messages.create(**self.asked(job, job["say"]))
        return {"text": _text(answer)}

    async def streamed(self, job: Got) -> Got:
        async with self.client.messages.stream(**self.asked(job, job["say"])) as stream:
            parts = [part async for part in stream.text_stream]
        return {"text": "".join(parts), "parts": len(parts)}

    broken = streamed
    refused = whole

    async def loop(self, job: Got, stream: bool = False) -> Got:
        calls, answer = Calls(), None
        tools = [beta_async_tool(tool) for tool in calls.tools()]
        runner = self.client.beta.messages.tool_runner(
            **self.asked(job, job["say"]), tools=tools, stream=stream, max_iterations=MOST
        )
        if stream:
            async for turn in runner:
                answer = await turn.get_final_message()
        else:
            answer = await runner.until_done()
        return {"text": _text(answer), "calls": calls}

    async def loop_streamed(self, job: Got) -> Got:
        return await self.loop(job, True)

    async def structured(self, job: Got) -> Got:
        answer = await self.client.messages.parse(**self.asked(job, job["say"]), output_format=Person)
        return {"value": answer.parsed_output.model_dump()}

    async def image(self, job: Got) -> Got:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "image", "source": source}, {"type": "text", "text": job["say"]}]
        return {"text": _text(await self.client.messages.create(**self.asked(job, content)))}

    def asked(self, job: Got, content: Any) -> dict[str, Any]:
        return {
            "model": job["model"],
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": content}],
        }


def _text(answer: Any) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


serve(Messages)
