"""Streams that a test lets run beside what it does."""

import asyncio
from contextlib import suppress
from typing import Any

import httpx2

from tests.e2e.gateway import Gateway, chat, events


class Stream:
    """A streamed call that has begun. `await rest()` gives its events, however it ended."""

    def __init__(self, gateway: Gateway, model: str, token: str | None = None) -> None:
        self.id = ""
        self._gateway = gateway
        self._model = model
        self._token = token
        self._begun = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls, gateway: Gateway, model: str, token: str | None = None) -> "Stream":
        stream = cls(gateway, model, token)
        async with asyncio.timeout(10):
            await stream._begun.wait()
        return stream

    @property
    def done(self) -> bool:
        return self._task.done()

    async def rest(self, timeout: float = 10.0) -> list[Any]:
        return events(await asyncio.wait_for(self._task, timeout))

    async def leave(self) -> None:
        """The client goes."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _read(self) -> str:
        text = ""
        wanted = chat(self._model, stream=True, max_tokens=500)
        # A broken stream does not end as a whole one does; a killed worker's ends with a reset.
        with suppress(httpx2.RemoteProtocolError, httpx2.ReadError):
            async with (
                self._gateway.client(self._token) as client,
                client.stream("POST", "/chat/completions", json=wanted) as answer,
            ):
                async for part in answer.aiter_text():
                    text += part
                    self.id = answer.headers["x-request-id"]
                    self._begun.set()
        return text[: text.rfind("\n\n") + 2]
