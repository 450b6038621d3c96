"""A worker's memory stays small, and does not grow with the calls it has served."""

import sys
from collections.abc import Callable

import pytest
import uvloop

from tests.load.client import Stream
from tests.load.scale import scaled
from tests.load.stage import EVENTS, Stage

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

MOST = 80.0
"""MB that a worker may hold."""
GROWTH = 2.0
"""MB by which it may differ from one quarter of the calls to another."""
TOGETHER = 50
"""Streams that are cancelled at a time."""

Show = Callable[[str], None]


@scaled(400, 200_000)
def test_whole_calls(stage: Stage, show: Show, scale: int) -> None:
    def quarter() -> None:
        outcome = stage.calls(scale // 4)
        assert (outcome.calls, outcome.bad) == (scale // 4, 0)

    prove(stage, show, f"{scale:,} whole calls", quarter)


@scaled(800, 200_000)
def test_streams(stage: Stage, show: Show, scale: int) -> None:
    streams = scale // EVENTS // 4

    def quarter() -> None:
        outcome = stage.calls(streams, streamed=True)
        assert (outcome.calls, outcome.bad) == (streams, 0)

    prove(stage, show, f"{scale:,} events of streams", quarter)


@scaled(40, 5_000)
def test_cancelled_streams(stage: Stage, show: Show, scale: int) -> None:
    prove(stage, show, f"{scale:,} cancelled streams", lambda: uvloop.run(cancel(stage, scale // 4)))


async def cancel(stage: Stage, streams: int) -> None:
    """Streams whose client leaves after the first event; all of them are over when this returns."""
    ask = stage.ask("sim/pace-50ms+events-100")
    for begun in range(0, streams, TOGETHER):
        together = [await Stream.begin(ask) for _ in range(min(TOGETHER, streams - begun))]
        for stream in together:
            await stream.began.wait()
            assert stream.status == 200
            stream.leave()
        for stream in together:
            await stream.over.wait()
            assert not stream.whole


def prove(stage: Stage, show: Show, what: str, quarter: Callable[[], None]) -> None:
    """The memory after each of four quarters of the work."""
    held = []
    for _ in range(4):
        quarter()
        held.append(stage.memory)
    show(f"{what}: the worker held {', '.join(f'{mb:.1f}' for mb in held)} MB after each quarter")
    assert 5 < max(held) < MOST
    assert max(held) - min(held) <= GROWTH
