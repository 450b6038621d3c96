"""Answers whose head says something else than their body, and bodies at the edge of what their head says."""

from pathlib import Path

import pytest

from tests.fake.raw import chat
from tests.gateway.upstream import DONE, before, event, sized
from tests.net.peers import Handler, Peer, answering

JSON_CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
FINISHED = (
    b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":4}}'
)


def pieces(body: bytes, size: int) -> Handler:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(JSON_CHUNKED)
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            await peer.write(b"%x\r\n%s\r\n" % (len(piece), piece), 0.001)
        await peer.write(b"0\r\n\r\n")

    return handle


@pytest.mark.parametrize("size", [1, 4, 5000])
async def test_events_that_are_called_json_pass_as_events(tmp_path: Path, size: int) -> None:
    body = event("a") + event("b") + FINISHED + b"\n\n" + DONE
    async with before(tmp_path, pieces(body, size)) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m", stream=True, stream_options={"include_usage": True})))
        assert (heard.status, heard.body, heard.whole()) == (200, body, True)
    record = (await gate.records()).only()
    assert (record.state, record.usage_source, record.finish) == ("completed", "provider", "stop")


async def test_events_that_are_called_json_and_are_cut_do_not_look_whole(tmp_path: Path) -> None:
    async with before(tmp_path, pieces(event("a") + event("b"), 5000)) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m", stream=True)))
        assert not heard.whole()
        assert b'"upstream_cut"' in heard.body
    assert (await gate.records()).only().state == "upstream_cut"


@pytest.mark.parametrize("body", [b"", b"<h1>Bad gateway</h1>", b'{"error":'], ids=["none", "HTML", "cut"])
async def test_an_error_that_is_called_json_and_is_none_is_put_into_the_error_shape(
    tmp_path: Path, body: bytes
) -> None:
    answer = sized(body).replace(b"200 OK", b"503 Busy")
    async with before(tmp_path, answering(answer)) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m")))
        assert heard.status == 503
        error = heard.json["error"]
        assert isinstance(error, dict)
        assert error["code"] == "upstream_status"
    assert (await gate.records()).only().state == "upstream_error"


async def test_lines_of_json_pass_where_no_dialect_is_known(tmp_path: Path) -> None:
    body = b'{"event_type":"stream-start"}\n{"event_type":"stream-end"}\n'
    async with before(tmp_path, answering(sized(body, b"application/stream+json"))) as (gate, _):
        heard = await gate.send(gate.post({"model": "raw/m", "message": "x"}, "/v1/generate"))
        assert (heard.status, heard.body) == (200, body)
    assert (await gate.records()).only().state == "completed"


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\r", b"\r\n", b"\n", b""], ids=repr)
@pytest.mark.parametrize("split", [0, 1, 2, 3])
@pytest.mark.parametrize("asked", [True, False], ids=["asked", "hidden"])
async def test_the_last_line_ends_of_a_stream_arrive_however_they_were_cut(
    tmp_path: Path, end: bytes, split: int, asked: bool
) -> None:
    body = event("a", end[: len(end) // 2] or b"\n") + FINISHED + end
    cut = len(body) - split

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(JSON_CHUNKED.replace(b"application/json", b"text/event-stream"))
        for piece in (body[:cut], body[cut:]):
            if piece:
                await peer.write(b"%x\r\n%s\r\n" % (len(piece), piece), 0.005)
        await peer.write(b"0\r\n\r\n")

    async with before(tmp_path, handle) as (gate, _):
        options = {"stream_options": {"include_usage": True}} if asked else {}
        heard = await gate.send(gate.post(chat("raw/m", stream=True, **options)))
        assert heard.body == body
        assert heard.whole()
    assert (await gate.records()).only().state == "completed"
