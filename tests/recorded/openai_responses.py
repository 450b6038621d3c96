"""OpenAI's own library for responses, told to validate what it gets."""

from collections.abc import Iterator
from typing import Any

import openai
import pydantic
from openai.types.responses import Response, ResponseCreateParams, ResponseStreamEvent

from tests.recorded.clients import Refused, consume
from tests.recorded.heard import Call, Counts, Heard, parsed
from tests.recorded.openai_chat import openai_client, refused
from tests.recorded.transport import Canned, Transport


class Responses:
    def __init__(self, transport: Transport | None = None) -> None:
        transport = transport or Canned()
        self._transport = transport
        self._client = openai_client(transport)
        self._params = pydantic.TypeAdapter[Any](ResponseCreateParams)

    def whole(self, body: bytes, status: int = 200) -> Heard:
        self._transport.answers(body, status=status)
        try:
            return _heard(self._client.responses.create(model="m", input="x"))
        except openai.APIStatusError as error:
            raise refused(error) from error

    def stream(self, body: bytes) -> Heard:
        """What the deltas tell must be what the last event's answer tells."""
        self._transport.answers(body, "text/event-stream")
        text, thoughts, arguments, last = "", "", dict[int, str](), None
        order = -1
        for event in self._events():
            assert event.type == "error" or event.sequence_number > order
            order = event.sequence_number
            match event.type:
                case "response.output_text.delta" | "response.refusal.delta":
                    text += event.delta
                case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
                    thoughts += event.delta
                case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                    arguments[event.output_index] = arguments.get(event.output_index, "") + event.delta
                case "response.completed" | "response.incomplete" | "response.failed":
                    last = event.response
                case "error":
                    raise Refused(None, event.message, None, event.code)
                case _:
                    pass
        assert last is not None, "the stream has no last event"
        heard = _heard(last)
        said = heard.choice()
        assert (said.text, said.thoughts) == (text, thoughts), "the deltas tell something else"
        told = [call.arguments for call in said.calls if call.arguments != {}]
        assert [parsed(each) for _, each in sorted(arguments.items()) if parsed(each) != {}] == told
        return heard

    def _events(self) -> Iterator[ResponseStreamEvent]:
        try:
            yield from self._client.responses.create(model="m", input="x", stream=True)
        except openai.APIStatusError as error:
            raise refused(error) from error

    def check(self, request: dict[str, Any]) -> None:
        consume(self._params.validate_python(request))


def _heard(reply: Response) -> Heard:
    heard = Heard()
    said = heard.choice()
    for item in reply.output:
        match item.type:
            case "message":
                said.text += "".join(
                    part.text if part.type == "output_text" else part.refusal for part in item.content
                )
            case "reasoning":
                said.thoughts += "".join(part.text for part in (*item.summary, *(item.content or ())))
            case "function_call":
                said.calls.append(Call(item.call_id, item.name, parsed(item.arguments)))
            case "custom_tool_call":
                said.calls.append(Call(item.call_id, item.name, parsed(item.input)))
            case _:
                pass
    if reply.error is not None:
        raise Refused(None, reply.error.message, None, reply.error.code)
    said.finish = str(reply.status)
    if reply.incomplete_details is not None:
        said.finish += f" {reply.incomplete_details.reason}"
    usage = reply.usage
    if usage is not None:
        heard.counts = Counts(
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens_details.reasoning_tokens,
        )
    return heard
