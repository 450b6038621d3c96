"""What is bounded: what comes before an event or a request, and the bytes of bodies that are held."""

import asyncio
import gzip
import sys
import zlib
from pathlib import Path
from time import perf_counter

import pytest

from chatvault.config.schema import ServerConfig
from tests.fake.raw import chat
from tests.gateway.harness import CHAT, Gate, converse, gateway, until
from tests.gateway.upstream import DONE, SSE, before, event
from tests.net.peers import Peer

MIB = 1 << 20
PLAIN = b'{"model":"fake/echo","messages":[{"role":"user","content":"hello"}]}'


# --- before the first event

ENDLESS = {
    "comments": b": ping\n\n" * 8192,
    "one comment": b": " + b"x" * 65536,
    "an event without end": b"data: " + b"x" * 65536,
    "lines that are no field": b"hello\n" * 10_000,
    "empty lines": b"\n" * 65536,
    "events without data": b"event: ping\nid: 1\n\n" * 3000,
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_comes_before_the_first_event_is_bounded(tmp_path: Path, kind: str) -> None:
    sent = 0

    async def handle(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.write(SSE)
        first, piece = ENDLESS[kind], ENDLESS[kind].removeprefix(b"data: ").removeprefix(b": ")
        while sent < 64 * MIB:
            await peer.write(piece if sent else first)
            sent += len(piece)

    async with before(tmp_path, handle) as (gate, there):
        heard = await gate.send(gate.post(chat("raw/m", stream=True)))
        assert (heard.status, code_of(heard.json)) == (502, "upstream_protocol_error")
        await asyncio.wait_for(there.left.wait(), 2)
        assert 8 * MIB < sent < 20 * MIB, "what is on its way in the sockets comes on top"
    record = (await gate.records()).only()
    assert (record.state, record.code, record.usage_source) == (
        "upstream_error",
        "upstream_protocol_error",
        "unknown",
    )


async def test_tiny_pieces_before_the_first_event_cost_no_more_than_their_bytes(tmp_path: Path) -> None:
    """Each chunk is a piece of its own; were what is held copied with each, this would take minutes."""
    chunk = b"8\r\n: ping\n\n\r\n"

    async def handle(peer: Peer) -> None:
        await peer.request()
        head = SSE.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n")
        first = event("a")
        await peer.write(head + chunk * 250_000 + b"%x\r\n%s\r\n" % (len(first), first))
        await peer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(DONE), DONE))

    async with before(tmp_path, handle) as (gate, _):
        began = perf_counter()
        heard = await gate.send(gate.post(chat("raw/m", stream=True)))
        # Tracing for coverage makes each of the pieces several times as dear, but still linear.
        assert perf_counter() - began < (30 if sys.gettrace() is not None else 4)
        assert heard.body == b": ping\n\n" * 250_000 + event("a") + DONE
    assert (await gate.records()).only().state == "completed"


def code_of(answer: dict[str, object]) -> object:
    error = answer["error"]
    assert isinstance(error, dict)
    return error["code"]


# --- before a request


