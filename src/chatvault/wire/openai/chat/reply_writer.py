"""The hub's events, written as a chat answer, whole or streamed."""

import time
from collections.abc import Iterable
from typing import Final

import msgspec

from chatvault.core.ids import new_id
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.events import (
    AnyEvent,
    Begun,
    Ended,
    Failed,
    Finished,
    PartEvent,
    Pinged,
    TextDelta,
    UsageTold,
    of_part,
)
from chatvault.wire.hub.plain_answer import plain_answer
from chatvault.wire.json_value import Values, encode
from chatvault.wire.openai.chat.deltas import Deltas, MessageSum, logprobs_sum
from chatvault.wire.openai.retold import chat_usage, error_value, tier_of

_NAMED: Final = {"content": b'{"content":', "refusal": b'{"refusal":'}
_PING: Final = b": ping\n\n"


def asks_old_calls(conversation: Conversation | None) -> bool:
    return (
        conversation is not None and "functions" in conversation.said and conversation.origin == "openai.chat"
    )


def error_event(error: Values) -> bytes:
    return b"data: " + encode({"error": error}) + b"\n\n"


def write_reply(events: Iterable[AnyEvent], model: str, conversation: Conversation | None) -> bytes:
    """A whole answer; the error's shape if the provider failed in it."""
    old = asks_old_calls(conversation)
    plain = plain_answer(events) if type(events) is list else None
    if plain is not None:
        message: Values = {"role": "assistant", "content": plain.text, "refusal": None}
        finish = Deltas(old=old).finish(plain.finished)
        return _answer(plain.begun, model, [_choice(0, message, None, finish)], plain.usage)
    begun, usage = Begun(), None
    choices: dict[int, _Whole] = {}
    for event in events:
        if type(event) is Begun:
            begun = event
        elif type(event) is UsageTold:
            usage = event.usage
        elif type(event) is Failed:
            return encode({"error": error_value(event)})
        elif of_part(event) or type(event) is Finished:
            choice = choices.get(event.choice)
            if choice is None:
                choice = choices[event.choice] = _Whole(old)
            choice.add(event)
    return _answer(begun, model, [choices[index].whole(index) for index in sorted(choices)], usage)


def _choice(index: int, message: Values, logprobs: Values | None, finish: str) -> Values:
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}


def _answer(begun: Begun, model: str, choices: list[Values], usage: Usage | None) -> bytes:
    out: Values = {
        "id": begun.id or "chatcmpl-" + new_id(),
        "object": "chat.completion",
        "created": begun.created or int(time.time()),
        "model": begun.model or model,
        "choices": choices,
    }
    if usage is not None:
        out["usage"] = chat_usage(usage)
    if tier := tier_of(begun.service_tier):
        out["service_tier"] = tier
    return encode(out)


class _Whole:
    __slots__ = ("_deltas", "_finish", "_logprobs", "_message")

    def __init__(self, old: bool) -> None:
        self._deltas = Deltas(old=old)
        self._message = MessageSum()
        self._logprobs: list[Values] = []
        self._finish = "stop"

    def add(self, event: PartEvent | Finished) -> None:
        if type(event) is TextDelta:
            if event.logprobs is not None:
                self._logprobs.append(msgspec.json.decode(event.logprobs, type=dict[str, object]))
            field = self._deltas.plain(event.index, event.text)
            if field is not None:
                self._message.plain(field, event.text)
                return
        elif type(event) is Finished:
            self._finish = self._deltas.finish(event)
            return
        delta = self._deltas.of(event)
        if delta is not None:
            self._message.add(delta)

    def whole(self, index: int) -> Values:
        logprobs = logprobs_sum(self._logprobs) if self._logprobs else None
        return _choice(index, self._message.whole(), logprobs, self._finish)


class ChatStreamWriter:
    """Events in, server-sent events out, each at once. The usage comes last, if the client asked for it."""

    __slots__ = ("_before", "_choices", "_model", "_old", "_tail", "_usage", "_wanted")

    def __init__(self, conversation: Conversation, model: str) -> None:
        self._model = model
        self._old = asks_old_calls(conversation)
        self._wanted = conversation.stream_usage
        self._usage: Usage | None = None
        self._choices: dict[int, Deltas] = {}
        self._before = b""
        self._tail = b',"usage":null}\n\n' if self._wanted else b"}\n\n"

    def feed(self, events: Iterable[AnyEvent]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is TextDelta and event.logprobs is None:
                # What nearly all events are; the same as below.
                deltas = self._choices.get(event.choice)
                field = deltas.plain(event.index, event.text) if deltas is not None else None
                if field is not None:
                    said = (self._before, event.choice, _NAMED[field], encode(event.text), self._tail)
                    out.append(b'%b%d,"delta":%b%b},"logprobs":null,"finish_reason":null}]%b' % said)
                    continue
            if of_part(event):
                self._tell(event, out)
            else:
                self._frame(event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def _frame(self, event: AnyEvent, out: list[bytes]) -> None:
        if type(event) is Begun:
            self._begin(event)
            self._deltas(0, out)
        elif type(event) is Finished:
            word = self._deltas(event.choice, out).finish(event)
            self._chunk(event.choice, {}, None, word, out)
        elif type(event) is UsageTold:
            self._usage = event.usage
        elif type(event) is Pinged:
            out.append(_PING)
        elif type(event) is Failed:
            out.append(error_event(error_value(event)))
        elif type(event) is Ended:
            self._end(out)

    def _begin(self, begun: Begun) -> None:
        head: Values = {
            "id": begun.id or "chatcmpl-" + new_id(),
            "object": "chat.completion.chunk",
            "created": begun.created or int(time.time()),
            "model": begun.model or self._model,
        }
        if tier := tier_of(begun.service_tier):
            head["service_tier"] = tier
        self._before = b"data: " + encode(head)[:-1] + b',"choices":[{"index":'

    def _deltas(self, choice: int, out: list[bytes]) -> Deltas:
        """Those of a choice; the first piece of each names its role."""
        found = self._choices.get(choice)
        if found is None:
            if not self._before:
                self._begin(Begun())
            found = self._choices[choice] = Deltas(old=self._old)
            self._chunk(choice, {"role": "assistant", "content": "", "refusal": None}, None, None, out)
        return found

    def _tell(self, event: PartEvent, out: list[bytes]) -> None:
        delta = self._deltas(event.choice, out).of(event)
        logprobs = event.logprobs if type(event) is TextDelta else None
        if delta is not None or logprobs is not None:
            self._chunk(event.choice, delta or {}, logprobs, None, out)

    def _chunk(
        self, choice: int, delta: Values, logprobs: msgspec.Raw | None, finish: str | None, out: list[bytes]
    ) -> None:
        said = {"delta": delta, "logprobs": logprobs, "finish_reason": finish}
        out += (self._before, b"%d," % choice, encode(said)[1:], b"]", self._tail)

    def _end(self, out: list[bytes]) -> None:
        if self._wanted and self._usage is not None:
            if not self._before:
                self._begin(Begun())
            head = self._before[: -len(b'{"index":')]
            out += (head, b'],"usage":', encode(chat_usage(self._usage)), b"}\n\n")
        out.append(b"data: [DONE]\n\n")
