"""Guesses are counted by where they come from, within any sixty seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.access import failures
from chatvault.access.failures import Failures
from chatvault.access.limiter import MICRO


def test_beyond_the_limit_a_place_has_to_wait_and_others_do_not() -> None:
    counted = Failures(3)
    for second in range(3):
        assert counted.wait("a", second * MICRO) is None
        counted.failed("a", second * MICRO)
    assert counted.wait("a", 2 * MICRO) == 58
    assert counted.wait("a", 60 * MICRO - 1) == 1
    assert counted.wait("b", 2 * MICRO) is None
    assert counted.wait("a", 60 * MICRO) is None


def test_what_is_forgiven_does_not_count() -> None:
    counted = Failures(1)
    at = counted.failed("a", 5)
    assert counted.wait("a", 6) == 60
    counted.forgive("a", at)
    assert counted.wait("a", 7) is None
    counted.forgive("never heard of", at)


def test_zero_is_any_number() -> None:
    counted = Failures(0)
    for now in range(1000):
        counted.forgive("a", counted.failed("a", now))
        assert counted.wait("a", now) is None
    assert len(counted) == 0


def test_a_changed_limit_holds_for_what_was_counted() -> None:
    counted = Failures(10)
    for now in range(4):
        counted.failed("a", now)
    counted.resize(4)
    assert counted.wait("a", 5) == 60
    counted.resize(0)
    assert counted.wait("a", 5) is None
    counted.resize(9, workers=2)
    assert counted.wait("a", 5) is None
    counted.failed("a", 6)
    assert counted.wait("a", 7) == 60


def test_places_are_bounded_and_the_quietest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_PLACES", 3)
    counted = Failures(1)
    for now, place in enumerate("abcad"):
        counted.failed(place, now)
    assert len(counted) == 3
    assert {place: counted.wait(place, 9) is not None for place in "abcd"} == {
        "a": True, "b": False, "c": True, "d": True,
    }  # fmt: skip
    counted.sweep(59 * MICRO)
    assert len(counted) == 3
    counted.sweep(61 * MICRO)
    assert len(counted) == 0


@given(st.lists(st.integers(0, 5 * MICRO), max_size=200), st.integers(1, 70))
def test_no_sixty_seconds_hold_more_than_the_limit(steps: list[int], most: int) -> None:
    """A clock that stands still is among them; one that goes back is taken to stand still."""
    counted, now, taken = Failures(most), 0, list[int]()
    for step in steps:
        now += step
        if counted.wait("a", now) is None:
            counted.failed("a", now)
            taken.append(now)
    for index, at in enumerate(taken):
        assert sum(1 for other in taken[index:] if other < at + 60 * MICRO) <= most
