"""What may be spent, by whom, in which time: the values, and the arithmetic of periods."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from chatvault.access.limits import Scope

Per = Literal["day", "week", "month", "total"]
"""A budget begins anew at midnight, on Monday's midnight, on the first of the month, or never."""

REQUESTS: Final = "requests"
"""What a budget without money counts: the `max_requests` of a token."""


class Budget(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """`amount` is in pico-dollars, or in calls where `unit` is `requests`.

    A hard budget admits only calls whose worst case is bounded and fits. A soft one reserves what such calls have
    cost before (the 99th percentile), and may be passed by as much as a call is dearer than that.
    """

    id: str
    scope: Scope
    subject: str
    """As in `Limited`; for the scope `model` a pattern over public model names."""
    amount: int
    unit: Literal["money", "requests"] = "money"
    per: Per = "total"
    timezone: str = "UTC"
    """An IANA name; it says when a day begins."""
    hard: bool = True
    allow_unbounded: bool = False
    """Also admit calls whose worst case has no known bound; they are then counted with what they turn out to cost."""


class Period(msgspec.Struct, frozen=True, gc=False):
    """Microseconds since the epoch; `end` is None for a budget without end. `start` names the period."""

    start: int
    end: int | None


FOREVER: Final = Period(0, None)


def period_of(per: Per, timezone: str, now_us: int) -> Period:
    """The period of this moment. Raises ValueError for a time zone that nobody knows."""
    if per == "total":
        return FOREVER
    zone = _zone(timezone)
    first = _first_day(per, datetime.fromtimestamp(now_us // 1_000_000, zone).date())
    return Period(_midnight(first, zone), _midnight(_following(per, first), zone))


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is no IANA time zone, such as Europe/Zurich") from error


def _first_day(per: Per, day: date) -> date:
    if per == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if per == "month" else day


def _following(per: Per, first: date) -> date:
    if per == "month":
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first + timedelta(days=7 if per == "week" else 1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    """Where a day has none (clocks may be put forward over it), the moment of the change."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000
