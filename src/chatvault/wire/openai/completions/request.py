"""A completions request, read and written. A prompt is one user message."""

from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import Text
from chatvault.wire.hub.paths import field_path, message_path, part_path, tool_path
from chatvault.wire.json_value import Values, decode_request, encode, put, raw
from chatvault.wire.openai.chat.request_reader import read_metadata, read_stop, read_stream_usage
from chatvault.wire.taken import take_number, take_text, take_truth, take_whole, unread

ORIGIN: Final = "openai.completions"
_SHARED: Final = frozenset(("logit_bias",))
_LOST: Final = (
    *("tool_choice", "parallel_tools", "output", "reasoning", "top_k", "metadata", "service_tier"),
    *("modalities", "verbosity"),
)
_NAMES: Final = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant"}


def read_request(body: bytes, model: str | None, stream: bool | None) -> Conversation:
    """Raises ClientError (400) with the path of what it cannot understand."""
    rest = decode_request(body)
    said = dict[str, msgspec.Raw]()
    named, streamed = take_text(rest, "model"), take_truth(rest, "stream")
    prompt = _prompt(rest, said)
    usage_asked = read_stream_usage(rest)
    logprobs = take_whole(rest, "logprobs")
    return Conversation(
        model=model if model is not None else named or "",
        messages=(Message(role="user", parts=(Text(text=prompt, path="prompt"),), path="prompt"),),
        stream=stream if stream is not None else bool(streamed),
        stream_usage=usage_asked,
        max_output=take_whole(rest, "max_tokens"),
        temperature=take_number(rest, "temperature"),
        top_p=take_number(rest, "top_p"),
        presence_penalty=take_number(rest, "presence_penalty"),
        frequency_penalty=take_number(rest, "frequency_penalty"),
        stop=read_stop(rest),
        seed=take_whole(rest, "seed"),
        choices=take_whole(rest, "n"),
        logprobs=True if logprobs is not None else None,
        top_logprobs=logprobs or None,
        user=take_text(rest, "user"),
        metadata=read_metadata(rest),
        origin=ORIGIN,
        extra=unread(rest) or {},
        said=said,
    )


def _prompt(rest: Values, said: dict[str, msgspec.Raw]) -> str:
    value = rest.pop("prompt", None)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        said["prompt"] = raw(value)
        return value[0]
    raise ClientError(
        "The field 'prompt' must be one text. Several prompts, or tokens, go only to a model whose provider "
        "speaks completions itself.",
        code="invalid_field",
        param="prompt",
    )


def write_request(conversation: Conversation, dropped: Dropped) -> bytes:
    own = conversation.origin == ORIGIN
    out: Values = {"model": conversation.model} if conversation.model else {}
    out["prompt"] = _written(conversation, dropped)
    logprobs = conversation.top_logprobs or (0 if conversation.logprobs else None)
    put(
        out,
        max_tokens=conversation.max_output,
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        presence_penalty=conversation.presence_penalty,
        frequency_penalty=conversation.frequency_penalty,
        stop=list(conversation.stop) or None,
        seed=conversation.seed,
        n=conversation.choices,
        logprobs=logprobs,
        user=conversation.user,
        metadata=conversation.metadata if own else None,
    )
    for name, value in conversation.extra.items():
        if own or (conversation.origin.startswith("openai.") and name in _SHARED):
            out[name] = value
        else:
            dropped.add(name)
    _report(conversation, dropped, own=own)
    if own:
        out.update(conversation.said)
    if conversation.stream:
        out["stream"] = True
        options = out.get("stream_options")
        told = msgspec.json.decode(options) if isinstance(options, msgspec.Raw) else {}
        out["stream_options"] = {**told, "include_usage": True}
    return encode(out)


def _report(conversation: Conversation, dropped: Dropped, *, own: bool) -> None:
    for at in range(len(conversation.tools)):
        dropped.add(tool_path(conversation, at))
    for name in _LOST:
        value = getattr(conversation, name)
        if value not in (None, ()) and not (own and name == "metadata"):
            dropped.add(field_path(conversation.origin, name))


def _written(conversation: Conversation, dropped: Dropped) -> str:
    """The text of one message, or a transcript of several that the model is to go on with."""
    texts: list[tuple[str, str]] = []
    for at, message in enumerate(conversation.messages):
        said: list[str] = []
        for number, part in enumerate(message.parts):
            if isinstance(part, Text):
                said.append(part.text)
            else:
                dropped.add(part_path(conversation, at, number))
        if message.name is not None:
            dropped.add(f"{message_path(conversation, at)}.name")
        if said:
            texts.append((_NAMES[message.role], "\n\n".join(said)))
    if len(texts) == 1:
        return texts[0][1]
    return "\n\n".join([*(f"{name}: {text}" for name, text in texts), "Assistant:"])
