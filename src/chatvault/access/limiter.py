"""Rate limits as one worker holds them: may this call go on, by all limits that count it, and what is left of them.

A decision takes from all meters or from none. Tokens of the model are reserved by an estimate and settled with what
was really used. Where several workers share the work, each holds an even share of every limit, rounded up: all of them
together let through at most one more per worker than the limit says.
"""

from typing import Any, Final, NamedTuple

import msgspec

from chatvault.access.limits import Limited, Limits, Rule, Scope, Unit
from chatvault.access.past import Past
from chatvault.access.window import Window

MICRO: Final = 1_000_000
_ADDRESSES: Final = 20_000
"""Meters of addresses that are kept; beyond them the longest unused is forgotten."""
_METERS: Final = 24_000
"""Other meters that are kept, about 1 KB each; beyond them the oldest that nothing is under way of is forgotten, with
what it has counted. Who could make so many tokens call within an hour could make as many with fresh limits."""


class Exceeded(msgspec.Struct, frozen=True, gc=False):
    """The limit that a call would pass. `retry_after` is in seconds; None: this call can never go, it is larger than
    the limit, or it waits for others to end."""

    scope: Scope
    subject: str
    limit: str
    """As in `Limits`: `requests_per_hour`, `concurrent`, ..."""
    most: int
    used: int
    retry_after: float | None


class Left(NamedTuple):
    """What the tightest window of a unit has left; `reset` is seconds until all of it is free again."""

    most: int
    left: int
    reset: float


