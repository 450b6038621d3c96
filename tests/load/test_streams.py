"""A thousand streams at a time on one worker: each whole, each its own, all on record."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import uvloop

from chatvault.bench.processes import cpu_seconds
from chatvault.fake.text import pieces
from tests.e2e.gateway import read_ledger
from tests.load.client import Ask, Stream
from tests.load.scale import scaled
from tests.load.stage import Stage

EVENTS = 50
PACE_MS = 50
PATIENCE = 20.0
"""Seconds beyond their pace that the streams may take, and the ledger after them."""


@scaled(50, 1_000)
def test_streams_at_a_time(stage: Stage, show: Callable[[str], None], scale: int) -> None:
    pace = PACE_MS if scale > 100 else 5
    model = f"sim/echo+pace-{pace}ms+events-{EVENTS}"
    worked, began = cpu_seconds(stage.worker), time.monotonic()
    streams = uvloop.run(
        together([stage.ask(model, f"stream {number} of {scale}") for number in range(scale)])
    )
    took, worked = time.monotonic() - began, cpu_seconds(stage.worker) - worked
    for stream in streams:
        said = pieces(stream.ask.text)
        assert stream.whole, (stream.status, bytes(stream.body[-200:]))
        assert stream.text() == "".join(said[at % len(said)] for at in range(EVENTS))
    gaps = sorted(gap for stream in streams for gap in stream.gaps)
    show(
        f"{scale:,} streams at a time, {EVENTS} events each at {pace} ms: all whole after {took:.1f} s; the gap between "
        f"events p50 {gaps[len(gaps) // 2] * 1e3:.0f}, p99 {gaps[len(gaps) * 99 // 100] * 1e3:.0f}, most "
        f"{gaps[-1] * 1e3:.0f} ms; the worker took {worked:.2f} s of CPU and held {stage.memory:.0f} MB"
    )
    rows = recorded(stage, model, scale)
    assert Counter(row["state"] for row in rows) == {"completed": scale}
    assert {row["output_tokens"] for row in rows} == {EVENTS}


async def together(asks: list[Ask]) -> list[Stream]:
    streams = [await Stream.begin(ask) for ask in asks]
    async with asyncio.timeout(PATIENCE + EVENTS * PACE_MS / 1000):
        for stream in streams:
            await stream.over.wait()
    return streams


def recorded(stage: Stage, model: str, calls: int) -> list[dict[str, object]]:
    """The ledger's rows of that model, once there are so many."""
    until = time.monotonic() + PATIENCE
    while True:
        rows = [row for row in read_ledger(stage.ledger) if row["model_name"] == model]
        if len(rows) >= calls or time.monotonic() > until:
            return rows
        time.sleep(0.05)
