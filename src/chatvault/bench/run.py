"""The benchmark: starts everything, measures each target in turn, so that a drift of the machine's speed falls on all
alike, and ends everything."""

import os
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Literal, Self

import msgspec

from chatvault.bench.load import Order, Outcome
from chatvault.bench.nginx import nginx, nginx_path
from chatvault.bench.own_gateway import OwnGateway
from chatvault.bench.processes import Helper, Load, cpu_seconds, expect_linux, rss_mb, tree
from chatvault.bench.report import Case, Figures, Memory, Report, Round, figures
from chatvault.core.errors import OperatorError
from chatvault.ledger.state import read_state

_EVENTS: Final = 100
_GAP_MS: Final = 1.0
_LEVEL: Final = 20.0
"""Seconds that the ledger may take to be level again."""
_MEMORY: Final = 120.0
"""Seconds that the calls for the look at memory may take."""
_CONFIG: Final = """\
providers:
  bench:
    base_url: http://127.0.0.1:{port}/v1
    api_key: stand-in
  other:
    kind: anthropic
    base_url: http://127.0.0.1:{port}
    api_key: stand-in
models:
  bench: {{provider: bench, model: stand-in}}
  other: {{provider: other, model: stand-in}}
prices:
  bench/*: {{input: "0.15", cached: "0.075", output: "0.60"}}
  other/*: {{input: "0.15", cached: "0.075", output: "0.60"}}
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` a measurement, `rounds` of each; `calls` after which memory is looked at, 0 for none."""

    seconds: float = 4.0
    rounds: int = 3
    connections: int = 32
    calls: int = 200_000
    alone: float = 1.0
    """Seconds at one connection."""
    nginx: bool = True

    @classmethod
    def quick(cls) -> Self:
        return cls(seconds=0.25, rounds=1, connections=16, calls=1_000, alone=0.1, nginx=False)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """`pid` is the process that answers, `family` the topmost of its processes."""

    name: str
    port: int
    pid: int
    family: int
    token: str = "none"
    gateway: OwnGateway | None = None
    model: str = "bench"
    asks: Literal["openai", "anthropic"] = "openai"


def run(wanted: Wanted, say: Callable[[str], object]) -> Report:
    """Measure. `say` hears of the progress. Raises OperatorError where it cannot be done."""
    expect_linux()
    with ExitStack() as stack:
        load = Load(stack.enter_context(Helper("load")))
        upstream = stack.enter_context(Helper("upstream", [str(_EVENTS), str(_GAP_MS)]))
        port = int(upstream.hear())
        say("Starting a gateway, and what to compare it with.")
        bench = Bench(
            wanted,
            load,
            _targets(stack, wanted, port),
            Target(name="direct", port=port, pid=upstream.pid, family=upstream.pid),
        )
        return bench.report(say)


def _targets(stack: ExitStack, wanted: Wanted, port: int) -> list[Target]:
    gateway = stack.enter_context(OwnGateway(config=_CONFIG.format(port=port)))
    found = []
    program = nginx_path() if wanted.nginx else None
    if program is not None:
        at, pid = stack.enter_context(nginx(program, gateway.home / "nginx", port))
        found.append(Target(name="nginx", port=at, pid=pid, family=pid))
    floor = stack.enter_context(Helper("floor", [str(port)]))
    found.append(Target(name="bare proxy", port=int(floor.hear()), pid=floor.pid, family=floor.pid))
    worker = gateway.worker_pid()
    if worker is None:
        raise OperatorError("The gateway's worker does not run.\n" + gateway.log(), code="bench_failed")
    token = gateway.token("bench")["token"]
    at = int(gateway.url.rpartition(":")[2])
    whole = Target(name="gateway", port=at, pid=worker, family=gateway.pid, token=token, gateway=gateway)
    return [
        *found,
        msgspec.structs.replace(whole, name="OpenAI to Anthropic", model="other"),
        msgspec.structs.replace(whole, name="Anthropic to OpenAI", asks="anthropic"),
        whole,
    ]


