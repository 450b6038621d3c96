"""Ollama's own library."""

from typing import Any

import ollama

from tests.recorded.clients import Refused
from tests.recorded.heard import Call, Counts, Heard
from tests.recorded.transport import Canned, Transport

_ASK: Any = [{"role": "user", "content": "x"}]


class OllamaChat:
    def __init__(self, transport: Transport | None = None) -> None:
        transport = transport or Canned()
        self._transport = transport
        self._client = ollama.Client(
            host=transport.base_url,
            transport=transport.old,
            headers={"authorization": f"Bearer {transport.key}"},
        )

    def whole(self, body: bytes, status: int = 200) -> Heard:
        self._transport.answers(body, status=status)
        try:
            return _heard([self._client.chat(model="m", messages=_ASK)])
        except ollama.ResponseError as error:
            raise Refused(error.status_code, error.error, None, None) from error

    def stream(self, body: bytes) -> Heard:
        self._transport.answers(body, "application/x-ndjson")
        try:
            replies = list(self._client.chat(model="m", messages=_ASK, stream=True))
        except ollama.ResponseError as error:
            raise Refused(error.status_code, error.error, None, None) from error
        return _heard(replies)

    def check(self, request: dict[str, Any]) -> None:
        ollama._types.ChatRequest.model_validate(request)


def _heard(replies: list[ollama.ChatResponse]) -> Heard:
    heard = Heard()
    said = heard.choice()
    for reply in replies:
        message = reply.message
        said.text += message.content or ""
        said.thoughts += message.thinking or ""
        for call in message.tool_calls or ():
            said.calls.append(Call(None, call.function.name, dict(call.function.arguments)))
    assert replies[-1].done, "the last line is not the last"
    said.finish = replies[-1].done_reason
    heard.counts = Counts(replies[-1].prompt_eval_count, replies[-1].eval_count)
    return heard
