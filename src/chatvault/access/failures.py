"""Who guesses: credentials that were wrong, counted by where they came from.

Whoever has been wrong too often within a minute is refused unasked, until some of it is a minute old. What is refused
so does not count itself: a place has its guesses a minute, and is never shut out for longer.
"""

from math import ceil
from typing import Final

from chatvault.access.limiter import MICRO
from chatvault.access.window import Window

_SPAN: Final = 60 * MICRO
_PLACES: Final = 20_000
"""Places that are remembered; beyond them the one that was wrong the longest ago is forgotten."""


class Failures:
    """`most` within a minute, from each place; 0: any number. Where several workers share the work, each holds an even
    share, rounded up. Times are microseconds of a clock that only goes forward."""

    __slots__ = ("_most", "_windows")

    def __init__(self, most: int = 0, workers: int = 1) -> None:
        self._windows: dict[str, Window] = {}
        self.resize(most, workers)

    def resize(self, most: int, workers: int = 1) -> None:
        """Hold another limit from now on; what was counted still counts."""
        self._most = -(-most // workers)

    def failed(self, place: str, now: int) -> int:
        """Count one; what to take it back by."""
        if not self._most:
            return -1
        windows = self._windows
        window = windows.pop(place, None)
        if window is None:
            if len(windows) >= _PLACES:
                del windows[next(iter(windows))]
            window = Window(_SPAN)
        windows[place] = window  # so that the first is the one that was wrong the longest ago
        window.expire(now)
        return window.add(now, 1)

    def forgive(self, place: str, at: int) -> None:
        """Take one back that `failed` counted at `at`."""
        window = self._windows.get(place)
        if window is not None:
            window.adjust(at, -1)

    def wait(self, place: str, now: int) -> int | None:
        """Whole seconds until this place may try again; None: it may now."""
        window = self._windows.get(place)
        if window is None or not self._most or window.expire(now) < self._most:
            return None
        left = window.free_in(now, self._most - 1)
        return 60 if left is None else max(ceil(left / MICRO), 1)

    def sweep(self, now: int) -> None:
        """Forget what counts nothing any more."""
        self._windows = {place: window for place, window in self._windows.items() if window.expire(now)}

    def __len__(self) -> int:
        return len(self._windows)
