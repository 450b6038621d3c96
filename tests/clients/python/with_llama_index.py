"""LlamaIndex: `openai`, `responses`, `anthropic`, `google` or `ollama`."""

import base64
import sys
from typing import Any

from google.genai import types
from jobs import PIXEL, Calls, Got, Place, serve
from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


def model_of(kind: str, place: Place, name: str) -> Any:
    v1 = f"{place.url}/v1"
    match kind:
        case "openai":
            return OpenAILike(
                model=name,
                api_base=v1,
                api_key=place.token,
                max_retries=0,
                is_chat_model=True,
                is_function_calling_model=True,
            )
        case "responses":
            return OpenAIResponses(
                model=name, api_base=v1, api_key=place.token, max_retries=0, context_window=128000
            )
        case "anthropic":
            return Anthropic(model=name, base_url=place.url, api_key=place.token, max_retries=0)
        case "google":
            options = types.HttpOptions(base_url=place.url)
            return GoogleGenAI(
                model=name, api_key=place.token, http_options=options, max_retries=1, context_window=128000
            )
        case _:
            headers = {"authorization": f"Bearer {place.token}"}
            return Ollama(model=name, base_url=place.url, headers=headers, context_window=128000)


class LlamaIndex:
    def __init__(self, place: Place) -> None:
        self.place = place

    def model(self, job: Got) -> Any:
        return model_of(sys.argv[1], self.place, job["model"])

    async def whole(self, job: Got) -> Got:
        return {"text": (await self.model(job).achat([ChatMessage(job["say"])])).message.content}

    async def streamed(self, job: Got) -> Got:
        stream = await self.model(job).astream_chat([ChatMessage(job["say"])])
        parts = [part.delta async for part in stream if part.delta]
        return {"text": "".join(parts), "parts": len(parts)}

    broken = streamed
    refused = whole

    async def loop(self, job: Got, stream: bool = False) -> Got:
        calls, parts = Calls(), []
        agent = FunctionAgent(llm=self.model(job), tools=calls.tools(), streaming=stream, timeout=30)
        handler = agent.run(job["say"])
        async for event in handler.stream_events():
            if isinstance(event, AgentStream) and event.delta:
                parts.append(event.delta)
        result = await handler
        return {"text": result.response.content, "calls": calls, **({"parts": len(parts)} if stream else {})}

    async def loop_streamed(self, job: Got) -> Got:
        return await self.loop(job, True)

    async def structured(self, job: Got) -> Got:
        program = self.model(job).as_structured_llm(Person)
        answer = await program.achat([ChatMessage(job["say"])])
        return {"value": answer.raw.model_dump()}

    async def image(self, job: Got) -> Got:
        picture = ImageBlock(image=base64.b64decode(PIXEL), image_mimetype="image/png")
        message = ChatMessage(role="user", blocks=[TextBlock(text=job["say"]), picture])
        return {"text": (await self.model(job).achat([message])).message.content}


serve(LlamaIndex)
