"""Pydantic AI: `openai`, `responses`, `anthropic`, `google` or `ollama`."""

import base64
import sys
from typing import Any

from jobs import PIXEL, Calls, Got, Place, serve
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Person(BaseModel):
    name: str
    age: int


def model_of(kind: str, place: Place, name: str) -> Any:
    key, v1 = place.token, f"{place.url}/v1"
    match kind:
        case "openai":
            return OpenAIChatModel(name, provider=OpenAIProvider(base_url=v1, api_key=key))
        case "responses":
            return OpenAIResponsesModel(name, provider=OpenAIProvider(base_url=v1, api_key=key))
        case "anthropic":
            return AnthropicModel(name, provider=AnthropicProvider(base_url=place.url, api_key=key))
        case "google":
            return GoogleModel(name, provider=GoogleProvider(base_url=place.url, api_key=key))
        case _:
            return OllamaModel(name, provider=OllamaProvider(base_url=v1, api_key=key))


class PydanticAI:
    def __init__(self, place: Place) -> None:
        self.place = place

    def agent(self, job: Got, **more: Any) -> Any:
        return Agent(model_of(sys.argv[1], self.place, job["model"]), **more)

    async def whole(self, job: Got) -> Got:
        return {"text": (await self.agent(job).run(job["say"])).output}

    refused = whole

    async def streamed(self, job: Got) -> Got:
        return await self.heard(self.agent(job), job)

    broken = streamed

    async def loop(self, job: Got) -> Got:
        calls = Calls()
        result = await self.agent(job, tools=calls.tools()).run(job["say"])
        return {"text": result.output, "calls": calls}

    async def loop_streamed(self, job: Got) -> Got:
        calls = Calls()
        heard = await self.heard(self.agent(job, tools=calls.tools()), job)
        return {**heard, "calls": calls}

    async def structured(self, job: Got) -> Got:
        """Both ways that it knows: a schema for the answer, and a tool whose arguments are the answer."""
        result = await self.agent(job, output_type=NativeOutput(Person)).run(job["say"])
        by_tool = await self.agent(job, output_type=Person).run(job["say"])
        assert by_tool.output == result.output
        return {"value": result.output.model_dump()}

    async def image(self, job: Got) -> Got:
        picture = BinaryContent(base64.b64decode(PIXEL), media_type="image/png")
        return {"text": (await self.agent(job).run([job["say"], picture])).output}

    async def heard(self, agent: Any, job: Got) -> Got:
        async with agent.run_stream(job["say"]) as result:
            parts = [part async for part in result.stream_text(delta=True, debounce_by=None)]
        return {"text": "".join(parts), "parts": len(parts)}


serve(PydanticAI)