class Bench:
    """Measures `targets`, of which the last is the gateway (before it come its translated calls), and `direct`, the
    provider without anything between."""

    def __init__(self, wanted: Wanted, load: Load, targets: list[Target], direct: Target) -> None:
        self._wanted = wanted
        self._load = load
        self._targets = targets
        self._direct = direct
        self._recorded = 0
        """Calls that the gateway's ledger should have."""
        self._lagged = False

    def report(self, say: Callable[[str], object]) -> Report:
        cases: tuple[Case, ...] = ("whole", "stream")
        found = {case: self._case(case, say) for case in cases}
        memory = self._memory(say) if self._wanted.calls else None
        wanted = self._wanted
        conditions = (
            f"{wanted.connections} connections, {wanted.seconds:g} s a measurement, medians of {wanted.rounds}; "
            "the gateway with everything on: tokens, journal, signatures, ledger, prices"
        )
        return Report(
            machine=_machine(), conditions=conditions, cases=found, memory=memory, lagged=self._lagged
        )

    def _case(self, case: Case, say: Callable[[str], object]) -> list[Figures]:
        direct = self._measure(self._direct, case)
        rounds: dict[str, list[Round]] = {target.name: [] for target in self._targets}
        for number in range(self._wanted.rounds):
            for target in self._targets:
                say(f"{case}, round {number + 1} of {self._wanted.rounds}: {target.name}")
                rounds[target.name].append(self._measure(target, case))
        return [
            figures(target.name, rounds[target.name], direct.alone_p50_ms, floor=target.gateway is None)
            for target in self._targets
        ]

    def _measure(self, target: Target, case: Case) -> Round:
        wanted = self._wanted
        warm = self._calls(target, case, wanted.connections, min(1.0, wanted.seconds / 4))
        self._level(target)
        before, behind = cpu_seconds(target.pid), self._behind(target)
        took = self._calls(target, case, wanted.connections, wanted.seconds)
        after = cpu_seconds(target.pid)
        self._level(target)
        followed = self._behind(target) - behind
        alone = self._calls(target, case, 1, wanted.alone)
        calls = max(took.calls + took.bad, 1)
        return Round(
            cpu_us=1e6 * (after - before) / calls,
            behind_us=1e6 * followed / calls,
            rps=took.calls / took.seconds,
            p50_ms=took.p50_ms,
            p99_ms=took.p99_ms,
            alone_p50_ms=alone.p50_ms,
            errors=warm.bad + took.bad + alone.bad,
        )

    def _calls(self, target: Target, case: Case, connections: int, seconds: float, calls: int = 0) -> Outcome:
        order = Order(
            port=target.port,
            token=target.token,
            model=target.model,
            asks=target.asks,
            streamed=case == "stream",
            connections=connections,
            seconds=seconds,
            calls=calls,
        )
        outcome = self._load(order)
        if target.gateway is not None:
            self._recorded += outcome.calls + outcome.bad
        return outcome

    def _behind(self, target: Target) -> float:
        """Seconds of CPU of all processes but the one that answers."""
        return sum(cpu_seconds(pid) for pid in tree(target.family) if pid != target.pid)

    def _level(self, target: Target) -> None:
        """Wait until the ledger has every call; what is recorded later is paid for too."""
        if target.gateway is None:
            return
        until = time.monotonic() + _LEVEL
        while time.monotonic() < until:
            state = read_state(target.gateway.data_dir)
            if state is not None and state.rows >= self._recorded:
                return
            time.sleep(0.05)
        self._lagged = True

    def _memory(self, say: Callable[[str], object]) -> Memory:
        gateway = self._targets[-1]
        first, calls = rss_mb(gateway.pid), self._wanted.calls
        say(f"memory: {calls:,} calls")
        self._calls(gateway, "whole", self._wanted.connections, _MEMORY, calls)
        return Memory(calls=calls, first_mb=first, last_mb=rss_mb(gateway.pid))


def _machine() -> str:
    """The processor, the system, and the Python."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(
                (line.partition(":")[2].strip() for line in file if line.startswith("model name")), model
            )
    except OSError:
        pass
    system = f"{platform.system()} {platform.release()}"
    return f"{model}, {os.cpu_count()} cores; {system}; Python {platform.python_version()}"
