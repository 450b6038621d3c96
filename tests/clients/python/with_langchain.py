"""LangChain: `openai`, `responses`, `anthropic`, `google` or `ollama`."""

import sys
from typing import Any

from jobs import PERSON, PIXEL, Calls, Got, Place, serve
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import StructuredTool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI


def model_of(kind: str, place: Place, name: str) -> Any:
    match kind:
        case "openai" | "responses":
            return ChatOpenAI(
                model=name,
                base_url=f"{place.url}/v1",
                api_key=place.token,
                max_retries=0,
                use_responses_api=kind == "responses",
            )
        case "anthropic":
            return ChatAnthropic(model=name, base_url=place.url, api_key=place.token, max_retries=0)
        case "google":
            return ChatGoogleGenerativeAI(
                model=name, base_url=place.url, google_api_key=place.token, max_retries=1
            )
        case _:
            headers = {"authorization": f"Bearer {place.token}"}
            return ChatOllama(model=name, base_url=place.url, client_kwargs={"headers": headers})


class LangChain:
    def __init__(self, place: Place) -> None:
        self.place = place

    def model(self, job: Got) -> Any:
        return model_of(sys.argv[1], self.place, job["model"])

    async def whole(self, job: Got) -> Got:
        return {"text": (await self.model(job).ainvoke(job["say"])).text}

    async def streamed(self, job: Got) -> Got:
        parts = [chunk.text async for chunk in self.model(job).astream(job["say"]) if chunk.text]
        return {"text": "".join(parts), "parts": len(parts)}

    broken = streamed
    refused = whole

    async def loop(self, job: Got) -> Got:
        calls = Calls()
        last = await self.agent(job, calls).ainvoke(self.asked(job))
        return {"text": last["messages"][-1].text, "calls": calls}

    async def loop_streamed(self, job: Got) -> Got:
        calls, parts = Calls(), []
        stream = self.agent(job, calls).astream(self.asked(job), stream_mode="messages")
        async for chunk, where in stream:
            if where["langgraph_node"] == "model" and chunk.text:
                parts.append(chunk.text)
        return {"text": "".join(parts), "parts": len(parts), "calls": calls}

    async def structured(self, job: Got) -> Got:
        bound = self.model(job).with_structured_output(PERSON, method="json_schema")
        return {"value": await bound.ainvoke(job["say"])}

    async def image(self, job: Got) -> Got:
        picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
        message = HumanMessage(content=[{"type": "text", "text": job["say"]}, picture])
        return {"text": (await self.model(job).ainvoke([message])).text}

    def asked(self, job: Got) -> Any:
        return {"messages": [{"role": "user", "content": job["say"]}]}

    def agent(self, job: Got, calls: Calls) -> Any:
        tools = [StructuredTool.from_function(coroutine=tool) for tool in calls.tools()]
        return create_agent(self.model(job), tools=tools)


serve(LangChain)
