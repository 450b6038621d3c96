"""Recorded answers through a running gateway, asked for by the official library of every other dialect over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from chatvault.audit.lines import Closed
from chatvault.wire.hub.events import AnyEvent, Failed, Finished, PartBegun
from tests.recorded.answers import differences, failure
from tests.recorded.clients import Client, Refused
from tests.recorded.errors import WITHOUT_TYPE, compared
from tests.recorded.exchanges import DIALECTS, FOLDER, Exchange, digest
from tests.recorded.heard import Heard
from tests.recorded.official import clients
from tests.recorded.passing import judge_record
from tests.recorded.provider_says import Says, says
from tests.recorded.stage import Count, Stage, stage
from tests.recorded.stand_in import Way, packets
from tests.recorded.transport import Live
from tests.wire.openai.recordings import gist

KINDS: Final = ("answers", "errors", "broken")
"""Whole answers; refusals and errors inside streams; answers that are none, are of nothing, or were cut."""


class Told(msgspec.Struct):
    """A recorded answer as it can be judged. `events` are empty where it is none of its dialect."""

    exchange: Exchange
    says: Says
    events: list[AnyEvent]
    refusal: Failed | None
    kind: str


class Pair(msgspec.Struct):
    answers: Count = msgspec.field(default_factory=Count)
    errors: Count = msgspec.field(default_factory=Count)
    broken: Count = msgspec.field(default_factory=Count)

    def of(self, kind: str) -> Count:
        count: Count = getattr(self, kind)
        return count


def listed_errors() -> list[Exchange]:
    """Errors of OpenAI's chat that were collected one by one, of every kind."""
    listed = json.loads((FOLDER / "openai-errors.json").read_bytes())
    return [
        Exchange(
            id=f"openai-errors {number}",
            provider="openai",
            status=each["status"],
            response_body=json.dumps(
                {"error": {name: each[name] for name in ("message", "type", "param", "code")}}
            ),
        )
        for number, each in enumerate(listed)
    ]


def told(source: str, exchange: Exchange) -> Told:
    dialect, said = DIALECTS[source], says(source, exchange)
    if exchange.status >= 400:
        return Told(exchange, said, [], dialect.read_error(exchange.status, exchange.raw), "errors")
    try:
        if exchange.streaming:
            reader = dialect.stream_reader()
            events = [*reader.feed(exchange.raw), *reader.end()]
        else:
            events = dialect.read_reply(exchange.raw)
    except ValueError:
        return Told(exchange, said, [], None, "broken")
    failed = failure([events])
    if failed is not None:
        return Told(exchange, said, events, failed, "errors")
    whole = gist(events).whole and any(
        isinstance(event, PartBegun) or (isinstance(event, Finished) and event.said) for event in events
    )
    return Told(exchange, said, events, None, "answers" if whole else "broken")


@contextmanager
def live(port: int, token: str) -> Iterator[dict[str, Client]]:
    made: list[Live] = []

    def transport() -> Live:
        made.append(Live(port, token))
        return made[-1]

    try:
        yield clients(transport)
    finally:
        for each in made:
            each.close()


@asynccontextmanager
async def before(tmp_path: Path, source: str) -> AsyncIterator[tuple[Stage, dict[str, Client]]]:
    """A gateway whose provider speaks `source` alone, and the libraries that ask it."""
    async with stage(tmp_path, source) as there:
        with live(there.gate.port, there.gate.token) as libraries:
            yield there, libraries


async def cross(
    tmp_path: Path, source: str, recorded: Iterable[Exchange], targets: Iterable[str]
) -> dict[str, Pair]:
    """Answers in `source`, asked for in each of the `targets`."""
    pairs = {target: Pair() for target in targets}
    asked: list[tuple[str, Told, int, list[str]]] = []
    async with before(tmp_path, source) as (there, libraries):
        for exchange in recorded:
            said = told(source, exchange)
            for target in pairs:
                for stream in (False, True) if exchange.status >= 400 else (bool(exchange.streaming),):
                    wrong = await _ask(there, libraries[target], target, said, stream)
                    asked.append((target, said, there.gate.worker.served, wrong))
            said.events.clear()
            said.says.values.clear()
        records = (await there.gate.records()).closed
    at = 0
    for target, said, served, wrong in asked:
        for record in records[at:served]:
            wrong += _record(source, said, record)
        if served == at:
            wrong.append("the call is not on record")
        at = served
        pairs[target].of(said.kind).add(said.exchange, wrong)
    return pairs


async def _ask(there: Stage, library: Client, target: str, said: Told, stream: bool) -> list[str]:
    exchange = said.exchange
    way: Way = "odd" if digest(exchange)[0] % 2 else "recorded"
    there.there.answer = packets(exchange, way, Random(digest(exchange)))
    ask: Callable[[bytes], Heard] = library.stream if stream else library.whole
    try:
        heard = await asyncio.to_thread(ask, b"")
    except Exception as error:  # whatever a library raises
        wrong = _raised(said, target, error)
    else:
        wrong = _heard(said, target, stream, heard)
    await there.gate.settled()
    return wrong


def _heard(said: Told, target: str, stream: bool, heard: Heard) -> list[str]:
    if said.kind != "answers":
        return [f"{said.kind}: it was taken for a whole answer"]
    return differences(gist(said.events), heard, target, "streamed" if stream else "whole")


def _raised(said: Told, target: str, error: Exception) -> list[str]:
    if said.kind == "answers":
        return [f"{type(error).__name__}: {str(error.__cause__ or error)[:300]}"]
    if said.refusal is None:
        return []
    if said.exchange.status < 400 or not isinstance(error, Refused):
        return (
            []
            if said.refusal.message in str(error)
            else [f"message: {type(error).__name__} {str(error)[:200]}"]
        )
    wanted = said.refusal
    if target in WITHOUT_TYPE:
        wanted = msgspec.structs.replace(wanted, kind=None, code=None)
    return compared(error, wanted, said.exchange.status)


def _record(source: str, said: Told, record: Closed) -> list[str]:
    if said.kind != "broken":
        return judge_record(source, said.exchange, said.says, record)
    states = ("upstream_cut", "upstream_error") if said.exchange.streaming else ("upstream_error",)
    return [] if record.state in states else [f"state: {record.state} for one of {states}"]


def table(found: dict[str, dict[str, Pair]]) -> str:
    lines = [
        "| recorded | asked in | answers | failed | errors | failed | no answers | failed |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    total = [0] * 6
    for source, pairs in found.items():
        for target, pair in pairs.items():
            numbers = [number for kind in KINDS for number in (pair.of(kind).passed, pair.of(kind).failed)]
            total = [one + two for one, two in zip(total, numbers, strict=True)]
            lines.append(f"| `{source}` | `{target}` | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join([*lines, "| **all** | | " + " | ".join(map(str, total)) + " |"])


def failures(found: dict[str, dict[str, Pair]]) -> str:
    return "\n".join(
        f"{source} -> {target} {kind} {len(ids)} {why[:300]!r} {ids[0]}"
        for source, pairs in found.items()
        for target, pair in pairs.items()
        for kind in KINDS
        for why, ids in pair.of(kind).why.items()
    )
