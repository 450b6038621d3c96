"""Times as records tell them, exact to the microsecond."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.clock import from_iso, iso, now_us

LAST = from_iso("9999-12-31T23:59:59.999999Z")


def test_now() -> None:
    before = time.time_ns() // 1000
    assert before <= now_us() <= time.time_ns() // 1000


@given(st.integers(0, LAST))
def test_any_time_survives_being_written(at_us: int) -> None:
    assert from_iso(iso(at_us)) == at_us


@pytest.mark.parametrize(
    ("at_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_767_225_600_000_001, "2026-01-01T00:00:00.000001Z"),
        (LAST, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_written(at_us: int, text: str) -> None:
    assert iso(at_us) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T00:00:10", 10),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T23:59:59Z", -1),
    ],
)
def test_read(text: str, seconds: int) -> None:
    assert from_iso(text) == seconds * 1_000_000


@given(st.integers(0, LAST // 2), st.integers(-720, 720))
def test_zones(at_us: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    assert from_iso(moment.astimezone(zone).isoformat()) == at_us


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-01-01T25:00:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        from_iso(text)
