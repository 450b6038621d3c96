"""Watches streams for a while, from a process of its own, so that nothing else the tests do delays it.

`python -m tests.load.watch` reads an `Order` on its standard input and writes what it `Saw`.
"""

import asyncio
import sys
import time

import msgspec
import uvloop

from tests.load.client import Ask, Stream


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """By name: what is asked, again and again for `seconds`, by `streams` clients at a time."""

    asks: dict[str, Ask]
    seconds: float
    streams: int


class Gaps(msgspec.Struct, frozen=True, kw_only=True):
    """Between the events of each stream, in milliseconds. `broken`: streams that did not come whole."""

    events: int
    broken: int
    p50: float
    p99: float
    most: float


async def watch(order: Order) -> dict[str, Gaps]:
    async with asyncio.timeout(order.seconds + 30), asyncio.TaskGroup() as group:
        until = time.monotonic() + order.seconds
        seen = {
            name: [group.create_task(_again(ask, until, number)) for number in range(order.streams)]
            for name, ask in order.asks.items()
        }
    return {
        name: _summed([stream for task in tasks for stream in task.result()]) for name, tasks in seen.items()
    }


async def _again(ask: Ask, until: float, number: int) -> list[Stream]:
    await asyncio.sleep(0.001 * number)  # not all at the same moment
    streams = []
    while time.monotonic() < until:
        streams.append(await Stream.begin(ask))
        await streams[-1].over.wait()
    return streams


def _summed(streams: list[Stream]) -> Gaps:
    gaps = sorted(gap * 1e3 for stream in streams for gap in stream.gaps) or [0.0]
    return Gaps(
        events=sum(len(stream.arrivals) for stream in streams),
        broken=sum(not stream.whole for stream in streams),
        p50=gaps[len(gaps) // 2],
        p99=gaps[len(gaps) * 99 // 100],
        most=gaps[-1],
    )


if __name__ == "__main__":
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(watch(order))))
