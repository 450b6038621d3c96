"""The hub's events, written as a completion, whole or streamed. They are read as chat's are."""

import time
from collections.abc import Iterable

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
    PartBegun,
    Pinged,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Refusal, Text
from chatvault.wire.json_value import Values, encode, list_of
from chatvault.wire.openai.chat.finish import WRITTEN
from chatvault.wire.openai.chat.reply_writer import error_event
from chatvault.wire.openai.logprobs import completions_logprobs
from chatvault.wire.openai.retold import chat_usage, error_value


class CompletionWriter:
    """Events in, pieces of a completion out: a choice each."""

    __slots__ = ("_lengths", "_texts", "failed", "head", "usage")

    def __init__(self, model: str) -> None:
        self.head: Values = _head(Begun(), model)
        self.usage: Usage | None = None
        self.failed: Failed | None = None
        self._texts: set[tuple[int, int]] = set()
        """The parts that are text; a completion tells nothing else."""
        self._lengths: dict[int, int] = {}

    def feed(self, event: AnyEvent) -> Values | None:
        if isinstance(event, PartBegun):
            if not isinstance(event.part, Text | Refusal):
                return None
            self._texts.add((event.choice, event.index))
            return self._piece(event.choice, event.part.text, None) if event.part.text else None
        if isinstance(event, TextDelta):
            told = (event.choice, event.index) in self._texts
            return self._piece(event.choice, event.text, event.logprobs) if told else None
        if isinstance(event, Finished):
            word = "stop" if event.reason == "tool_calls" else WRITTEN[event.reason]
            return {**self._piece(event.choice, "", None), "finish_reason": word}
        if isinstance(event, Begun):
            self.head = _head(event, str(self.head["model"]))
        elif isinstance(event, UsageTold):
            self.usage = event.usage
        elif isinstance(event, Failed):
            self.failed = event
        return None

    def _piece(self, choice: int, text: str, logprobs: msgspec.Raw | None) -> Values:
        before = self._lengths.get(choice, 0)
        self._lengths[choice] = before + len(text)
        told = completions_logprobs(msgspec.json.decode(logprobs), before) if logprobs is not None else None
        return {"text": text, "index": choice, "logprobs": told, "finish_reason": None}


def _head(begun: Begun, model: str) -> Values:
    return {
        "id": begun.id or "cmpl-" + new_id(),
        "object": "text_completion",
        "created": begun.created or int(time.time()),
        "model": begun.model or model,
    }


def write_reply(events: Iterable[AnyEvent], model: str) -> bytes:
    """A whole completion; the error's shape if the provider failed in it."""
    writer = CompletionWriter(model)
    choices: dict[object, Values] = {}
    for event in events:
        piece = writer.feed(event)
        if piece is not None:
            known = choices.setdefault(piece["index"], {**piece, "text": "", "logprobs": None})
            known["text"] = f"{known['text']}{piece['text']}"
            known["finish_reason"] = piece["finish_reason"]
            known["logprobs"] = _joined(known["logprobs"], piece["logprobs"])
    if writer.failed is not None:
        return encode({"error": error_value(writer.failed)})
    usage = {"usage": chat_usage(writer.usage)} if writer.usage is not None else {}
    return encode({**writer.head, "choices": list(choices.values()), **usage})


def _joined(one: object, two: object) -> object:
    if not isinstance(one, dict) or not isinstance(two, dict):
        return two if one is None else one
    return {name: [*list_of(one.get(name)), *list_of(value)] for name, value in two.items()}


class CompletionsStreamWriter:
    __slots__ = ("_wanted", "_writer")

    def __init__(self, conversation: Conversation, model: str) -> None:
        self._wanted = conversation.stream_usage
        self._writer = CompletionWriter(model)

    def feed(self, events: Iterable[AnyEvent]) -> bytes:
        out: list[bytes] = []
        for event in events:
            piece = self._writer.feed(event)
            if piece is not None:
                more = {"usage": None} if self._wanted else {}
                out.append(_line({**self._writer.head, "choices": [piece], **more}))
            elif isinstance(event, Pinged):
                out.append(b": ping\n\n")
            elif isinstance(event, Failed):
                out.append(error_event(error_value(event)))
            elif isinstance(event, Ended):
                if self._wanted and self._writer.usage is not None:
                    usage = chat_usage(self._writer.usage)
                    out.append(_line({**self._writer.head, "choices": [], "usage": usage}))
                out.append(b"data: [DONE]\n\n")
        return b"".join(out)


def _line(value: Values) -> bytes:
    return b"data: " + encode(value) + b"\n\n"
