"""What the gateway adds to a call, and how long a user waits for it to begin."""

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import msgspec

from chatvault.bench.own_gateway import OwnGateway, environ_without_providers
from tests.load.scale import scaled
from tests.load.stage import Stage

Show = Callable[[str], None]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Generous where other work may run beside: it is then a catastrophe that they find."""

    calls: int
    rounds: int
    added_ms: float
    help_s: float
    ready_s: float


FEW = Limits(calls=200, rounds=1, added_ms=1.0, help_s=3.0, ready_s=10.0)
MANY = Limits(calls=3_000, rounds=5, added_ms=0.2, help_s=0.3, ready_s=1.5)


@scaled(FEW, MANY)
def test_added_latency(stage: Stage, show: Show, scale: Limits) -> None:
    added = []
    stage.calls(scale.calls, connections=1)
    for _ in range(scale.rounds):
        direct = stage.calls(scale.calls, connections=1, direct=True)
        through = stage.calls(scale.calls, connections=1)
        assert (direct.bad, through.bad) == (0, 0)
        added.append(through.p50_ms - direct.p50_ms)
    show(f"added latency, p50 at one connection: {', '.join(f'{ms:.3f}' for ms in added)} ms")
    assert median(added) < scale.added_ms


@scaled(FEW, MANY)
def test_help(show: Show, scale: Limits) -> None:
    command = [sys.executable, "-m", "chatvault", "--help"]
    took = []
    for _ in range(scale.rounds + 1):
        began = time.monotonic()
        done = subprocess.run(
            command, env=environ_without_providers(), capture_output=True, check=True, timeout=20
        )
        took.append(time.monotonic() - began)
        assert b"serve" in done.stdout
    show(f"chatvault --help: {', '.join(f'{seconds:.2f}' for seconds in took)} s")
    assert median(took[1:]) < scale.help_s


@scaled(FEW, MANY)
def test_ready(show: Show, scale: Limits) -> None:
    took = []
    for _ in range(scale.rounds):
        began = time.monotonic()
        with OwnGateway(["--fake"]):
            took.append(time.monotonic() - began)
    show(f"chatvault serve, ready: {', '.join(f'{seconds:.2f}' for seconds in took)} s")
    assert median(took) < scale.ready_s
