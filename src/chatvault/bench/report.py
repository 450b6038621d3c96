"""What was measured, as values, a table, and JSON."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

import msgspec

Case = Literal["whole", "stream"]


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement. CPU in microseconds a call: of the process that answers, and of those behind it (recorder,
    control, supervisor) until the ledger was level."""

    cpu_us: float
    behind_us: float
    rps: float
    p50_ms: float
    p99_ms: float
    alone_p50_ms: float
    """Median latency at one connection."""
    errors: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one target in one case: medians of the rounds, and the sum of the errors."""

    target: str
    cpu_us: float
    behind_us: float
    rps: float
    p50_ms: float
    p99_ms: float
    added_p50_ms: float
    errors: int
    floor: bool
    """A proxy to compare with; else the gateway."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Of the worker, in MB: after its first calls, and after so many."""

    calls: int
    first_mb: float
    last_mb: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    machine: str
    conditions: str
    cases: dict[Case, list[Figures]]
    memory: Memory | None
    lagged: bool
    """The ledger was not level in time at least once: the CPU behind is then more than is said."""

    @property
    def errors(self) -> int:
        return sum(one.errors for case in self.cases.values() for one in case)

    def as_json(self) -> dict[str, Any]:
        value = msgspec.to_builtins(self)
        assert isinstance(value, dict)
        floors = {case: _floors(found) for case, found in self.cases.items()}
        for case, found in self.cases.items():
            for one, row in zip(found, value["cases"][case], strict=True):
                row["times"] = {name: one.cpu_us / cpu for name, cpu in floors[case].items() if cpu}
        return value

    def text(self) -> str:
        out = [self.machine, self.conditions]
        for case, found in self.cases.items():
            out += ["", _TITLES[case], *_table(found)]
        if self.memory is not None:
            first, last = f"{self.memory.first_mb:.0f} MB", f"{self.memory.last_mb:.0f} MB"
            out += ["", f"The worker held {first} at first, {last} after {self.memory.calls:,} more calls."]
        if self.lagged:
            out += ["", "The ledger was not level in time: the CPU behind is more than is said here."]
        return "\n".join(out)


_TITLES = {"whole": "Whole answers", "stream": "Streams of 100 events, 1 ms apart"}


def figures(target: str, rounds: Sequence[Round], direct_p50_ms: float, *, floor: bool) -> Figures:
    """The medians; `direct_p50_ms` is the latency of the provider without anything between."""
    return Figures(
        target=target,
        cpu_us=median(one.cpu_us for one in rounds),
        behind_us=median(one.behind_us for one in rounds),
        rps=median(one.rps for one in rounds),
        p50_ms=median(one.p50_ms for one in rounds),
        p99_ms=median(one.p99_ms for one in rounds),
        added_p50_ms=median(one.alone_p50_ms for one in rounds) - direct_p50_ms,
        errors=sum(one.errors for one in rounds),
        floor=floor,
    )


def _floors(found: Sequence[Figures]) -> dict[str, float]:
    return {one.target: one.cpu_us for one in found if one.floor}


def _table(found: Sequence[Figures]) -> list[str]:
    floors = _floors(found)
    head = [
        "",
        "CPU us",
        *(f"x {name}" for name in floors),
        "behind us",
        "calls/s",
        "p50 ms",
        "p99 ms",
        "added p50 ms",
        "errors",
    ]
    rows = [head]
    for one in found:
        times = [f"{one.cpu_us / cpu:.2f}" if cpu else "-" for cpu in floors.values()]
        behind = f"{one.behind_us:.1f}" if not one.floor else "-"
        timed = [f"{one.rps:,.0f}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.added_p50_ms:.3f}"]
        rows.append([one.target, f"{one.cpu_us:.1f}", *times, behind, *timed, str(one.errors)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
