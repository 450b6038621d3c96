"""Streams that break: whoever reads them is told, on a line of its own, and what they used is estimated."""

import gzip
import json
from pathlib import Path

import openai
import pytest
from openai._streaming import SSEDecoder
from openai.types.chat import ChatCompletionChunk

from chatvault.config.schema import Timeouts
from tests.fake.raw import Heard, chat
from tests.gateway.upstream import SSE, before, event
from tests.net.peers import Handler, Peer

TORN = event("the last")


def breaking(*parts: bytes, wait: float = 0.01, reset: bool = False, stay: bool = False) -> Handler:
    async def handle(peer: Peer) -> None:
        await peer.request()
        for part in parts:
            await peer.write(part, wait)
        if stay:
            await peer.left()
        elif reset:
            peer.reset()

    return handle


def read(heard: Heard) -> list[str]:
    """The data of each event, as the client library reads them."""
    return [each.data for each in SSEDecoder().iter_bytes(iter([heard.body]))]


def error_in(events: list[str]) -> dict[str, object]:
    error = json.loads(events[-1])["error"]
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
async def test_a_stream_cut_within_an_event_ends_in_an_event_of_its_own(
    tmp_path: Path, line_end: bytes
) -> None:
    whole = event("a", line_end)
    last = event("b", line_end)
    places = [1, 5, 6, 20, len(last) // 2, len(last) - 2 * len(line_end) - 1, len(last) - len(line_end) - 1]
    turn = iter(places)

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(SSE + whole, 0.01)
        await peer.write(last[: next(turn)], 0.01)

    async with before(tmp_path, handle) as (gate, _):
        for place in places:
            heard = await gate.send(
                gate.post(chat("raw/m", stream=True, stream_options={"include_usage": True}))
            )
            assert heard.status == 200
            assert not heard.whole()
            events = read(heard)
            assert error_in(events)["code"] == "upstream_cut", (place, heard.body)
            assert json.loads(events[0])["choices"][0]["delta"]["content"] == "a"
    for record in (await gate.records()).closed:
        assert (record.state, record.usage_source) == ("upstream_cut", "estimated")


async def test_an_overlong_event_that_is_cut_ends_in_an_event_of_its_own(tmp_path: Path) -> None:
    """An event over 8 MiB is passed on and not kept, so that nothing is left of it when it breaks."""
    long = b'data: {"x":"' + b"y" * (9 << 20)
    async with before(tmp_path, breaking(SSE + event("a"), long, b"z" * 1000)) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m", stream=True)))
        assert len(heard.body) > 9 << 20
        assert error_in(read(heard))["code"] == "upstream_cut"
    assert (await gate.records()).only().state == "upstream_cut"


async def test_a_stream_cut_between_events_has_no_empty_lines_put_in(tmp_path: Path) -> None:
    async with before(tmp_path, breaking(SSE + event("a"), event("b"))) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m", stream=True)))
        assert heard.body.startswith(event("a") + event("b") + b'data: {"error":')


async def test_the_client_library_sees_each_break(tmp_path: Path) -> None:
    ways = {
        "between events": (breaking(SSE + event("a")), openai.APIError),
        "behind an event's data": (breaking(SSE + event("a"), TORN[:-2]), openai.APIError),
        "within an event's data": (breaking(SSE + event("a"), TORN[:-20]), json.JSONDecodeError),
    }
    for name, (handle, kind) in ways.items():
        async with before(tmp_path / name, handle) as (gate, _):
            stream = await gate.client().chat.completions.create(
                model="raw/m", messages=[{"role": "user", "content": "x"}], stream=True
            )
            seen: list[str | None] = []
            with pytest.raises(kind):
                await listen(stream, seen)
            assert seen[0] == "a", name


async def listen(stream: openai.AsyncStream[ChatCompletionChunk], seen: list[str | None]) -> None:
    async for chunk in stream:
        seen.append(chunk.choices[0].delta.content)


CHUNKED = SSE.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n")
FIRST = b"%x\r\n%s\r\n" % (len(event("a")), event("a"))
HALF = event("b")[:40]
BREAKS = {
    "a bad chunk": (breaking(CHUNKED + FIRST, b"xyz\r\n"), "upstream_error", "upstream_protocol_error"),
    "a bad chunk within an event": (
        breaking(CHUNKED + FIRST, b"%x\r\n%s\r\n" % (len(HALF), HALF), b"xyz\r\n"),
        "upstream_error",
        "upstream_protocol_error",
    ),
    "broken gzip": (
        breaking(
            SSE.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"),
            gzip.compress(event("a") * 2000, 0)[:-3000],
            b"\xff" * 6000,
        ),
        "upstream_error",
        "upstream_protocol_error",
    ),
    "a reset": (breaking(SSE + event("a"), reset=True), "upstream_cut", "upstream_cut"),
    "a cut": (breaking(CHUNKED + FIRST), "upstream_cut", "upstream_cut"),
    "silence": (breaking(SSE + event("a"), stay=True), "stalled", "upstream_stalled"),
}


@pytest.mark.parametrize("way", BREAKS)
async def test_a_stream_that_broke_has_an_estimated_usage(tmp_path: Path, way: str) -> None:
    handle, state, code = BREAKS[way]
    timeouts = Timeouts(connect=2.0, first_byte=5.0, idle=0.2)
    async with before(tmp_path, handle, timeouts=timeouts) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m", stream=True)))
        assert heard.status == 200
        assert error_in(read(heard))["code"] == code
        assert not heard.whole()
    record = (await gate.records()).only()
    assert (record.state, record.code) == (state, code)
    assert (record.usage_source, record.cost_source) == ("estimated", "estimated")
    assert record.usage is not None
    assert record.usage.input > 0
    assert record.usage.output > 0
    assert record.cost == record.usage.input * 1_000_000 + record.usage.output * 4_000_000
