"""Answers that pass as they come: on record before their last byte, ended whatever their tail looks like."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake.raw import chat
from tests.gateway.harness import Gate
from tests.gateway.upstream import before, sized
from tests.net.peers import Handler, Peer, answering

MIB = 1 << 20


def padded(tail: bytes) -> bytes:
    """An answer over the size that is held."""
    return b'{"id":"x","choices":[],"text":"' + b"y" * (MIB + 1000) + b'",' + tail


TAILS = {
    "a brace within a text": b'"usage":{"note":"a}b"}}',
    "an open brace within a text": b'"usage":{"note":"a{b","prompt_tokens":3}}',
    "no object": b'"usage":7}',
    "null": b'"usage":null}',
    "numbers that are none": b'"usage":{"prompt_tokens":"x","completion_tokens":[]}}',
    "not JSON": b'"usage":{prompt_tokens:3}}',
    "cut off": b'"usage":{"prompt_tokens":3',
    "nothing": b'"end":true}',
    "too far from the end": b'"usage":{"prompt_tokens":3,"completion_tokens":4},"z":"'
    + b"z" * 70_000
    + b'"}',
}


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_tail_that_cannot_be_read_ends_all_the_same(tmp_path: Path, framing: str) -> None:
    bodies = [padded(tail) for tail in TAILS.values()]
    answers = [sized(body) if framing == "length" else chunked(body) for body in bodies]
    async with before(tmp_path, answering(*answers)) as (gate, _):
        for name, body in zip(TAILS, bodies, strict=True):
            heard = await gate.send(gate.post(chat("raw/m", max_tokens=10)))
            assert (heard.status, heard.body == body, heard.whole()) == (200, True, True), name
    records = await gate.records()
    assert len(records.closed) == len(TAILS)
    for name, record in zip(TAILS, records.closed, strict=True):
        assert (record.state, record.usage_source, record.cost_source) == (
            "completed",
            "unknown",
            "unknown",
        ), name
        assert (record.usage, record.cost, record.bound is not None) == (None, None, True), name


def chunked(body: bytes) -> bytes:
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def test_a_tail_that_can_be_read_is_read(tmp_path: Path) -> None:
    tail = b'"usage" : {"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":1}}}'
    async with before(tmp_path, answering(sized(padded(tail)))) as (gate, _):
        assert (await gate.send(gate.post(chat("raw/m")))).status == 200
    record = (await gate.records()).only()
    assert record.usage is not None
    assert (record.usage.input, record.usage.output, record.usage.cached) == (3, 4, 1)
    assert (record.usage_source, record.cost_source) == ("provider", "prices")


class Onlooker:
    """Writes the journal, and at each closing line counts what of the answer has left the gateway by then."""

    def __init__(self) -> None:
        self.gate: Gate | None = None
        self.client: socket.socket | None = None
        self.data = b""
        self.sent: list[int] = []

    def write(self, file: int, data: bytes) -> int:
        if b'"closed"' in data and self.gate is not None:
            self.look()
            waiting = sum(
                connection._transport.get_write_buffer_size() for connection in self.gate.worker.connections
            )
            self.sent.append(len(self.data) + waiting)
        return os.write(file, data)

    def look(self) -> None:
        assert self.client is not None
        try:
            while data := self.client.recv(1 << 20):
                self.data += data
        except BlockingIOError:
            return


def in_parts(answer: bytes, count: int, wait: float = 0.002) -> Handler:
    async def handle(peer: Peer) -> None:
        while (await peer.request())[0]:
            size = -(-len(answer) // count)
            for at in range(0, len(answer), size):
                await peer.write(answer[at : at + size], wait)

    return handle


WAYS: dict[str, Callable[[], bytes]] = {
    "sound": lambda: sized(b"\x00\x01" * 40_000, b"audio/mpeg"),
    "one byte": lambda: sized(b"x", b"audio/mpeg"),
    "large JSON": lambda: sized(padded(b'"usage":{"prompt_tokens":3,"completion_tokens":4}}')),
    "chunked": lambda: chunked(padded(b'"end":1}')),
}


@pytest.mark.both_loops
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("way", WAYS)
async def test_the_record_is_closed_before_the_last_byte_leaves(tmp_path: Path, way: str, count: int) -> None:
    answer, onlooker = WAYS[way](), Onlooker()
    async with before(tmp_path, in_parts(answer, count), write=onlooker.write) as (gate, _):
        loop = asyncio.get_running_loop()
        onlooker.client = client = socket.create_connection(("127.0.0.1", gate.port))
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        onlooker.gate = gate
        path = "/v1/audio/speech" if b"audio" in answer[:80] else "/v1/chat/completions"
        await loop.sock_sendall(client, gate.post(chat("raw/m", input="x"), path))
        async with asyncio.timeout(5):
            while not (gate.worker.served and not gate.worker.calls):
                await asyncio.sleep(0.001)
                onlooker.look()
        before_last = onlooker.sent
        async with asyncio.timeout(5):
            while not onlooker.data.endswith(answer[-1:] if way != "chunked" else b"0\r\n\r\n"):
                await asyncio.sleep(0.001)
                onlooker.look()
        whole = len(onlooker.data)
        assert len(before_last) == 1
        assert before_last[0] < whole, "all of the answer had left before its record was closed"
        client.close()
    assert (await gate.records()).only().state == "completed"


async def test_an_answer_of_announced_length_that_is_cut_is_not_whole(tmp_path: Path) -> None:
    answer = sized(b"\x00" * 100_000, b"audio/mpeg")

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.write(answer[:-1], 0.01)

    async with before(tmp_path, handle) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m", input="x"), "/v1/audio/speech"))
        assert (heard.status, heard.whole(), heard.ended) == (200, False, "eof")
    assert (await gate.records()).only().state == "upstream_cut"


async def test_an_empty_answer_of_announced_length_ends(tmp_path: Path) -> None:
    async with before(tmp_path, answering(sized(b"", b"audio/mpeg"))) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m", input="x"), "/v1/audio/speech"))
        assert (heard.status, heard.body, heard.headers["content-length"]) == (200, b"", "0")
    assert (await gate.records()).only().state == "completed"