@pytest.mark.parametrize(
    ("lead", "status"), [(b"", 200), (b"\r\n", 200), (b"\r\n\r\n", 400), (b"\r", 400), (b"\n", 400)]
)
@pytest.mark.parametrize("cut", [None, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("turn", [1, 2], ids=["first", "next"])
async def test_one_empty_line_may_come_before_a_request(
    tmp_path: Path, lead: bytes, status: int, cut: int | None, turn: int
) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        if turn == 2:
            assert (await converse(reader, writer, gate.get("/health"))).status == 200
        request = lead + gate.get("/health")
        for at in range(0, len(request), cut or len(request)):
            writer.write(request[at : at + (cut or len(request))])
            if cut:
                await asyncio.sleep(0)
        heard = await converse(reader, writer, b"")
        assert heard.status == status
        if status == 400:
            assert code_of(heard.json) == "bad_request"


DRIPS = {
    "line ends": [b"\r\n"],
    "half line ends": [b"\r", b"\n"],
    "returns": [b"\r"],
    "line feeds": [b"\n"],
    "one line end": [b"\r\n", *[b""] * 1000],
    "one return": [b"\r", *[b""] * 1000],
    "a head": [b"\r\n", b"G", b"E", b"T", b" ", b"/", *[b"a"] * 1000],
}


@pytest.mark.parametrize("kind", DRIPS)
@pytest.mark.parametrize("turn", [1, 2], ids=["first", "next"])
async def test_drips_do_not_hold_a_connection(tmp_path: Path, kind: str, turn: int) -> None:
    server = ServerConfig(header_timeout=0.2, idle_timeout=30.0, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        reader, writer = await gate.open()
        if turn == 2:
            assert (await converse(reader, writer, gate.get("/health"))).status == 200
        loop = asyncio.get_running_loop()
        began, at, data = loop.time(), 0, b""
        while not data:
            assert loop.time() - began < 1.0, "held for over five times its timeout"
            writer.write(DRIPS[kind][at % len(DRIPS[kind])])
            at += 1
            try:
                data = await asyncio.wait_for(reader.read(100), 0.03)
            except TimeoutError:
                continue
        assert data.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))


async def test_a_flood_of_line_ends_costs_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        await gate.open()
        await until(lambda: gate.worker.connections)
        (connection,) = gate.worker.connections
        flood = b"\r\n" * (256 << 10)
        began = perf_counter()
        connection.data_received(flood)
        assert perf_counter() - began < 0.1
        heard = await gate.send(flood, quiet=0.3)
        assert heard.status == 400
        assert heard.data.count(b"HTTP/1.1 4") == 1


# --- the bytes of bodies


def pieces(body: bytes, size: int = 4000) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def failing(gate: Gate) -> dict[str, tuple[bytes, int]]:
    """Requests whose body fails, and the status each gets."""

    def chunked(body: bytes, **fields: str) -> bytes:
        return gate.get(CHAT, "POST", transfer_encoding="chunked", **fields) + body

    packed, noise = gzip.compress(PLAIN), bytes(range(256)) * 100
    return {
        "too large": (gate.post(b" " * 60_000), 413),
        "too large, in chunks": (chunked(pieces(b" " * 60_000)), 413),
        "too large unpacked": (gate.post(gzip.compress(noise * 10), content_encoding="gzip"), 413),
        "a bomb": (gate.post(gzip.compress(b" " * 50_000_000), content_encoding="gzip"), 413),
        "a bomb in chunks": (
            chunked(pieces(zlib.compress(b" " * 50_000_000)), content_encoding="deflate"),
            413,
        ),
        "broken gzip": (gate.post(packed[:20] + b"\0" * 20 + packed[40:], content_encoding="gzip"), 400),
        "gzip cut off": (gate.post(packed[:-8], content_encoding="gzip"), 400),
        "gzip cut off in chunks": (chunked(pieces(packed[:-8], 9), content_encoding="gzip"), 400),
        "gzip and more": (gate.post(packed + b"more", content_encoding="gzip"), 400),
        "bad chunk": (chunked(pieces(PLAIN, 30)[:-5] + b"zz\r\n"), 400),
        "not JSON": (gate.post(b"x" * 20_000), 400),
        "not JSON, in chunks": (chunked(pieces(b"x" * 20_000)), 400),
        "no model": (gate.post(b'{"a":"' + b"x" * 20_000 + b'"}'), 400),
        "not allowed": (
            gate.post(PLAIN + b" " * 9000, token=gate.control.token(models=("other",))),
            403,
        ),
        "fails upstream": (gate.post(chat("fake/fail-500", more="x" * 9000)), 500),
        "unreachable": (gate.post(chat("fake/close", more="x" * 9000)), 502),
    }


async def test_no_byte_of_a_failed_body_stays_on_account(tmp_path: Path) -> None:
    server = ServerConfig(max_body=50_000, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        for name, (request, status) in failing(gate).items():
            for cut in (len(request), 5000):
                reader, writer = await gate.open()
                for at in range(0, min(len(request), 100_000), cut):
                    writer.write(request[at : at + cut])
                    await asyncio.sleep(0)
                heard = await converse(reader, writer, b"")
                assert heard.status == status, name
                await until(lambda: not gate.worker.calls)
                assert gate.worker.held == 0, name
                writer.close()
        assert (await gate.send(gate.post(PLAIN))).status == 200
        assert gate.worker.held == 0


async def test_no_byte_of_a_body_whose_client_leaves_stays_on_account(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        length = gate.get(CHAT, "POST", content_length="100000") + b" " * 50_000
        chunks = gate.get(CHAT, "POST", transfer_encoding="chunked") + pieces(b" " * 50_000)[:-5]
        packed = gzip.compress(bytes(range(256)) * 400, 0)
        packed = gate.get(CHAT, "POST", content_encoding="gzip", content_length="200000") + packed[:60_000]
        under_way = gate.post(chat("fake/hang", more="x" * 30_000))
        for request in (length, chunks, packed, under_way):
            for _ in range(3):
                _, writer = await gate.open()
                writer.write(request)
                await until(lambda: gate.worker.held > 20_000)
                writer.transport.abort()
                await until(lambda: gate.worker.held == 0)


async def test_no_byte_stays_on_account_of_a_body_that_the_gateway_ends(tmp_path: Path) -> None:
    server = ServerConfig(body_timeout=0.1, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        part = gate.get(CHAT, "POST", content_length="100000") + b" " * 50_000
        heard = await gate.send(part)
        assert heard.status == 408
        assert gate.worker.held == 0
        token = gate.control.token()
        reader, writer = await gate.open()
        writer.write(gate.get(CHAT, "POST", token=token, content_length="100000") + b" " * 50_000)
        await until(lambda: gate.worker.held)
        await gate.control.revoke(token)
        assert (await converse(reader, writer, b"")).status == 403
        assert gate.worker.held == 0


async def test_a_body_is_on_account_until_its_answer_begins(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        writer.write(
            gate.post(
                chat("fake/echo+slow-first-byte-100ms+pace-20ms+events-20", stream=True, more="x" * 9000)
            )
        )
        await until(lambda: gate.worker.calls)
        assert gate.worker.held > 9000
        await reader.readuntil(b"data:")
        assert gate.worker.held == 0
        assert gate.worker.calls
