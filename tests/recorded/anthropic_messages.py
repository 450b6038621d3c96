"""Anthropic's own library, told to validate what it gets."""

from typing import Any

import anthropic
import httpx2
import pydantic
from anthropic.types import Message, MessageCreateParams

from tests.recorded.clients import Refused, consume
from tests.recorded.heard import Call, Counts, Heard, parsed
from tests.recorded.transport import Canned, Transport

_ASK: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


class Messages:
    def __init__(self, transport: Transport | None = None) -> None:
        transport = transport or Canned()
        self._transport = transport
        self._client = anthropic.Anthropic(
            api_key=transport.key,
            base_url=transport.base_url,
            max_retries=0,
            _strict_response_validation=True,
            http_client=httpx2.Client(transport=transport.new),
        )
        self._params = pydantic.TypeAdapter[Any](MessageCreateParams)

    def whole(self, body: bytes, status: int = 200) -> Heard:
        self._transport.answers(body, status=status)
        try:
            return _heard(self._client.messages.create(**_ASK))
        except anthropic.APIStatusError as error:
            raise _refused(error) from error

    def stream(self, body: bytes) -> Heard:
        self._transport.answers(body, "text/event-stream")
        try:
            return self._stream()
        except anthropic.APIStatusError as error:
            raise _refused(error) from error

    def _stream(self) -> Heard:
        pieces = dict[int, str]()
        for event in self._client.messages.create(**_ASK, stream=True):
            if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                pieces[event.index] = pieces.get(event.index, "") + event.delta.partial_json
        if any(not isinstance(parsed(each), dict) for each in pieces.values()):
            raise ValueError("the library cannot fold arguments that are broken")
        with self._client.messages.stream(**_ASK) as folded:
            return _heard(folded.get_final_message())

    def check(self, request: dict[str, Any]) -> None:
        consume(self._params.validate_python(request))


def _refused(error: anthropic.APIStatusError) -> Refused:
    told = error.body["error"] if isinstance(error.body, dict) else {}
    kind = told.get("provider_type") or told["type"]
    return Refused(error.status_code, told["message"], kind, told.get("code"))


def _heard(message: Message) -> Heard:
    heard = Heard()
    said = heard.choice()
    for block in message.content:
        match block.type:
            case "text":
                said.text += block.text
            case "thinking":
                said.thoughts += block.thinking
            case "tool_use":
                said.calls.append(Call(block.id, block.name, block.input))
            case _:
                pass
    said.finish = message.stop_reason
    usage = message.usage
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    heard.counts = Counts(usage.input_tokens + cached + written, usage.output_tokens, cached)
    return heard
