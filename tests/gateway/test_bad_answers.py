"""Providers' answers that are wrong, asked for in every dialect: a broken answer never looks whole to the official
library, what is not the provider's dialect is an error in the client's, and the record says so."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings

from chatvault.audit.lines import Closed
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.events import Failed, Pinged
from tests.gateway.asked import PATHS, STREAMED_PATHS, error_in, least, written
from tests.gateway.harness import Gate
from tests.gateway.mutations import mutated
from tests.recorded.crossing import live
from tests.recorded.exchanges import DIALECTS
from tests.recorded.heard import Choice, Heard
from tests.recorded.stage import stage
from tests.recorded.stand_in import StandIn
from tests.recorded.test_judges import SAID

EVERY: Final = pytest.mark.parametrize("source", DIALECTS)
ASKED: Final = pytest.mark.parametrize("asked", DIALECTS)
SAYING: Final = Conversation(model="m", messages=(), stream=True, stream_usage=True, origin="openai.chat")
BROKEN: Final = {"upstream_cut", "upstream_error", "error_in_band"}


def answer(body: bytes, kind: bytes = b"application/json") -> list[bytes]:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
    return [head + body]


def streamed(source: str, *pieces: bytes, ended: bool = True) -> list[bytes]:
    """`ended`: HTTP says that this is all."""
    kind = DIALECTS[source].stream_type
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n" % kind
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece]
    return [head, *chunks, *([b"0\r\n\r\n"] if ended else [])]


def stream_of(source: str) -> list[bytes]:
    """A stream of the dialect, event by event."""
    writer = DIALECTS[source].stream_writer(SAYING, model="m")
    whole = b"".join(writer.feed([event]) for event in SAID)
    border = rb"(?<=\n)" if DIALECTS[source].stream_type == b"application/x-ndjson" else rb"(?<=\n\n)"
    return [piece for piece in re.split(border, whole) if piece]


@asynccontextmanager
async def before(tmp_path: Path, source: str) -> AsyncIterator[tuple[Gate, StandIn]]:
    async with stage(tmp_path, source) as there:
        yield there.gate, there.there


async def last(gate: Gate) -> Closed:
    await gate.settled()
    return (await gate.records()).closed[-1]


def choices(heard: Heard) -> dict[int, Choice]:
    return heard.choices


@pytest.mark.filterwarnings("default")
@EVERY
async def test_a_stream_that_is_cut_anywhere_never_looks_whole(tmp_path: Path, source: str) -> None:
    """Behind every event and within every event, ended in order or not: the library raises, or has heard all."""
    events = stream_of(source)
    cuts = [(events[:at], b"") for at in range(len(events))]
    cuts += [(events[:at], events[at][: len(events[at]) // 2]) for at in range(len(events))]
    seen: list[tuple[str, bool]] = []
    async with before(tmp_path, source) as (gate, there):
        with live(gate.port, gate.token) as libraries:
            for asked, library in libraries.items():
                there.answer, there.keeps = streamed(source, *events), True
                whole = choices(await asyncio.to_thread(library.stream, b""))
                seen += [(asked, True)] * (2 if asked == "anthropic.messages" else 1)
                for number, (pieces, torn) in enumerate(cuts):
                    there.keeps = number % 2 == 0
                    there.answer = streamed(source, *pieces, torn, ended=there.keeps)
                    served = gate.worker.served
                    try:
                        heard = choices(await asyncio.to_thread(library.stream, b""))
                    except Exception:  # whatever the library raises
                        heard = {}
                    await gate.settled()
                    assert heard in ({}, whole), (asked, pieces, torn)
                    seen += [(asked, bool(heard))] * (gate.worker.served - served)
        records = (await gate.records()).closed
    assert len(records) == len(seen)
    for record, (asked, heard_all) in zip(records, seen, strict=True):
        assert heard_all == (record.state == "completed"), (asked, record)
        assert heard_all or record.state in BROKEN, record


@pytest.mark.filterwarnings("default")
@EVERY
async def test_streams_of_nothing_and_errors_within_them(tmp_path: Path, source: str) -> None:
    dialect = DIALECTS[source]
    failed = Failed(message="it went wrong", kind="server_error")
    ping = dialect.stream_writer(SAYING, model="m").feed([Pinged()])
    begun = stream_of(source)[:2]
    ways = {
        "nothing": [],
        "pings": [ping, ping],
        "an end alone": [b"data: [DONE]\n\n"],
        "an error at once": [dialect.write_error_event(failed)],
        "an error within": [*begun, dialect.write_error_event(failed)],
        "no events": [b"<html>busy</html>\n\n"],
    }
    async with before(tmp_path, source) as (gate, there):
        with live(gate.port, gate.token) as libraries:
            for asked, library in libraries.items():
                for way, pieces in ways.items():
                    if asked == source and way == "an end alone":
                        continue  # the provider's own word, which passes
                    there.answer = streamed(source, *pieces)
                    with pytest.raises(Exception) as raised:
                        await asyncio.to_thread(library.stream, b"")
                    record = await last(gate)
                    # A library that raises at the provider's own event may hang up before the stream ends.
                    left = record.state == "client_gone" and asked == source and way == "an error within"
                    assert left or record.state in BROKEN, (asked, way, record.state, record.code)
                    if "error" in way:
                        assert left or record.state == "error_in_band"
                        assert "it went wrong" in str(raised.value), (asked, way)


@ASKED
@EVERY
async def test_what_is_not_the_providers_dialect_is_a_502(tmp_path: Path, source: str, asked: str) -> None:
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    bodies: list[bytes] = [b"<h1>Portal</h1> " + secret.encode(), b"", b"ok", b"[]", b"3", b'"x"', b'{"cut":']
    if asked != source:
        bodies += [b"{}", b'{"status":200,"body":"hello"}', b"[{}]"]
    async with before(tmp_path, source) as (gate, there):
        for stream in (False, True) if asked != source else (False,):
            for body in bodies:
                there.answer = answer(body, b"text/html" if body[:1] == b"<" else b"application/json")
                path = STREAMED_PATHS[asked] if stream else PATHS[asked]
                heard = await gate.send(gate.post(least(asked, stream=stream), path))
                assert heard.status == 502, (body, heard.body)
                error_in(asked, heard)
                record = await last(gate)
                assert record.state in ("upstream_error", "upstream_cut"), body
                records = await gate.records()
                private = str(records.private(records.closed[-1], records.closed[-1].private))
                assert secret not in private
                if body[:1] == b"<" and not stream:
                    assert "<h1>Portal</h1>" in private


async def test_an_array_of_gemini_that_breaks_is_no_array(tmp_path: Path) -> None:
    events = stream_of("openai.chat")
    async with before(tmp_path, "openai.chat") as (gate, there):
        for at in range(len(events) - 3):
            there.answer = streamed("openai.chat", *events[:at])
            path = "/v1beta/models/m:streamGenerateContent"
            heard = await gate.send(gate.post(least("gemini.generate", stream=True), path))
            assert heard.status == 502 or not heard.whole()
            assert (await last(gate)).state == "upstream_cut"


@ASKED
@EVERY
async def test_mutated_answers_are_answers_or_errors(
    tmp_path: Path, source: str, asked: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = json.loads(DIALECTS[source].write_reply(SAID, model="m"))
    found: list[bytes] = []

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(mutated([whole]))
    def gather(value: Any) -> None:
        found.append(written(value))

    gather()
    async with before(tmp_path, source) as (gate, there):
        for body in found:
            there.answer = answer(body)
            heard = await gate.send(gate.post(least(asked, stream=False), PATHS[asked]))
            record = await last(gate)
            assert heard.status != 500, (body, heard.body)
            if heard.status == 200:
                assert isinstance(json.loads(heard.body), dict)
                assert record.state in ("completed", "error_in_band"), (body, record)
            else:
                error_in(asked, heard)
                assert record.state in BROKEN, (body, record)
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
