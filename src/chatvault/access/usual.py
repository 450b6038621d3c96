"""What calls to a target usually cost: the 99th percentile of the last ones, which soft budgets reserve."""

from collections import deque
from typing import Final

_KEPT: Final = 512
_LEAST: Final = 20
"""Calls that have to be known before anything is said."""
_RENEWED: Final = 16
"""Calls after which the percentile is made again."""
_TARGETS: Final = 1000


class _Costs:
    __slots__ = ("fresh", "last", "usual")

    def __init__(self) -> None:
        self.last: deque[int] = deque(maxlen=_KEPT)
        self.fresh = 0
        self.usual: int | None = None


class Usual:
    """Costs in pico-dollars, by provider and target."""

    def __init__(self) -> None:
        self._costs: dict[tuple[str, str | None], _Costs] = {}

    def of(self, provider: str, target: str | None) -> int | None:
        """None where too little is known."""
        costs = self._costs.get((provider, target))
        return None if costs is None else costs.usual

    def add(self, provider: str, target: str | None, cost: int) -> None:
        key = (provider, target)
        costs = self._costs.get(key)
        if costs is None:
            if len(self._costs) >= _TARGETS:
                del self._costs[next(iter(self._costs))]
            costs = self._costs[key] = _Costs()
        costs.last.append(cost)
        costs.fresh += 1
        if len(costs.last) >= _LEAST and (costs.usual is None or costs.fresh >= _RENEWED):
            costs.fresh = 0
            costs.usual = sorted(costs.last)[(len(costs.last) * 99 - 1) // 100]
