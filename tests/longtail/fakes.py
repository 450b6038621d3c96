"""A module that stands where LiteLLM would: the names that are used of it, and what a test wants it to do."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any


class APIError(Exception):
    def __init__(self, message: str, status_code: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.message = f"litellm.{type(self).__name__}: {message}"
        self.status_code = status_code
        self.response = SimpleNamespace(headers={"retry-after": retry_after} if retry_after else {})


class BadRequestError(APIError):
    pass


class UnsupportedParamsError(BadRequestError):
    pass


class RateLimitError(APIError):
    pass


class ServiceUnavailableError(APIError):
    pass


class Answer:
    """A model of pydantic's, as far as it is dumped."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def model_dump(self, *, exclude_none: bool) -> dict[str, Any]:
        assert exclude_none
        return dict(self._values)


CHUNK = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "a"}}]}
WHOLE = {"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant"}}]}


class Module:
    """`raises` is what calls end in; `after` is how many chunks come before it; `stalls` never ends."""

    def __init__(self) -> None:
        self.exceptions = SimpleNamespace(
            APIError=APIError,
            BadRequestError=BadRequestError,
            UnsupportedParamsError=UnsupportedParamsError,
            RateLimitError=RateLimitError,
            ServiceUnavailableError=ServiceUnavailableError,
        )
        self.asked: list[dict[str, Any]] = []
        self.raises: Exception | None = None
        self.after = 0
        self.stalls = False
        self.cancelled = 0

    async def acompletion(self, **asked: Any) -> Any:
        self.asked.append(asked)
        if asked.get("stream"):
            if self.raises is not None and not self.after:
                raise self.raises
            return self._chunks()
        await self._wait()
        if self.raises is not None:
            raise self.raises
        return Answer(WHOLE)

    async def aembedding(self, **asked: Any) -> Any:
        self.asked.append(asked)
        if self.raises is not None:
            raise self.raises
        return Answer({"object": "list", "data": []})

    async def _chunks(self) -> AsyncIterator[Answer]:
        for _ in range(self.after or 3):
            yield Answer(CHUNK)
        await self._wait()
        if self.raises is not None:
            raise self.raises

    async def _wait(self) -> None:
        if not self.stalls:
            return
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
