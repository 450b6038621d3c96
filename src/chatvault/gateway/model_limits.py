"""The limits that models have by themselves, as configured by patterns over their names."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from chatvault.access.limits import Limited, Limits
from chatvault.config.schema import RateConfig

_MOST: Final = 1000
"""Models whose limits are kept; their names come from clients."""


class ModelLimits:
    """Each model is counted by itself; the first pattern that fits it holds."""

    def __init__(self, rates: Mapping[str, RateConfig]) -> None:
        self._rates = rates
        self._known: dict[str, Limited | None] = {}

    def of(self, model: str) -> Limited | None:
        """None where there are none."""
        known = self._known
        if model not in known:
            if len(known) >= _MOST:
                known.clear()
            found = next((rate for name, rate in self._rates.items() if fnmatchcase(model, name)), None)
            limits = limits_of(found) if found is not None else None
            known[model] = None if limits is None else Limited("model", model, limits)
        return known[model]


def limits_of(settings: RateConfig) -> Limits | None:
    """None where nothing is limited."""
    limits = Limits(**msgspec.structs.asdict(settings))
    return limits if limits.rules() or limits.concurrent is not None else None
