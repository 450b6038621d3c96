"""Answers at the edge of what HTTP and event streams allow, from a provider that follows a script."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import pytest

from chatvault.audit.lines import Closed
from chatvault.config.schema import ServerConfig, Timeouts
from tests.fake.raw import chat
from tests.gateway.harness import Gate, converse, gateway, until
from tests.gateway.records import Records
from tests.gateway.scripted import ENDS, EVENTS, JSON, scripted

DELTA = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
ASK = chat("scripted/any", stream=True)


async def record_of(gate: Gate) -> Closed:
    await gate.settled(1)
    return (await asyncio.to_thread(Records, gate.journal)).only()


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ((DELTA, FINISH, USAGE, b"data: [DONE]"), DELTA + FINISH + b"data: [DONE]"),
        ((DELTA, FINISH, USAGE, b"data: [DONE]\n"), DELTA + FINISH + b"data: [DONE]\n"),
        ((DELTA + FINISH, USAGE[:-1]), DELTA + FINISH),
        ((DELTA, FINISH[:-2],), DELTA + FINISH[:-2]),
        ((DELTA[:-2],), None),
        ((b": ping\n\n", DELTA, FINISH, USAGE, DONE), b": ping\n\n" + DELTA + FINISH + DONE),
        ((DELTA, FINISH, USAGE, DONE, b": bye\n\n"), DELTA + FINISH + DONE + b": bye\n\n"),
        ((b"event: x\nid: 7\n" + DELTA, FINISH, DONE), b"event: x\nid: 7\n" + DELTA + FINISH + DONE),
        ((DELTA, b"data: no json\n\n", FINISH, DONE), DELTA + b"data: no json\n\n" + FINISH + DONE),
        ((DELTA[:20], DELTA[20:] + FINISH + USAGE[:30], USAGE[30:] + DONE), DELTA + FINISH + DONE),
    ],
    ids=str,
)  # fmt: skip
async def test_streams_that_end_oddly(tmp_path: Path, pieces: tuple[bytes, ...], shown: bytes | None) -> None:
    async with gateway(tmp_path) as gate, scripted(gate, EVENTS + ENDS, *pieces):
        heard = await gate.send(gate.post(ASK))
        record = await record_of(gate)
    if shown is None:
        assert record.state == "upstream_cut"
        assert (heard.status, heard.whole()) == (502, True), "no byte of it had gone out"
        return
    assert (heard.status, heard.body, heard.whole()) == (200, shown, True)
    assert record.state == "completed"
    told = any(b'"usage"' in piece for piece in pieces)
    assert record.usage_source == ("provider" if told else "estimated")


async def test_a_stream_that_was_whole_before_its_connection_broke_is_whole(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as gate,
        scripted(
            gate,
            EVENTS + b"transfer-encoding: chunked\r\n\r\n",
            b"%x\r\n%s\r\n" % (len(DELTA + DONE), DELTA + DONE),
            "reset",
        ),
    ):
        heard = await gate.send(gate.post(ASK))
        assert heard.events[-1] == "[DONE]"
        assert heard.whole()
        assert (await record_of(gate)).state == "completed"


ERRORS = {
    b'{"error":{"message":"slow down","code":429}}': 429,
    b'{"error":{"message":"overloaded","code":"503"}}': 503,
    b'{"error":{"message":"odd","code":"server_error"}}': 502,
    b'{"error":"just words"}': 502,
    b'{"type":"error","error":{"message":"nested"}}': 502,
}


@pytest.mark.parametrize(("event", "status"), ERRORS.items(), ids=str)
async def test_errors_as_the_first_event_become_answers(tmp_path: Path, event: bytes, status: int) -> None:
    async with gateway(tmp_path) as gate, scripted(gate, EVENTS + ENDS, b"data: " + event + b"\n\n", 0.05):
        heard = await gate.send(gate.post(ASK))
        record = await record_of(gate)
    error: Any = heard.json["error"]
    assert isinstance(error, dict)
    assert error["message"]
    assert heard.status == record.status == status
    assert (record.state, record.code) == ("error_in_band", "upstream_error_in_answer")


async def test_an_error_inside_a_stream_whose_connection_then_breaks(tmp_path: Path) -> None:
    event = b'data: {"error":{"message":"broke off"}}\n\n'
    head = EVENTS + b"transfer-encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (DELTA, event)]
    async with gateway(tmp_path) as gate, scripted(gate, head, *chunks, "reset"):
        heard = await gate.send(gate.post(ASK))
        record = await record_of(gate)
    assert "broke off" in heard.body.decode()
    assert not heard.whole()
    assert (record.state, record.usage_source) == ("error_in_band", "estimated")


async def test_an_event_larger_than_anything_passes(tmp_path: Path) -> None:
    large = b'data: {"choices":[{"delta":{"content":"' + b"x" * 12_000_000 + b'"}}]}\n\n'
    pieces = [large[at : at + 1_000_000] for at in range(0, len(large), 1_000_000)]
    async with gateway(tmp_path) as gate, scripted(gate, EVENTS + ENDS, DELTA, *pieces, FINISH, USAGE, DONE):
        heard = await gate.send(gate.post(ASK))
        record = await record_of(gate)
    assert heard.body == DELTA + large + FINISH + DONE
    assert (record.state, record.usage_source) == ("completed", "provider")


async def test_a_stream_in_which_no_event_ever_comes_is_given_up(tmp_path: Path) -> None:
    pieces = [b": nothing but comments here\n\n" * 40_000] * 12
    async with gateway(tmp_path) as gate, scripted(gate, EVENTS + ENDS, *pieces, 5.0):
        heard = await gate.send(gate.post(ASK))
        record = await record_of(gate)
    assert heard.status == 502
    assert record.state == "upstream_error"


async def test_a_cut_within_an_event_leaves_the_error_readable(tmp_path: Path) -> None:
    """The half event that has been passed on is ended first, so that the error is an event of its own."""
    async with gateway(tmp_path) as gate, scripted(gate, EVENTS + ENDS, DELTA, DELTA[:50]):
        heard = await gate.send(gate.post(ASK))
        record = await record_of(gate)
    assert "upstream_cut" in heard.events[-1]
    assert not heard.whole()
    assert record.state == "upstream_cut"


async def test_answers_without_a_body(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate, scripted(gate, b"HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n"):
        heard = await gate.send(gate.post(chat("scripted/any")), quiet=0.2)
        assert (heard.status, heard.headers["x-a"], heard.raw_body) == (204, "b", b"")
        assert "content-length" not in heard.headers
        assert (await record_of(gate)).state == "completed"


async def test_an_answer_to_an_upload_that_is_still_coming(tmp_path: Path) -> None:
    body = os.urandom(20_000_000)
    answer = b"HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\r\n" + (
        b'{"error":{"message":"large"}'[:27] + b"}"
    )
    async with gateway(tmp_path, default_provider="fake") as gate, scripted(gate, answer, 0.3, reads=False):
        request = gate.post(
            b"--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nscripted/any\r\n--b\r\n\r\n" + body,
            "/v1/audio/transcriptions",
            **{"content-type": "multipart/form-data; boundary=b"},
        )  # fmt: skip
        reader, writer = await gate.open()
        writer.write(request)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        assert b" 413 " in head
        record = await record_of(gate)
    assert (record.state, record.status) == ("upstream_error", 413)


async def test_uploads_that_go_wrong_on_their_way(tmp_path: Path) -> None:
    server = ServerConfig(max_upload=2_000_000, body_timeout=0.2, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        start = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nfake/echo\r\n--b\r\n\r\n'
        head = gate.get(
            "/v1/audio/transcriptions",
            "POST",
            transfer_encoding="chunked",
            content_type="multipart/form-data; boundary=b",
        )
        wrong = {
            "upload_too_large": (b"%x\r\n%s\r\n" % (2_100_000, b"x" * 2_100_000), 413, "ended_by_gateway"),
            "bad_request": (b"zz\r\n", 400, "ended_by_gateway"),
            "duplicate_field": (
                b"%x\r\n%s\r\n" % (len(start), b"\r\n" + start[:-2]),
                400,
                "ended_by_gateway",
            ),
            "body_timeout": (b"", 408, "client_gone"),
        }
        for code, (more, status, state) in wrong.items():
            reader, writer = await gate.open()
            writer.write(head + b"%x\r\n%s\r\n" % (len(start), start))
            await until(lambda: gate.worker.calls)
            writer.write(more)
            heard = await converse(reader, writer, b"")
            assert heard.data, (code, heard)
            assert (heard.status, heard.json["error"]["code"]) == (status, code), code  # type: ignore[index]
            records = await asyncio.to_thread(Records, gate.journal)
            record = records.of(heard.headers["x-request-id"])
            assert (record.state, record.code, record.status) == (state, code, status)
        assert gate.fake.stats.requests == 0
        assert not gate.worker.calls


async def test_every_answer_has_an_id_of_its_own(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate, scripted(gate, JSON + b"content-length: 2\r\n\r\n{}"):
        requests = [
            gate.get("/health"), gate.get("/"), gate.get("/v1/models"), gate.get("/nowhere"), gate.get("/v1/files"),
            gate.post(b"x"), gate.post(chat("scripted/any")), gate.post(chat("fake/echo", stream=True)),
            b"nonsense\r\n\r\n",
            gate.get("/v1/models", authorization="Bearer x"), gate.post(chat("fake/hang"), expect="more"),
        ]  # fmt: skip
        ids = [(await gate.send(request)).headers["x-request-id"] for request in requests]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


async def test_a_failure_of_the_gateways_own_is_an_answer_and_the_worker_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async with gateway(tmp_path, timeouts=Timeouts(first_byte=0.3)) as gate:
        with monkeypatch.context() as patch:
            patch.setattr("chatvault.gateway.entry.admit_json", broken)
            heard = await gate.send(gate.post(chat("fake/echo")))
            assert (heard.status, "a bug" in str(heard.json)) == (500, False)
            patch.undo()
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        with monkeypatch.context() as patch:
            patch.setattr("chatvault.gateway.speech.read", broken)
            heard = await gate.send(gate.post(chat("fake/echo")))
            assert heard.status in (500, 502, 504)
            patch.undo()
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        await gate.settled(3)
    states = [record.state for record in (await asyncio.to_thread(Records, gate.journal)).closed]
    assert states.count("completed") == 2
    assert states[1] in ("gateway_error", "upstream_error")
