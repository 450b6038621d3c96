"""Recorded exchanges, and what their answers come to."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from chatvault.core.usage import Usage
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    CitationTold,
    Ended,
    Failed,
    Finished,
    PartBegun,
    PartEnded,
    SignatureTold,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import AnyPart, Refusal, Text, Thought, ToolCall


class Exchange(msgspec.Struct):
    id: str
    provider: str
    status: int
    streaming: bool | None = None
    fidelity: str | None = None
    request_body: object = None
    response_body: str | None = None

    @property
    def body(self) -> bytes:
        return (self.response_body or "").encode()


def exchanges(dialect: str) -> Iterator[Exchange]:
    folder = os.environ.get("CHATVAULT_RECORDED")
    if not folder:
        pytest.skip("CHATVAULT_RECORDED names no folder")
    decode = msgspec.json.Decoder(Exchange).decode
    with gzip.open(Path(folder) / f"{dialect}.jsonl.gz") as lines:
        for line in lines:
            yield decode(line)


class Said(msgspec.Struct):
    """What one choice came to, with neighbours of a kind joined."""

    text: str = ""
    refusal: str = ""
    thoughts: str = ""
    proofs: list[str] = []
    calls: list[tuple[str, str, str]] = []
    citations: int = 0
    others: list[AnyPart] = []
    finish: str | None = None


class Gist(msgspec.Struct):
    choices: dict[int, Said] = {}
    usage: Usage | None = None
    failure: Failed | None = None
    whole: bool = False


def gist(events: list[AnyEvent]) -> Gist:
    """Checks the order of events on the way."""
    found = Gist()
    parts: dict[tuple[int, int], AnyPart] = {}
    arguments: dict[tuple[int, int], int] = {}
    open_parts: set[tuple[int, int]] = set()
    for event in events:
        assert not found.whole, "nothing follows the end"
        if isinstance(event, UsageTold):
            found.usage = event.usage
        elif isinstance(event, Failed):
            found.failure = event
        elif isinstance(event, Ended):
            assert not open_parts
            found.whole = True
        elif isinstance(event, Finished):
            found.choices.setdefault(event.choice, Said()).finish = event.reason
        elif isinstance(
            event, PartBegun | PartEnded | TextDelta | ArgumentsDelta | SignatureTold | CitationTold
        ):
            said = found.choices.setdefault(event.choice, Said())
            key = (event.choice, event.index)
            if isinstance(event, PartBegun):
                assert key not in parts
                parts[key] = event.part
                open_parts.add(key)
                _begin(said, event.part, key, arguments)
            else:
                assert key in open_parts
                if isinstance(event, PartEnded):
                    open_parts.discard(key)
                else:
                    _more(said, parts[key], event, arguments.get(key))
    return found


def _begin(said: Said, part: AnyPart, key: tuple[int, int], arguments: dict[tuple[int, int], int]) -> None:
    if isinstance(part, Text):
        said.text += part.text
    elif isinstance(part, Refusal):
        said.refusal += part.text
    elif isinstance(part, Thought):
        said.thoughts += part.text
        said.proofs += [proof for proof in (part.signature, part.sealed) if proof]
    elif isinstance(part, ToolCall):
        arguments[key] = len(said.calls)
        said.calls.append((part.id, part.name, part.arguments))
    else:
        said.others.append(part)


def _more(
    said: Said,
    part: AnyPart,
    event: TextDelta | ArgumentsDelta | SignatureTold | CitationTold,
    call: int | None,
) -> None:
    if isinstance(event, ArgumentsDelta):
        assert call is not None
        id, name, text = said.calls[call]
        said.calls[call] = (id, name, text + event.text)
    elif isinstance(event, CitationTold):
        said.citations += 1
    elif isinstance(event, SignatureTold):
        said.proofs += [proof for proof in (event.signature, event.sealed) if proof]
    elif isinstance(part, Refusal):
        said.refusal += event.text
    elif isinstance(part, Thought):
        said.thoughts += event.text
    else:
        said.text += event.text


def pieces(body: bytes, sizes: tuple[int, ...]) -> Iterator[bytes]:
    """`body` cut into pieces of these sizes, over and over."""
    at, turn = 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        yield body[at : at + size]
        at, turn = at + size, turn + 1
