"""Periods: where days, weeks and months begin, in every time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.access.budget import FOREVER, Per, period_of

ZONES = ("UTC", "Europe/Zurich", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo")


def at(zone: str, *moment: int) -> int:
    return int(datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000  # type: ignore[arg-type,misc]


def test_a_budget_without_end_has_one_period() -> None:
    assert period_of("total", "UTC", at("UTC", 2026, 11, 28)) == FOREVER


@pytest.mark.parametrize(
    ("per", "start", "end"),
    [
        ("day", (2026, 11, 28), (2026, 11, 29)),
        ("week", (2026, 11, 23), (2026, 11, 30)),
        ("month", (2026, 11, 1), (2026, 12, 1)),
    ],
)
def test_a_period_begins_at_the_zones_own_midnight(
    per: Per, start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    for zone in ("UTC", "Asia/Kathmandu", "America/New_York"):
        found = period_of(per, zone, at(zone, 2026, 11, 28, 0, 0, 1))
        assert (found.start, found.end) == (at(zone, *start), at(zone, *end))


def test_december_is_followed_by_january() -> None:
    found = period_of("month", "UTC", at("UTC", 2026, 12, 31, 23, 59, 59))
    assert (found.start, found.end) == (at("UTC", 2026, 12, 1), at("UTC", 2027, 1, 1))


def test_a_day_may_have_23_or_25_hours() -> None:
    hours = []
    for day in (29, 25):
        month = 3 if day == 29 else 10
        found = period_of("day", "Europe/Zurich", at("Europe/Zurich", 2026, month, day, 12))
        assert found.end is not None
        hours.append((found.end - found.start) / 3.6e9)
    assert hours == [23, 25]


@given(
    st.sampled_from(ZONES),
    st.sampled_from(("day", "week", "month")),
    st.integers(1_600_000_000_000_000, 2_000_000_000_000_000),
)
def test_periods_follow_each_other_without_a_gap(zone: str, per: Per, now: int) -> None:
    period = period_of(per, zone, now)
    assert period.end is not None
    assert period.start <= now < period.end
    assert period_of(per, zone, period.end).start == period.end
    assert period_of(per, zone, period.end - 1) == period
    assert period_of(per, zone, period.start) == period


def test_a_zone_that_nobody_knows_is_refused() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(ValueError, match="IANA"):
            period_of("day", name, 0)