class Gauge:
    """One window, and how much of it is this worker's."""

    __slots__ = ("most", "rule", "window")

    def __init__(self, rule: Rule, workers: int, window: Window | None = None) -> None:
        self.rule = rule
        self.most = -(-rule.most // workers)
        self.window = window or Window(rule.seconds * MICRO)


class Meter:
    """What one set of limits has counted."""

    __slots__ = ("concurrent", "gauges", "limited", "requests", "running", "shadow", "tokens")

    def __init__(self, limited: Limited, workers: int) -> None:
        self.running = 0
        self.gauges: tuple[Gauge, ...] = ()
        self.change(limited, workers)

    def change(self, limited: Limited, workers: int) -> None:
        """Hold these limits from now on; what was counted still counts."""
        limits = limited.limits
        counted = {gauge.rule.limit: gauge.window for gauge in self.gauges}
        self.limited = limited
        self.shadow = limits.shadow
        self.gauges = tuple(Gauge(rule, workers, counted.get(rule.limit)) for rule in limits.rules())
        self.requests = tuple(gauge for gauge in self.gauges if gauge.rule.unit == "requests")
        self.tokens = tuple(gauge for gauge in self.gauges if gauge.rule.unit == "tokens")
        self.concurrent = None if limits.concurrent is None else -(-limits.concurrent // workers)

    def exceeded(self, tokens: int, now: int) -> Exceeded | None:
        """The first of its limits that one more call of so many tokens would pass."""
        for gauge in self.requests:
            if gauge.window.expire(now) >= gauge.most:
                return self._exceeded(gauge, 1, now)
        for gauge in self.tokens:
            if gauge.window.expire(now) + tokens > gauge.most:
                return self._exceeded(gauge, tokens, now)
        if self.concurrent is not None and self.running >= self.concurrent:
            most = self.limited.limits.concurrent
            assert most is not None
            return Exceeded(self.limited.scope, self.limited.subject, "concurrent", most, self.running, None)
        return None

    def recall(self, past: Past, workers: int, shift: int) -> None:
        """Count this worker's share of what was used before it began. `shift` makes the limiter's clock of the
        past's."""
        for span in past.spans:
            for gauge in self.gauges:
                if gauge.rule.seconds == span.seconds:
                    counted = [
                        used.calls if gauge.rule.unit == "requests" else used.tokens for used in span.used
                    ]
                    shares = _shares(counted, workers)
                    gauge.window.precede(
                        [(used.at + shift, n) for used, n in zip(span.used, shares, strict=True)]
                    )

    def quiet(self, now: int) -> bool:
        """Whether it counts nothing, so that it can be forgotten."""
        return not self.running and not any(gauge.window.expire(now) for gauge in self.gauges)

    def _exceeded(self, gauge: Gauge, weight: int, now: int) -> Exceeded:
        wait = gauge.window.free_in(now, gauge.most - weight)
        return Exceeded(
            self.limited.scope,
            self.limited.subject,
            gauge.rule.limit,
            gauge.rule.most,
            gauge.window.used,
            None if wait is None else wait / MICRO,
        )


Filed = list[tuple[Window, int]]
"""Windows, and the times that a call was filed under in them."""


class Ticket(msgspec.Struct, eq=False, gc=False):
    """A call that was let through. It is settled, or cancelled, once. `shadowed`: limits it would have passed, had they
    been more than shadows."""

    meters: tuple[Meter, ...]
    requests: Filed
    filed: Filed | None
    tokens: int
    shadowed: list[Exceeded] | None = None

    def settle(self, tokens: int | None) -> None:
        """The call has ended and used so many tokens; None: as many as were reserved, for all that is known."""
        for meter in self.meters:
            meter.running -= 1
        if self.filed is not None and tokens is not None and tokens != self.tokens:
            for window, at in self.filed:
                window.adjust(at, tokens - self.tokens)

    def cancel(self) -> None:
        """The call did not go: nothing of it counts."""
        for meter in self.meters:
            meter.running -= 1
        for window, at in self.filed or ():
            window.adjust(at, -self.tokens)
        for window, at in self.requests:
            window.adjust(at, -1)


def left(meters: tuple[Meter, ...], unit: Unit, now: int) -> Left | None:
    """What the tightest window of this unit has left; None where there is none."""
    found: Left | None = None
    for meter in meters:
        for gauge in meter.requests if unit == "requests" else meter.tokens:
            rest = gauge.most - gauge.window.expire(now)
            if rest < 0:
                rest = 0
            if found is None or rest * found.most < found.left * gauge.rule.most:
                found = Left(gauge.rule.most, rest, gauge.window.empty_in(now) / MICRO)
    return found


class Limiter:
    """The meters of a worker. `workers` is how many share the work. Times are microseconds of a clock that only goes
    forward."""

    __slots__ = ("_addresses", "_meters", "_pasts", "_recalled", "_workers", "swept")

    def __init__(self, workers: int = 1) -> None:
        self.swept = 0
        """Counts sweeps: a meter that was got before the last one may have been forgotten since."""
        self._workers = workers
        self._meters: dict[tuple[Scope, str], Meter] = {}
        self._addresses: dict[str, Meter] = {}
        self._recalled: dict[tuple[Scope, str], None] = {}
        self._pasts: dict[tuple[Scope, str], tuple[Past, int]] = {}

    def resize(self, workers: int) -> None:
        """Another number of workers shares the work from now on."""
        if workers != self._workers:
            self._workers = workers
            for meter in self.all():
                meter.change(meter.limited, workers)

    def meter(self, limited: Limited) -> Meter:
        """The meter of these limits; where they have changed, it goes on with what was counted."""
        key = (limited.scope, limited.subject)
        meter = self._meters.get(key)
        if meter is None:
            if len(self._meters) >= _METERS:
                self._forget_one()
            meter = self._meters[key] = Meter(limited, self._workers)
            past = self._pasts.pop(key, None)
            if past is not None:
                meter.recall(past[0], self._workers, past[1])
        elif meter.limited != limited:
            meter.change(limited, self._workers)
        return meter

    def recall(self, past: Past, shift: int) -> None:
        """What a subject used before this worker began; said again, it is not counted again. `shift` is what the
        limiter's clock is ahead of the past's."""
        key = (past.scope, past.subject)
        if key in self._recalled:
            return
        _bound(self._recalled)
        self._recalled[key] = None
        meter = self._meters.get(key)
        if meter is not None:
            meter.recall(past, self._workers, shift)
        else:
            _bound(self._pasts)
            self._pasts[key] = (past, shift)

    def address(self, address: str, limits: Limits) -> Meter:
        """The meter of a client's address."""
        meters = self._addresses
        meter = meters.pop(address, None)
        if meter is None:
            if len(meters) >= _ADDRESSES:
                del meters[next(iter(meters))]
            meter = Meter(Limited("address", address, limits), self._workers)
        elif meter.limited.limits != limits:
            meter.change(Limited("address", address, limits), self._workers)
        meters[address] = meter  # so that the longest unused is the first
        return meter

    def _forget_one(self) -> None:
        oldest = next((key for key, meter in self._meters.items() if not meter.running), None)
        if oldest is not None:
            del self._meters[oldest]
            self.swept += 1

    def sweep(self, now: int) -> None:
        """Forget what counts nothing any more."""
        self.swept += 1
        self._meters = {key: meter for key, meter in self._meters.items() if not meter.quiet(now)}
        self._addresses = {key: meter for key, meter in self._addresses.items() if not meter.quiet(now)}

    def all(self) -> tuple[Meter, ...]:
        return (*self._meters.values(), *self._addresses.values())


def admit(meters: tuple[Meter, ...], tokens: int, now: int) -> Ticket | Exceeded:
    """Count one call that may use `tokens` by all of these, or by none."""
    shadowed: list[Exceeded] | None = None
    for meter in meters:
        exceeded = meter.exceeded(tokens, now)
        if exceeded is not None:
            if not meter.shadow:
                return exceeded
            shadowed = [exceeded] if shadowed is None else [*shadowed, exceeded]
    return count(meters, tokens, now, shadowed)


def count(meters: tuple[Meter, ...], tokens: int, now: int, shadowed: list[Exceeded] | None = None) -> Ticket:
    """Count one call by all of these, whatever their limits say."""
    requests: Filed = []
    filed: Filed | None = None
    for meter in meters:
        meter.running += 1
        for gauge in meter.requests:
            window = gauge.window
            requests.append((window, window.add(now, 1)))
        if meter.tokens:
            filed = filed or []
            for gauge in meter.tokens:
                window = gauge.window
                filed.append((window, window.add(now, tokens)))
    return Ticket(meters, requests, filed, tokens, shadowed)


def _shares(counted: list[int], workers: int) -> list[int]:
    """Of each, what one of the workers takes: all in all an even share, rounded up."""
    total, taken, shares = 0, 0, []
    for each in counted:
        total += each
        share = -(-total // workers)
        shares.append(share - taken)
        taken = share
    return shares


def _bound(kept: dict[tuple[Scope, str], Any]) -> None:
    """Forget the oldest if there are too many."""
    if len(kept) >= _METERS:
        del kept[next(iter(kept))]
