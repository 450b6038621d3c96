"""Floods of refused calls: few lines, and every refusal counted."""

import asyncio
from collections import Counter
from pathlib import Path

from chatvault.audit.floods import BURST
from chatvault.config.schema import ServerConfig
from tests.fake.raw import chat, written
from tests.gateway.harness import Gate, gateway

PATHS = (
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/moderations",
    "/v1/images/generations", "/v1/images/edits", "/v1/images/variations", "/v1/audio/speech",
    "/v1/audio/transcriptions", "/v1/models", "/v1/files", "/v1/batches", "/v1/evals", "/v1/nothing", "/x",
)  # fmt: skip


def attempts(gate: Gate) -> list[bytes]:
    """Every way to be refused, on every path: over a hundred kinds."""
    body = chat("fake/echo")
    limited = gate.control.token(models=("other",), endpoints=("models",))
    unknown = gate.control.token()
    gate.control.grants.popitem()
    tried = []
    for path in PATHS:
        tried += [
            written(body, path),
            written(body, path, authorization="Bearer nonsense"),
            gate.post(body, path, token=unknown),
            gate.post(body, path, token=limited),
            gate.post(b"{", path),
            gate.post(body, path, expect="x"),
            gate.post(chat("fake/echo", stream="x"), path),  # type: ignore[arg-type]
        ]
    return tried


async def flood(gate: Gate, requests: list[bytes]) -> None:
    """Over a few connections, one request behind the other, until each is answered."""

    async def one(mine: list[bytes]) -> None:
        reader, writer = await gate.open()
        for request in mine:
            writer.write(request)
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"HTTP/1.1 4" in head[:10], head
                size = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
                await reader.readexactly(int(size))
            if b"connection: close" in head:
                writer.close()
                reader, writer = await gate.open()

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(one(requests[number::4]))


async def test_one_address_has_few_lines_a_second_whatever_it_tries(tmp_path: Path) -> None:
    async with gateway(tmp_path, tick=None, default_provider=None) as gate:
        tried = attempts(gate)
        gate.worker.refusals.tick = lambda: None  # type: ignore[method-assign]
        tick = type(gate.worker.refusals).tick
        for turn in range(1, 4):
            await flood(gate, tried)
            assert len((await gate.records()).refused) <= BURST + turn - 1
            tick(gate.worker.refusals)
            behind = (await gate.records()).refused
            assert len(behind) <= BURST + turn
            assert sum(line.count for line in behind) == turn * len(tried)
    records = await gate.records()
    shared = [line for line in records.refused if line.kinds is not None]
    assert len({kind[:3] for line in shared for kind in line.kinds or ()}) >= BURST
    assert not records.opened


async def test_each_kind_has_a_line_of_its_own_while_they_are_few(tmp_path: Path) -> None:
    async with gateway(tmp_path, tick=None) as gate:
        gate.worker.refusals.tick = lambda: None  # type: ignore[method-assign]
        requests = [
            written(chat("fake/echo")),
            written(chat("fake/echo"), authorization="Bearer no"),
            gate.post(b"{"),
        ]
        await flood(gate, requests * 50)
        type(gate.worker.refusals).tick(gate.worker.refusals)
    counted: Counter[str] = Counter()
    records = await gate.records()
    for line in records.refused:
        counted[line.code] += line.count
    assert counted == {"token_missing": 50, "token_malformed": 50, "invalid_json": 50}
    assert len(records.refused) == 6


async def test_one_address_does_not_take_another_ones_lines(tmp_path: Path) -> None:
    server = ServerConfig(trusted_proxies=("127.0.0.1",), drain_timeout=0.2)
    async with gateway(tmp_path, tick=None, server=server, default_provider=None) as gate:
        gate.worker.refusals.tick = lambda: None  # type: ignore[method-assign]
        forwarded = b"\r\nx-forwarded-for: 203.0.113.%d\r\n"
        tried = attempts(gate)
        await flood(gate, [each.replace(b"\r\n", forwarded % 1, 1) for each in tried])
        other = written(chat("fake/echo")).replace(b"\r\n", forwarded % 2, 1)
        assert (await gate.send(other)).status == 401
        type(gate.worker.refusals).tick(gate.worker.refusals)
    records = await gate.records()
    addresses: Counter[str] = Counter()
    for line in records.refused:
        private = records.private(line, line.client)
        addresses[str(private["address"]) if private is not None else ""] += 1
    assert addresses["203.0.113.2"] == 1
    assert addresses["203.0.113.1"] <= BURST


async def test_many_addresses_share_a_line_in_the_end(tmp_path: Path) -> None:
    server = ServerConfig(trusted_proxies=("127.0.0.1",), drain_timeout=0.2)
    async with gateway(tmp_path, tick=None, server=server, default_provider=None) as gate:
        gate.worker.refusals.tick = lambda: None  # type: ignore[method-assign]
        request = written(chat("fake/echo"))
        addressed = [
            request.replace(b"\r\n", b"\r\nx-forwarded-for: 10.0.%d.%d\r\n" % divmod(number, 256), 1)
            for number in range(1500)
        ]
        await flood(gate, addressed)
        type(gate.worker.refusals).tick(gate.worker.refusals)
    records = await gate.records()
    assert len(records.refused) <= 1002
    assert sum(line.count for line in records.refused) == 1500
