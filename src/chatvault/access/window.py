"""A sliding window that is exact: what counts within the last `span` microseconds, at any moment.

It is a log of what was counted and when, not GCRA: GCRA remembers one number, but lets through up to twice its limit
within a window (a burst, and what trickles in after it), and knows no weights that are settled later. A log costs
memory, so it is bounded: up to 64 entries are kept as they are; beyond them, those that lie within a sixty-fourth of
the window are merged, and count until the latest of them has left. So never more than the limit is let through within
any window, whatever the traffic; all that merging costs is that a place may become free a sixty-fourth of the window
late. An entry is two 64-bit integers: a full window holds 2 KiB.
"""

from array import array
from bisect import bisect_left
from typing import Final

ENTRIES: Final = 64
"""Entries that are kept apart; above them neighbours are merged."""
_NEVER: Final = -(1 << 62)


class Window:
    """Times are microseconds of a clock that only goes forward; one that stands still or goes back is taken to stand
    still."""

    __slots__ = ("_first", "_gone", "_grain", "_span", "_times", "_weights", "used")

    def __init__(self, span: int) -> None:
        self._span = span
        self._grain = max(span // ENTRIES, 1)
        self._times = array("q")
        self._weights = array("q")
        self._first = 0
        self._gone = _NEVER  # the time of the last entry that has left
        self.used = 0
        """What counts now, as of the last `expire`."""

    def expire(self, now: int) -> int:
        """Let go what has left the window; what is left."""
        times, first = self._times, self._first
        end, until = len(times), now - self._span
        if first == end or times[first] > until:
            return self.used
        weights, used = self._weights, self.used
        while first < end and times[first] <= until:
            used -= weights[first]
            first += 1
        self._gone = times[first - 1]
        if first == end:
            del times[:], weights[:]
            first = 0
        elif first > ENTRIES:
            del times[:first], weights[:first]
            first = 0
        self._first, self.used = first, used
        return used

    def add(self, now: int, weight: int) -> int:
        """Count `weight` at this time; the time it is filed under, for `adjust`."""
        times = self._times
        count = len(times) - self._first
        if count:
            last = times[-1]
            if now <= last:
                now = last
            if now == last or (count >= ENTRIES and now // self._grain == last // self._grain):
                times[-1] = now
                self._weights[-1] += weight
                self.used += weight
                return now
        times.append(now)
        self._weights.append(weight)
        self.used += weight
        return now

    def precede(self, entries: list[tuple[int, int]]) -> None:
        """Count what was used before all that is counted here: (time, weight), the earliest first."""
        if self._first < len(self._times):
            entries = [entry for entry in entries if entry[0] < self._times[self._first]]
        entries = [entry for entry in entries if entry[0] > self._gone]
        self._times = array("q", [at for at, _ in entries]) + self._times[self._first :]
        self._weights = array("q", [weight for _, weight in entries]) + self._weights[self._first :]
        self._first = 0
        self.used += sum(weight for _, weight in entries)

    def adjust(self, at: int, by: int) -> None:
        """Correct what was counted at `at`, which `add` answered; what has left the window is left alone."""
        if at <= self._gone:
            return
        index = bisect_left(self._times, at, self._first)
        if index < len(self._times):
            self._weights[index] += by
            self.used += by

    def free_in(self, now: int, room: int) -> int | None:
        """Microseconds until no more than `room` counts (0: now), if nothing is added; None: never."""
        left = self.expire(now)
        if left <= room:
            return 0
        if room < 0:
            return None
        for index in range(self._first, len(self._times)):
            left -= self._weights[index]
            if left <= room:
                return self._times[index] + self._span - now
        return None

    def next_in(self, now: int) -> int:
        """Microseconds until the earliest of what counts has left; 0: nothing counts."""
        self.expire(now)
        return self._times[self._first] + self._span - now if self._first < len(self._times) else 0

    def empty_in(self, now: int) -> int:
        """Microseconds until nothing counts, if nothing is added."""
        self.expire(now)
        return self._times[-1] + self._span - now if self._first < len(self._times) else 0

    def entries(self) -> list[tuple[int, int]]:
        """(time, weight) of what counts, the earliest first."""
        return list(zip(self._times[self._first :], self._weights[self._first :], strict=True))
