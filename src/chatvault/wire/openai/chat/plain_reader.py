"""Answers and chunks of one text, read straight into their shape, where nothing else is said in them."""

from typing import Final, Literal

import msgspec

from chatvault.wire.hub.events import Begun, Finished
from chatvault.wire.hub.plain_answer import PlainAnswer
from chatvault.wire.openai.chat.finish import READ
from chatvault.wire.openai.usage import UsageShape, normalise


class _PlainDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A text, a thought, or both. Members that say nothing may stand beside them."""

    content: str | None = None
    role: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _PlainChoice(msgspec.Struct, gc=False):
    delta: _PlainDelta
    index: int = 0
    logprobs: None = None
    finish_reason: None = None
    error: None = None


class _PlainChunk(msgspec.Struct, gc=False):
    """A chunk of one text. What is of another shape is no plain one."""

    choices: list[_PlainChoice]
    usage: None = None
    error: None = None
    x_groq: None = None
    citations: None = None
    search_results: None = None


decode_chunk: Final = msgspec.json.Decoder(_PlainChunk).decode
"""Raises msgspec.DecodeError for what is no plain chunk."""


class _PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Members that say nothing may stand beside the text."""

    content: str
    role: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None
    reasoning: None = None
    reasoning_content: None = None
    annotations: tuple[()] = ()


class _PlainWhole(msgspec.Struct, gc=False):
    message: _PlainMessage
    finish_reason: str
    index: Literal[0] = 0
    logprobs: None = None
    error: None = None
    stop_reason: None = None
    matched_stop: None = None


class _PlainReply(msgspec.Struct, gc=False):
    """An answer of one text. What is of another shape is no plain one."""

    choices: list[_PlainWhole]
    id: str | None = None
    model: str | None = None
    created: int | None = None
    service_tier: str | None = None
    usage: UsageShape | None = None
    error: None = None
    x_groq: None = None
    citations: None = None
    search_results: None = None


_decode_reply: Final = msgspec.json.Decoder(_PlainReply).decode


def read_plain(body: bytes) -> PlainAnswer | None:
    """A whole answer that is one text, as nearly all are; None for any other. The same as the long way reads."""
    try:
        reply = _decode_reply(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if len(reply.choices) != 1:
        return None
    choice = reply.choices[0]
    text, word = choice.message.content, choice.finish_reason
    if not text or not word:
        return None
    begun = Begun(
        id=reply.id or None,
        model=reply.model or None,
        created=reply.created or None,
        service_tier=reply.service_tier or None,
    )
    usage = normalise(reply.usage) if reply.usage is not None else None
    return PlainAnswer(begun, text, usage, Finished(reason=READ.get(word, "stop"), said=word))
