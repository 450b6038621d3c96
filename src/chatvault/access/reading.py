"""How full the windows of a worker are: what an operator is shown."""

from typing import Final

import msgspec

from chatvault.access.limiter import MICRO, Limiter, Meter
from chatvault.access.limits import Scope

MOST_ROWS: Final = 1000
"""Of one worker; the fullest come first."""


class Reading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One window, or the calls under way (`concurrent`), of one worker. Seconds: until the first of it frees, and until
    all of it is free; 0 where nothing counts. `most` is of all workers together."""

    scope: Scope
    subject: str
    limit: str
    most: int
    used: int
    frees: float
    reset: float
    shadow: bool
    running: int


def read(
    limiter: Limiter, now: int, scope: Scope | None = None, subject: str | None = None
) -> tuple[list[Reading], int]:
    """The readings of all meters, or those of a scope or subject, and how many more there are than are told."""
    found: list[Reading] = []
    for meter in limiter.all():
        whose = meter.limited
        if (scope is None or whose.scope == scope) and (subject is None or whose.subject == subject):
            found += _readings(meter, now)
    found.sort(key=lambda row: (-(row.used / row.most if row.most else 1.0), row.scope, row.subject))
    return found[:MOST_ROWS], max(len(found) - MOST_ROWS, 0)


def _readings(meter: Meter, now: int) -> list[Reading]:
    whose, rows = meter.limited, []
    for gauge in meter.gauges:
        window = gauge.window
        frees, reset = window.next_in(now) / MICRO, window.empty_in(now) / MICRO
        rows.append(
            Reading(
                whose.scope,
                whose.subject,
                gauge.rule.limit,
                gauge.rule.most,
                window.used,
                frees,
                reset,
                meter.shadow,
                meter.running,
            )
        )
    most = whose.limits.concurrent
    if most is not None:
        running = meter.running
        rows.append(
            Reading(whose.scope, whose.subject, "concurrent", most, running, 0, 0, meter.shadow, running)
        )
    return rows
