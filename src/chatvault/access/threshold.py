"""When so much of a budget is spent: plain decisions over numbers, and the event each makes."""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from chatvault.access.purse import Key

KIND: Final = "budget.threshold"


class Level(msgspec.Struct, frozen=True, gc=False):
    """Of a budget and period: its amount, and what chains that were accounted for used, less what was reconciled."""

    key: Key
    amount: int
    unit: Literal["money", "requests"]
    used: int


class Passed(msgspec.Struct, frozen=True, gc=False):
    """So many percent of a budget's amount are spent in a period. Pico-dollars, or calls."""

    start: int
    percent: int
    spent: int
    amount: int
    unit: Literal["money", "requests"]


class KeptEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way onto the record and to the webhook. `id` says what happened, so that it happens once.
    Microseconds since the epoch."""

    id: str
    kind: str
    subject: str
    at: int
    content: Passed
    tries: int = 0
    """How often it could not be sent."""


def passed(level: Level, spent: int, percents: Iterable[int], at: int) -> list[KeptEvent]:
    """The events of all thresholds that are reached."""
    budget, start = level.key
    return [
        KeptEvent(
            id=f"budget/{budget}/{start}/{percent}",
            kind=KIND,
            subject=budget,
            at=at,
            content=Passed(start, percent, spent, level.amount, level.unit),
        )
        for percent in sorted(set(percents))
        if spent > 0 and spent * 100 >= level.amount * percent
    ]
