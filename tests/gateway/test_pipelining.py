"""Requests that come before the last one is answered: in order, whole, each answered once, however they are cut."""

import asyncio
import itertools
import random
import re
from pathlib import Path

import pytest

from tests.fake.raw import chat
from tests.gateway.harness import Gate, gateway
from tests.gateway.records import Records

Expected = list[bytes]


def requests(gate: Gate) -> tuple[list[bytes], Expected]:
    """Requests of every kind, and what only the answer to each holds."""
    body = chat("fake/echo")
    body["messages"] = [{"role": "user", "content": "the second"}]
    streamed = chat("fake/echo", stream=True)
    streamed["messages"] = [{"role": "user", "content": "fourth"}]
    chunked = gate.get("/v1/chat/completions", "POST", transfer_encoding="chunked")
    piece = b'{"model":"fake/echo","messages":[{"role":"user","content":"the sixth"}]}'
    chunked += b"10\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (piece[:16], len(piece) - 16, piece[16:])
    return [
        gate.get("/v1/models/the-first"),
        gate.post(body),
        gate.get("/v1/models/the-third"),
        gate.post(streamed),
        b"\r\n" + gate.get("/v1/models/the-fifth"),
        chunked,
        gate.get("/health"),
    ], [b"the-first", b"the second", b"the-third", b"fourth", b"the-fifth", b"the sixth", b'"status":"ok"']


def check(data: bytes, expected: Expected) -> None:
    assert data.count(b"HTTP/1.1 200 OK\r\n") == len(expected), data[-500:]
    assert data.count(b"HTTP/1.1 ") == len(expected), data
    answers = data.split(b"HTTP/1.1 200 OK\r\n")[1:]
    for answer, text in zip(answers, expected, strict=True):
        assert text in answer, (text, answer)
        for other in expected:
            assert other == text or other not in answer


async def heard(reader: asyncio.StreamReader, count: int) -> bytes:
    """`count` answers, each to its last byte."""
    data = b""
    async with asyncio.timeout(5):
        for _ in range(count):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = (
                await reader.readexactly(int(length[1])) if length else await reader.readuntil(b"0\r\n\r\n")
            )
            data += head + body
    return data


@pytest.mark.both_loops
async def test_the_rest_of_a_request_comes_in_the_turn_in_which_the_last_one_is_answered(
    tmp_path: Path,
) -> None:
    """An answer of the gateway's own is written within `data_received`; what the socket has next can follow at once."""
    async with gateway(tmp_path) as gate:
        reader, _ = await gate.open()
        warm = await gate.send(gate.get("/v1/models"))
        assert warm.status == 200
        await asyncio.sleep(0.01)
        (connection,) = gate.worker.connections
        names = [f"name-{number}" for number in range(3)]
        one, two, three = (gate.get(f"/v1/models/{name}") for name in names)
        whole = one + two + three
        for cut in range(len(one), len(whole)):
            connection.data_received(whole[:cut])
            connection.data_received(whole[cut:])
            check(await heard(reader, 3), [name.encode() for name in names])
    assert not (await gate.records()).refused


@pytest.mark.both_loops
async def test_requests_of_every_kind_cut_anywhere(tmp_path: Path) -> None:
    draw = random.Random(7)
    async with gateway(tmp_path) as gate:
        reader, _ = await gate.open()
        sent, expected = requests(gate)
        assert (await gate.send(sent[0])).status == 200
        await asyncio.sleep(0.01)
        (connection,) = gate.worker.connections
        whole = b"".join(sent)
        for turn in range(150):
            cuts = sorted({0, *(draw.randrange(len(whole)) for _ in range(turn % 6)), len(whole)})
            for begin, end in itertools.pairwise(cuts):
                connection.data_received(whole[begin:end])
                for _ in range(draw.randrange(4) * (turn % 3)):
                    await asyncio.sleep(0)
            check(await heard(reader, len(expected)), expected)
        assert connection in gate.worker.connections
        assert gate.worker.held == 0
    records = await asyncio.to_thread(Records, gate.journal)
    assert len(records.closed) == 450
    assert {record.state for record in records.closed} == {"completed"}


async def test_over_a_socket_in_many_cuts(tmp_path: Path) -> None:
    draw = random.Random(11)
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        sent, expected = requests(gate)
        whole = b"".join(sent)
        for _ in range(60):
            cuts = sorted({0, *(draw.randrange(len(whole)) for _ in range(4)), len(whole)})
            for begin, end in itertools.pairwise(cuts):
                writer.write(whole[begin:end])
                await asyncio.sleep(draw.choice((0, 0, 0.0005)))
            check(await heard(reader, len(expected)), expected)


async def test_a_request_behind_one_that_closes_is_not_served(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        writer.write(gate.get("/v1/models/one", connection="close") + gate.post(chat("fake/echo")))
        async with asyncio.timeout(3):
            data = await reader.read()
        assert data.count(b"HTTP/1.1 ") == 1
        assert gate.fake.stats.connections == 0
    assert not (await gate.records()).opened
