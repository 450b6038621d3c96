"""A responses request, read into the hub's conversation."""

from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.hub.conversation import Conversation, Message, Output, Reasoning
from chatvault.wire.hub.parts import Text
from chatvault.wire.json_value import Values, decode_request, list_of, name_of, object_of, raw
from chatvault.wire.openai.chat.request_reader import read_metadata
from chatvault.wire.openai.responses.items import ItemReader
from chatvault.wire.openai.responses.proofs import ORIGIN
from chatvault.wire.openai.responses.tools import read_choice, read_tools
from chatvault.wire.taken import refused, take_number, take_text, take_truth, take_whole, unread

_MEANT: Final = {"store": False, "background": False, "truncation": "disabled"}
"""Fields that ask for what is done anyway by whoever keeps no state."""
SEALED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
SOURCES: Final = "web_search_call.action.sources"


def read_request(body: bytes, model: str | None, stream: bool | None) -> Conversation:
    """Raises ClientError (400) with the path of what it cannot understand."""
    rest = decode_request(body)
    said = dict[str, msgspec.Raw]()
    named, streamed = take_text(rest, "model"), take_truth(rest, "stream")
    for name, value in _MEANT.items():
        if rest.get(name) == value:
            said[name] = raw(rest.pop(name))
    reasoning = _reasoning(rest)
    output, verbosity = _text(rest)
    return Conversation(
        model=model if model is not None else named or "",
        messages=tuple(_messages(rest)),
        stream=stream if stream is not None else bool(streamed),
        tools=read_tools(rest),
        tool_choice=read_choice(rest),
        parallel_tools=take_truth(rest, "parallel_tool_calls"),
        output=output,
        reasoning=reasoning,
        max_output=take_whole(rest, "max_output_tokens"),
        temperature=take_number(rest, "temperature"),
        top_p=take_number(rest, "top_p"),
        presence_penalty=take_number(rest, "presence_penalty"),
        frequency_penalty=take_number(rest, "frequency_penalty"),
        logprobs=_include(rest, said),
        top_logprobs=take_whole(rest, "top_logprobs"),
        user=take_text(rest, "user"),
        metadata=read_metadata(rest),
        service_tier=take_text(rest, "service_tier"),
        verbosity=verbosity,
        origin=ORIGIN,
        extra=unread(rest) or {},
        said=said,
    )


def _messages(rest: Values) -> list[Message]:
    messages: list[Message] = []
    instructions = rest.get("instructions")
    if isinstance(instructions, str):
        del rest["instructions"]
        text = Text(text=instructions, path="instructions")
        messages.append(Message(role="system", parts=(text,), path="instructions"))
    value = rest.pop("input", None)
    if value is None:
        if any(rest.get(name) for name in ("prompt", "previous_response_id", "conversation")):
            return messages
        raise ClientError(
            "The field 'input' is missing. Send a text or items.", code="missing_field", param="input"
        )
    if isinstance(value, str):
        return [*messages, Message(role="user", parts=(Text(text=value, path="input"),), path="input")]
    if not isinstance(value, list):
        raise refused("input", "a string or an array of items")
    reader = ItemReader()
    for at, item in enumerate(value):
        message = reader.read(item, f"input[{at}]")
        if message is not None:
            messages.append(message)
    return messages


def _reasoning(rest: Values) -> Reasoning | None:
    """What is not understood stays in `rest`."""
    value = rest.get("reasoning")
    if not isinstance(value, dict):
        return None
    left = dict(value)
    effort = left.pop("effort", None)
    summary = left.pop("summary", None) or left.pop("generate_summary", None)
    left.pop("generate_summary", None)
    if not all(each is None or isinstance(each, str) for each in (effort, summary)):
        raise refused(
            "reasoning.effort" if not isinstance(effort, str | None) else "reasoning.summary", "a string"
        )
    extra = {name: each for name, each in left.items() if each is not None}
    if extra:
        rest["reasoning"] = extra
    else:
        del rest["reasoning"]
    if effort is None and summary is None:
        return None
    return Reasoning(effort=effort, summary=summary, show=True if summary is not None else None)


def _text(rest: Values) -> tuple[Output | None, str | None]:
    """The form of the answer, and its verbosity; what is not understood stays in `rest`."""
    value = rest.get("text")
    if not isinstance(value, dict):
        return None, None
    left = dict(value)
    verbosity = name_of(left.pop("verbosity", None))
    output = _output(object_of(left.get("format")))
    if output is not None:
        del left["format"]
    extra = {name: each for name, each in left.items() if each is not None}
    if extra:
        rest["text"] = extra
    else:
        del rest["text"]
    return output, verbosity


def _output(value: Values) -> Output | None:
    kind = value.get("type")
    if kind in ("text", "json_object") and len(value) == 1:
        return Output(kind="text" if kind == "text" else "json_object")
    schema, strict = value.get("schema"), value.get("strict")
    known = {"type", "name", "description", "schema", "strict"}
    if kind != "json_schema" or not isinstance(schema, dict) or not set(value) <= known:
        return None
    return Output(
        kind="json_schema",
        name=name_of(value.get("name")),
        description=name_of(value.get("description")),
        schema=raw(schema),
        strict=strict if isinstance(strict, bool) else None,
    )


def _include(rest: Values, said: dict[str, msgspec.Raw]) -> bool | None:
    """Whether log probabilities are wanted. Sealed thoughts always are told."""
    value = list_of(rest.get("include"))
    if "include" in rest and all(each in (SEALED, LOGPROBS, SOURCES) for each in value):
        said["include"] = raw(rest.pop("include"))
    return True if LOGPROBS in value else None
