"""Answers pass as the provider sent them, byte for byte: streams, and whole ones."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fake.raw import Heard, chat, written
from tests.gateway.harness import KEY, Gate, converse, gateway
from tests.gateway.records import Records
from tests.gateway.shapes import STREAMED, WHOLE, Shape


async def only(gate: Gate) -> "Records":
    return await asyncio.to_thread(Records, gate.journal)


# --- streams

WAYS = (
    "echo", "echo+split-1", "echo+split-7", "echo+chunk-3", "echo+crlf", "echo+crlf+split-1", "echo+cr",
    "echo+cr+split-1", "echo+no-space", "echo+bom", "echo+many-lines", "echo+many-lines+split-1",
    "echo+bare-comment-pings+split-1", "echo+eof-body", "echo+old-http", "echo+gzip", "echo+gzip+split-1",
    "echo+deflate", "echo+trailers", "echo+connection-close", "echo+usage-in-last-chunk", "echo+no-content-type",
    "echo+usage-in-every-chunk", "echo+big-header-8k",
)  # fmt: skip


@pytest.mark.both_loops
async def test_streams_pass_as_the_provider_sent_them(tmp_path: Path) -> None:
    """The bytes that the client gets are those that the provider sends when it is asked directly."""
    async with gateway(tmp_path) as gate:
        for shape in STREAMED:
            for way in WAYS:
                asked = {"stream_options": {"include_usage": True}} if shape.endpoint != "responses" else {}
                mine, theirs = await _both(gate, shape, way, asked)
                assert mine.status == 200, (str(shape), way)
                assert (
                    mine.body == theirs.body if "gzip" not in way and "deflate" not in way else mine.whole()
                )
                assert mine.whole(), (str(shape), way)
    records = await only(gate)
    for record in records.closed:
        assert record.state == "completed"
        assert (record.usage_source, record.cost_source) == ("provider", "prices"), record


async def _both(gate: Gate, shape: Shape, way: str, asked: Mapping[str, object]) -> tuple[Heard, Heard]:
    mine = await gate.send(gate.post(shape.body(f"fake/{way}", **asked), shape.path))
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.fake.port)
    try:
        key = {"authorization": f"Bearer {KEY}"}
        theirs = await converse(reader, writer, written(shape.body(way, **asked), shape.path, **key))
    finally:
        writer.close()
    return mine, theirs


async def test_hidden_usage_leaves_the_rest_of_the_stream_as_it_was(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for way in WAYS:
            if "no-content-type" in way:
                continue
            heard = await gate.send(gate.post(chat(f"fake/{way}", stream=True)))
            body = heard.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            assert b'"choices":[]' not in body.replace(b"data:", b"").replace(b"\n", b"").replace(
                b" ", b""
            ), way
            assert body.rstrip().endswith(b"[DONE]"), way
            assert (b": ping" in body) == ("pings" in way)
    assert {record.usage_source for record in (await only(gate)).closed} == {"provider"}


async def test_the_head_comes_with_the_first_event_and_not_before(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/echo+slow-body-150ms", stream=True)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        heard = await converse(reader, writer, b"")
        assert heard.packets[0][1].startswith(b"HTTP/1.1 200")
        assert b"data:" in heard.packets[0][1]


async def test_pings_before_the_first_event_do_not_commit(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(
            gate.post(chat("fake/bare-comment-pings+error-in-stream-after-0", stream=True))
        )
        assert heard.status >= 400
        assert "error" in heard.json


async def test_events_are_passed_on_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/echo+pace-30ms+events-5", stream=True)))
        times = [at for at, packet in heard.packets if b'"content"' in packet]
        assert len(times) >= 5
        assert times[4] - times[0] > 0.09


async def test_a_stream_whose_connection_stays_open_behind_done_is_ended(tmp_path: Path) -> None:
    """Some providers keep the answer open after the last event; a client must not wait for that."""
    async with gateway(tmp_path) as gate:
        whole = await gate.send(gate.post(chat("fake/echo+events-3", stream=True)))
        events = len(whole.events) + 1  # and the one that is hidden
        heard = await gate.send(gate.post(chat(f"fake/echo+events-3+stall-after-{events}", stream=True)))
        assert heard.events[-1] == "[DONE]"
        assert heard.whole()
    assert {record.state for record in (await only(gate)).closed} == {"completed"}


# --- whole answers


async def test_whole_answers_pass_byte_for_byte(tmp_path: Path) -> None:
    ways = (
        "echo", "echo+split-1", "echo+chunk-5", "echo+eof-body", "echo+old-http", "echo+gzip", "echo+deflate",
        "echo+trailers", "echo+lone-surrogate", "echo+size-100k", "echo+no-usage", "echo+usage-null",
    )  # fmt: skip
    async with gateway(tmp_path) as gate:
        for way in ways:
            mine, theirs = await _both(gate, WHOLE[0], way, {})
            assert mine.status == 200, way
            assert "content-encoding" not in mine.headers
            assert int(mine.headers["content-length"]) == len(mine.body)
            assert mine.body == (theirs.unzipped if "content-encoding" in theirs.headers else theirs.body), (
                way
            )
    records = await only(gate)
    told = [record for record in records.closed if record.usage_source == "provider"]
    unsaid = [record for record in records.closed if record not in told]
    assert (len(told), len(unsaid)) == (len(ways) - 2, 2)
    for record in unsaid:
        assert (record.usage_source, record.cost_source) == ("estimated", "estimated")
        assert record.cost


async def test_a_large_answer_streams_and_its_usage_is_found(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for way in ("size-3000k", "size-3000k+chunk-10000", "size-3000k+eof-body"):
            heard = await gate.send(gate.post(chat(f"fake/{way}")))
            assert heard.status == 200
            assert len(heard.body) > 3_000_000
            assert heard.json["object"] == "chat.completion"
    for record in (await only(gate)).closed:
        assert (record.state, record.usage_source) == ("completed", "provider")
        assert record.bytes_out > 3_000_000


async def test_a_large_answer_that_is_cut_breaks_the_connection(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/size-3000k+cut-after-1000000")))
        assert heard.status == 200
        assert heard.ended in ("eof", "reset")
        assert not heard.whole()
        held = await gate.send(gate.post(chat("fake/size-3000k+chunk-10000+cut-after-1000000")))
        assert held.status == 502
        assert held.whole()
    records = await only(gate)
    assert [(record.state, record.usage_source) for record in records.closed] == [
        ("upstream_cut", "unknown")
    ] * 2


async def test_a_large_error_is_an_error_on_record(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/fail-500"), **{"x-fake-fault": "big-header-8k"}))
        assert heard.status == 500
    assert (await only(gate)).only().state == "upstream_error"


async def test_a_compression_bomb_stays_small(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/gzip-bomb-16m")))
        assert heard.status in (200, 502)
    assert len((await only(gate)).closed) == 1
