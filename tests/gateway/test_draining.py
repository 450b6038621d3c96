"""A worker that is to end: what is under way keeps its deadlines, what has not begun is told so."""

import asyncio
from pathlib import Path

from chatvault.config.schema import ServerConfig, Timeouts
from tests.fake.raw import Heard, chat
from tests.gateway.harness import CHAT, Gate, converse, gateway, until


def code_of(heard: Heard) -> object:
    error = heard.json["error"]
    assert isinstance(error, dict)
    return error["code"]


async def connections(gate: Gate, count: int) -> None:
    await until(lambda: len(gate.worker.connections) == count)


async def test_deadlines_hold_while_a_worker_drains(tmp_path: Path) -> None:
    server = ServerConfig(body_timeout=0.3, drain_timeout=10)
    timeouts = Timeouts(connect=1.0, first_byte=0.3, idle=0.3)
    async with gateway(tmp_path, tick=None, server=server, timeouts=timeouts) as gate:
        gate.drain_s = 8.0
        loop = asyncio.get_running_loop()
        silent, stalled, sending = await gate.open(), await gate.open(), await gate.open()
        silent[1].write(gate.post(chat("fake/hang")))
        stalled[1].write(gate.post(chat("fake/stall-after-2", stream=True)))
        sending[1].write(gate.get(CHAT, "POST", content_length="1000") + b"{")
        await stalled[0].readuntil(b"data:")
        await until(lambda: len(gate.worker.calls) == 2 and gate.worker.held)
        gate.stop.set()
        began = loop.time()
        first, third = await converse(*silent, b""), await converse(*sending, b"")
        assert (first.status, code_of(first)) == (504, "upstream_timeout")
        assert (third.status, code_of(third)) == (408, "body_timeout")
        async with asyncio.timeout(5):
            rest = await stalled[0].read()
        assert b'"code":"upstream_stalled"' in rest
        await until(lambda: not gate.worker.connections)
        assert loop.time() - began < 4, "long before the drain itself is over"
    records = await gate.records()
    assert sorted(record.state for record in records.closed) == ["stalled", "upstream_error"]


async def test_a_call_whose_body_is_still_coming_is_told_to_come_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.drain_s = 0.3
        plain, chunked, form = await gate.open(), await gate.open(), await gate.open()
        plain[1].write(gate.get(CHAT, "POST", content_length="1000") + b"{")
        chunked[1].write(gate.get(CHAT, "POST", transfer_encoding="chunked") + b"5\r\nhello\r\n")
        fields = {"content_length": "9999", "content_type": "multipart/form-data; boundary=x"}
        form[1].write(gate.get("/v1/audio/transcriptions", "POST", **fields) + b"--x\r\n")
        await connections(gate, 3)
        await until(lambda: all(each.call is not None for each in gate.worker.connections))
        gate.stop.set()
        for pair in (plain, chunked, form):
            heard = await converse(*pair, b"")
            assert (heard.status, code_of(heard), heard.headers["retry-after"]) == (503, "draining", "2")
            assert heard.headers["connection"] == "close"
        assert gate.worker.held == 0
    records = await gate.records()
    assert not records.opened
    assert sum(line.count for line in records.refused if line.code == "draining") == 3


async def test_a_body_that_comes_in_time_is_answered(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.drain_s = 5.0
        reader, writer = await gate.open()
        request = gate.post(chat("fake/echo"))
        writer.write(request[:-10])
        await until(lambda: gate.worker.held)
        gate.stop.set()
        await asyncio.sleep(0.1)
        heard = await converse(reader, writer, request[-10:])
        assert (heard.status, heard.headers["connection"]) == (200, "close")
    assert (await gate.records()).only().state == "completed"


async def test_a_look_up_that_waits_is_told_to_come_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.deaf = True
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/echo")))
        await until(lambda: gate.control.lookups == 1)
        gate.stop.set()
        heard = await converse(reader, writer, b"")
        assert (heard.status, code_of(heard)) == (503, "draining")


async def test_what_waits_behind_an_answer_is_not_begun(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.drain_s = 3.0
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/echo+slow-first-byte-150ms")) + gate.post(chat("fake/echo")))
        await until(lambda: gate.worker.calls)
        gate.stop.set()
        async with asyncio.timeout(3):
            data = await reader.read()
        assert data.count(b"HTTP/1.1 200 OK") == 1
    assert len((await gate.records()).opened) == 1
