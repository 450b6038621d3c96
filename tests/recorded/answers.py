"""A recorded answer, told in another dialect: what its official library hears must be what was said."""

import json
from collections.abc import Iterator
from typing import Any, Final

from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.events import AnyEvent, Failed, Pinged
from chatvault.wire.hub.parts import Unknown
from tests.recorded.clients import Client
from tests.recorded.exchanges import DIALECTS, SOURCES, Exchange
from tests.recorded.heard import Call, Counts, Heard, parsed
from tests.wire.openai.recordings import Gist, Said, gist

_SIZES: Final = (1, 7, 64, 3, 400, 1500, 11)
FINISH: Final[dict[str, dict[str, str]]] = {
    "openai.chat": {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
        "refusal": "content_filter",
        "stop_sequence": "stop",
        "pause": "stop",
        "context_full": "length",
        "error": "stop",
    },
    "openai.responses": {
        "stop": "completed",
        "length": "incomplete max_output_tokens",
        "tool_calls": "completed",
        "content_filter": "incomplete content_filter",
        "refusal": "completed",
        "stop_sequence": "completed",
        "pause": "completed",
        "context_full": "incomplete max_output_tokens",
        "error": "completed",
    },
    "anthropic.messages": {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
        "refusal": "refusal",
        "stop_sequence": "stop_sequence",
        "pause": "pause_turn",
        "context_full": "model_context_window_exceeded",
        "error": "end_turn",
    },
    "gemini.generate": {
        "stop": "STOP",
        "length": "MAX_TOKENS",
        "tool_calls": "STOP",
        "content_filter": "SAFETY",
        "refusal": "SAFETY",
        "stop_sequence": "STOP",
        "pause": "OTHER",
        "context_full": "MAX_TOKENS",
        "error": "OTHER",
    },
    "ollama.chat": {
        "stop": "stop",
        "length": "length",
        "tool_calls": "stop",
        "content_filter": "content_filter",
        "refusal": "refusal",
        "stop_sequence": "stop",
        "pause": "stop",
        "context_full": "length",
        "error": "error",
    },
}
"""Why an answer ended, in the words of each dialect's published documentation."""
SEVERAL: Final = frozenset(("openai.chat", "gemini.generate"))
"""Dialects that answer with more than one choice."""


def batches(dialect: str, body: bytes) -> Iterator[list[AnyEvent]]:
    """The events of a stream that comes in odd packets, packet by packet."""
    reader, at, turn = SOURCES[dialect].stream_reader(), 0, 0
    while at < len(body):
        size = _SIZES[turn % len(_SIZES)] * (1 if len(body) < 50_000 else 10)
        yield reader.feed(body[at : at + size])
        at, turn = at + size, turn + 1
    yield reader.end()


def read(dialect: str, exchange: Exchange) -> list[list[AnyEvent]]:
    """Raises ValueError for what is no answer of its dialect."""
    if exchange.streaming:
        return list(batches(dialect, exchange.body))
    return [[event] for event in SOURCES[dialect].read_reply(exchange.body)]


def is_answer(exchange: Exchange) -> bool:
    return bool(exchange.body) and exchange.status < 400


def judge(said: list[list[AnyEvent]], target: str, client: Client) -> list[str]:
    """What is wrong with the answer as a client of `target` hears it, whole and streamed."""
    events = [event for batch in said for event in batch]
    original, writer = gist(events), DIALECTS[target]
    asked = Conversation(model="m", messages=(), stream=True, stream_usage=True, origin=target)
    telling = writer.stream_writer(asked, model="m")
    wrong: list[str] = []
    told: list[Heard] = []
    for way in ("whole", "streamed"):
        try:
            if way == "whole":
                heard = client.whole(writer.write_reply(events, model="m"))
            else:
                heard = client.stream(b"".join(telling.feed(batch) for batch in said))
        except Exception as error:  # whatever a library raises is a failure
            cause = error.__cause__ or error
            wrong.append(f"{way}: {type(error).__name__}: {str(cause)[:300]}")
            continue
        told.append(heard)
        wrong += [f"{way}: {each}" for each in differences(original, heard, target, way)]
    if len(told) == 2 and told[0] != told[1]:
        wrong.append("whole and streamed disagree")
    return wrong


def differences(original: Gist, heard: Heard, target: str, way: str) -> list[str]:
    wrong: list[str] = []
    choices = original.choices if target in SEVERAL else {0: original.choices.get(0, Said())}
    for index, said in choices.items():
        got = heard.choice(index)
        text = said.text + said.refusal
        if got.text != text:
            wrong.append(f"text: {got.text[:80]!r} for {text[:80]!r}")
        if not _same_thoughts(got.thoughts, said.thoughts, target):
            wrong.append(f"thoughts: {got.thoughts[:80]!r} for {said.thoughts[:80]!r}")
        if said.finish is not None and got.finish != _word(said, target):
            wrong.append(f"finish: {got.finish} for {said.finish}")
        if len(got.calls) != len(said.calls):
            wrong.append(f"calls: {len(got.calls)} for {len(said.calls)}")
        wrong += [
            f"call: {one} for {two}"
            for one, two in zip(got.calls, said.calls, strict=False)
            if not _same_call(one, two)
        ]
    if original.usage is not None:
        wrong += _same_counts(heard.counts, original.usage)
    return wrong


def _same_thoughts(got: str, said: str, target: str) -> bool:
    """Chat has one text for all thoughts, with an empty line between one and the next."""
    return got == said or (target == "openai.chat" and got.replace("\n\n", "") == said.replace("\n\n", ""))


def _word(said: Said, target: str) -> str:
    return FINISH[target][str(said.finish)]


def _same_call(got: Call, said: tuple[str, str, str]) -> bool:
    id, name, arguments = said
    wanted: Any = parsed(arguments)
    wrapped = (
        {"INVALID_JSON": arguments},
        {"arguments": arguments},
        {"input": arguments},
        {"arguments": wanted},
        {"input": wanted},
    )
    free = not isinstance(wanted, dict)
    same = got.arguments == wanted or (free and got.arguments in (arguments, *wrapped))
    return (
        (got.id is None or got.id == id)
        and got.name == name
        and (same or json.dumps(got.arguments) == json.dumps(wanted))
    )


def _same_counts(got: Counts | None, usage: Usage) -> list[str]:
    if got is None:
        return ["usage: none"]
    wanted = {
        "input": usage.input,
        "output": usage.output,
        "cached": usage.cached,
        "reasoning": usage.reasoning,
    }
    return [
        f"usage: {name} {told} for {count}"
        for name, count in wanted.items()
        if (told := getattr(got, name)) is not None and told != count
    ]


def untold(said: list[list[AnyEvent]]) -> list[str]:
    """Parts of an answer that only its own dialect has a name for, by kind."""
    kinds = (
        event.part.kind
        for batch in said
        for event in batch
        if hasattr(event, "part") and isinstance(event.part, Unknown)
    )
    return [f"answer: {kind}" for kind in kinds]


def failure(said: list[list[AnyEvent]]) -> Failed | None:
    return next((event for batch in said for event in batch if isinstance(event, Failed)), None)


def silent(said: list[list[AnyEvent]]) -> bool:
    return all(isinstance(event, Pinged) for batch in said for event in batch)
