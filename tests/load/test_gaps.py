"""How long a stream's client waits for the next event: alone, beside large requests, over TLS, and compressed.

Streams of the provider itself, watched at the same time, say how much of it the machine is to blame for.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest

from chatvault.bench.own_gateway import environ_without_providers
from tests.load.bodies import LargeBodies
from tests.load.client import Ask
from tests.load.scale import scaled
from tests.load.stage import Stage
from tests.load.watch import Gaps, Order

ROOT = Path(__file__).parents[2]
PACE_MS = 10


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """`body` bytes; `late_ms` by which the slowest event in a hundred may come later than the provider's own does."""

    seconds: float
    streams: int
    events: int
    body: int
    late_ms: float


FEW = Scale(seconds=0.2, streams=5, events=20, body=2_000_000, late_ms=150.0)
MANY = Scale(seconds=8.0, streams=20, events=200, body=20_000_000, late_ms=40.0)

CASES = {
    "alone": ("sim", "", False),
    "beside large bodies": ("sim", "", True),
    "behind TLS": ("tls", "", False),
    "compressed": ("sim", "+gzip", False),
}
"""The provider, a word for its model's name, and whether large bodies are posted."""


@scaled(FEW, MANY)
@pytest.mark.parametrize("case", CASES)
def test_gaps(stage: Stage, show: Callable[[str], None], case: str, scale: Scale) -> None:
    provider, more, beside = CASES[case]
    model = f"pace-{PACE_MS}ms+events-{scale.events}"
    asks = {
        "the provider itself": Ask(port=stage.sim, token="none", model=model),
        "the gateway": stage.ask(f"{provider}/{model}{more}"),
    }
    bodies = LargeBodies(stage, scale.body) if beside else None
    with bodies or nullcontext():
        seen = watch(Order(asks=asks, seconds=scale.seconds, streams=scale.streams))
    for name, gaps in seen.items():
        show(
            f"{case:20} {name:20} {gaps.events:7,} events {PACE_MS} ms apart: "
            f"p50 {gaps.p50:5.1f}  p99 {gaps.p99:5.1f}  most {gaps.most:5.1f} ms"
        )
    if bodies is not None:
        show(f"{'':20} {bodies.answered} bodies of {scale.body / 1e6:g} MB were answered")
        assert bodies.answered > 0
        assert bodies.bad == 0
    own, through = seen.values()
    assert (own.broken, through.broken) == (0, 0)
    assert through.events >= scale.streams * scale.events
    assert through.p99 < own.p99 + scale.late_ms


def watch(order: Order) -> dict[str, Gaps]:
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.watch"],
        input=msgspec.json.encode(order),
        cwd=ROOT,
        env=environ_without_providers() | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), paths))},
        stdout=subprocess.PIPE,
        timeout=order.seconds + 60,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=dict[str, Gaps])
