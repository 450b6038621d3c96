"""OpenAI's own library for chat, told to validate what it gets."""

from typing import Any, Final

import httpx2
import openai
import pydantic
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import CompletionUsage
from openai.types.chat import CompletionCreateParams  # type: ignore[attr-defined,unused-ignore]

from tests.recorded.clients import Refused, consume
from tests.recorded.heard import Call, Counts, Heard, parsed
from tests.recorded.transport import Canned, Transport

_ACCUMULATED: Final = 200
"""Pieces that are folded by the library too; it takes time with the square of them."""


_ASK: Any = [{"role": "user", "content": "x"}]


def openai_client(transport: Transport) -> openai.OpenAI:
    return openai.OpenAI(
        api_key=transport.key,
        base_url=f"{transport.base_url}/v1",
        max_retries=0,
        _strict_response_validation=True,
        http_client=httpx2.Client(transport=transport.new),
    )


def refused(error: openai.APIStatusError) -> Refused:
    body = error.body if isinstance(error.body, dict) else {}
    return Refused(error.status_code, str(body.get("message")), error.type, error.code)


class Chat:
    def __init__(self, transport: Transport | None = None) -> None:
        transport = transport or Canned()
        self._transport = transport
        self._client = openai_client(transport)
        self._params = pydantic.TypeAdapter[Any](CompletionCreateParams)

    def whole(self, body: bytes, status: int = 200) -> Heard:
        self._transport.answers(body, status=status)
        try:
            reply = self._client.chat.completions.create(model="m", messages=_ASK)
        except openai.APIStatusError as error:
            raise refused(error) from error
        return _heard(reply)

    def stream(self, body: bytes) -> Heard:
        self._transport.answers(body, "text/event-stream")
        try:
            chunks = list(
                self._client.chat.completions.create(
                    model="m", messages=_ASK, stream=True, stream_options={"include_usage": True}
                )
            )
        except openai.APIStatusError as error:
            raise refused(error) from error
        heard, calls = Heard(), dict[tuple[int, int], tuple[Call, list[str]]]()
        for chunk in chunks:
            for choice in chunk.choices:
                said, delta = heard.choice(choice.index), choice.delta
                said.text += (delta.content or "") + (delta.refusal or "")
                said.thoughts += _thoughts(delta)
                said.finish = choice.finish_reason or said.finish
                for piece in delta.tool_calls or ():
                    body_of: Any = piece.function or getattr(piece, "custom", None)
                    name, more = _function(body_of)
                    key = (choice.index, piece.index)
                    if key not in calls:
                        calls[key] = (Call(piece.id, name or "", ""), [])
                        said.calls.append(calls[key][0])
                    calls[key][1].append(more)
            if chunk.usage is not None:
                heard.counts = _counts(chunk.usage)
        for call, pieces in calls.values():
            call.arguments = parsed("".join(pieces))
        if len(chunks) <= _ACCUMULATED and not any(_is_custom(chunk) for chunk in chunks):
            state = ChatCompletionStreamState()
            for chunk in chunks:
                state.handle_chunk(chunk)
            assert _heard(state.current_completion_snapshot) == heard, "the library folds it otherwise"
        return heard

    def check(self, request: dict[str, Any]) -> None:
        consume(self._params.validate_python(request))


def _is_custom(chunk: Any) -> bool:
    """The library's state knows function calls only."""
    return any(piece.function is None for choice in chunk.choices for piece in choice.delta.tool_calls or ())


def _function(body: Any) -> tuple[str | None, str]:
    if isinstance(body, dict):
        return body.get("name"), body.get("input") or ""
    if body is None:
        return None, ""
    return body.name, getattr(body, "arguments", None) or getattr(body, "input", None) or ""


def _thoughts(message: Any) -> str:
    return getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""


def _heard(reply: Any) -> Heard:
    heard = Heard(counts=_counts(reply.usage) if reply.usage is not None else None)
    for choice in reply.choices:
        message, said = choice.message, heard.choice(choice.index)
        said.text = (message.content or "") + (message.refusal or "")
        said.thoughts, said.finish = _thoughts(message), choice.finish_reason
        for call in message.tool_calls or ():
            name, arguments = _function(getattr(call, "function", None) or getattr(call, "custom", None))
            said.calls.append(Call(call.id, name or "", parsed(arguments)))
    return heard


def _counts(usage: CompletionUsage) -> Counts:
    inside, outside = usage.prompt_tokens_details, usage.completion_tokens_details
    return Counts(
        usage.prompt_tokens,
        usage.completion_tokens,
        (inside.cached_tokens if inside else None) or 0,
        (outside.reasoning_tokens if outside else None) or 0,
    )
