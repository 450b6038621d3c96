"""Google's own library, which calls the tools by itself."""

import base64
from typing import Any

from google import genai
from google.genai import types
from jobs import PIXEL, Calls, Got, Place, serve
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


class Generate:
    def __init__(self, place: Place) -> None:
        client = genai.Client(api_key=place.token, http_options=types.HttpOptions(base_url=place.url))
        self.models: Any = client.aio.models

    async def whole(self, job: Got) -> Got:
        return {"text": (await self.models.generate_content(model=job["model"], contents=job["say"])).text}

    async def streamed(self, job: Got) -> Got:
        return await self.heard(job, None)

    broken = streamed
    refused = whole

    async def loop(self, job: Got) -> Got:
        calls = Calls()
        answer = await self.models.generate_content(
            model=job["model"], contents=job["say"], config=self.tools(calls)
        )
        return {"text": answer.text, "calls": calls}

    async def loop_streamed(self, job: Got) -> Got:
        calls = Calls()
        return {**await self.heard(job, self.tools(calls)), "calls": calls}

    async def structured(self, job: Got) -> Got:
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Person)
        answer = await self.models.generate_content(model=job["model"], contents=job["say"], config=config)
        return {"value": answer.parsed.model_dump()}

    async def image(self, job: Got) -> Got:
        picture = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")
        answer = await self.models.generate_content(model=job["model"], contents=[picture, job["say"]])
        return {"text": answer.text}

    def tools(self, calls: Calls) -> Any:
        return types.GenerateContentConfig(tools=calls.tools())

    async def heard(self, job: Got, config: Any) -> Got:
        stream = await self.models.generate_content_stream(
            model=job["model"], contents=job["say"], config=config
        )
        chunks = [chunk async for chunk in stream]
        parts = [
            part.text
            for chunk in chunks
            for candidate in chunk.candidates or ()
            for part in (candidate.content and candidate.content.parts) or ()
            if part.text
        ]
        return {"text": "".join(parts), "parts": len(parts)}


serve(Generate)
