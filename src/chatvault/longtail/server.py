"""The ASGI application: `POST /v1/chat/completions`, whole and streamed, and `POST /v1/embeddings`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from chatvault.longtail.failures import Failure
from chatvault.longtail.library import Library
from chatvault.longtail.request import CHAT, EMBEDDINGS, Refused, read

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CHAT: Final = "/v1/chat/completions"
_EMBEDDINGS: Final = "/v1/embeddings"
_log = logging.getLogger(__name__)


class Gone(Exception):
    """The caller left."""


class Application:
    """Whoever leaves cancels what was asked for them, down to the provider's connection."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        try:
            body = await _body(receive)
        except Gone:
            return
        loop = asyncio.get_running_loop()
        answering = loop.create_task(self._answer(scope, body, send))  # both owned: awaited below
        leaving = loop.create_task(_left(receive))
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        for task in (answering, leaving):
            task.cancel()
        results = await asyncio.gather(answering, leaving, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    async def _answer(self, scope: Message, body: bytes, send: Send) -> None:
        try:
            if scope["method"] != "POST" or scope["path"] not in (_CHAT, _EMBEDDINGS):
                raise Refused(Failure(404, "not_found_error", "There is no such path here.", "unknown_url"))
            if scope["path"] == _EMBEDDINGS:
                answer = await self._library.embed(read(body, EMBEDDINGS))
                await _whole(send, 200, msgspec.json.encode(answer))
                return
            request = read(body, CHAT)
            if request.get("stream") is True:
                await self._stream(request, send)
                return
            answer = await self._library.chat(request)
            await _whole(send, 200, msgspec.json.encode(answer))
        except Exception as error:  # noqa: BLE001  the border of a call
            failure = self._failure(error)
            await _whole(send, failure.status, failure.body(), failure.retry_after)

    async def _stream(self, request: dict[str, Any], send: Send) -> None:
        """The head waits for the first chunk, so that until then an error has a status. Then an error is an event, and
        no `[DONE]` follows it."""
        chunks = await self._library.chat_stream({**request, "stream_options": {"include_usage": True}})
        try:
            first = await anext(chunks, None)
            await send({"type": "http.response.start", "status": 200, "headers": _head(b"text/event-stream")})
            try:
                if first is not None:
                    await _event(send, msgspec.json.encode(first))
                async for chunk in chunks:
                    await _event(send, msgspec.json.encode(chunk))
            except Exception as error:  # noqa: BLE001  the border of a stream
                await _event(send, self._failure(error).body())
            else:
                await _event(send, b"[DONE]")
            await send({"type": "http.response.body", "body": b""})
        finally:
            await _close(chunks)

    def _failure(self, error: Exception) -> Failure:
        if isinstance(error, Refused):
            return error.failure
        failure = self._library.failure(error)
        if failure is not None:
            return failure
        _log.error("a call through LiteLLM failed", exc_info=error)
        return Failure(500, "upstream_error", "LiteLLM failed; the gateway's log says how.", "litellm_failed")


async def _close(chunks: AsyncIterator[dict[str, Any]]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        with suppress(Exception):
            await close()


async def _event(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True})


async def _whole(send: Send, status: int, body: bytes, retry_after: str | None = None) -> None:
    headers = [*_head(b"application/json"), (b"content-length", b"%d" % len(body))]
    if retry_after is not None:
        headers.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _head(kind: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", kind)]


async def _body(receive: Receive) -> bytes:
    """Raises Gone. Its size is bounded by the worker that sends it."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
