"""When so much of a budget is spent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.access.threshold import KeptEvent, Level, Passed, passed

NOW = 1_800_000_000_000_000


def percents(spent: int, amount: int = 1000, wanted: tuple[int, ...] = (50, 80, 100)) -> list[int]:
    return [
        event.content.percent for event in passed(Level(("bud_1", 7), amount, "money", 0), spent, wanted, NOW)
    ]


@pytest.mark.parametrize(
    ("spent", "found"),
    [
        (0, []),
        (499, []),
        (500, [50]),
        (799, [50]),
        (800, [50, 80]),
        (1000, [50, 80, 100]),
        (5000, [50, 80, 100]),
    ],
)
def test_a_threshold_is_passed_when_it_is_reached(spent: int, found: list[int]) -> None:
    assert percents(spent) == found


def test_a_budget_of_nothing_is_spent_by_anything_and_not_by_nothing() -> None:
    assert percents(1, amount=0) == [50, 80, 100]
    assert percents(0, amount=0) == []
    assert percents(-5, amount=0) == []


def test_the_event_says_what_happened_and_its_id_what_it_is() -> None:
    (event,) = passed(Level(("tok_1/requests", 0), 3, "requests", 0), 3, (100, 100), NOW)
    assert event == KeptEvent(
        id="budget/tok_1/requests/0/100",
        kind="budget.threshold",
        subject="tok_1/requests",
        at=NOW,
        content=Passed(0, 100, 3, 3, "requests"),
    )


@given(st.integers(0, 4 * 10**18), st.integers(1, 4 * 10**18), st.integers(1, 1000))
def test_it_is_exact_however_large_the_amounts(spent: int, amount: int, percent: int) -> None:
    assert bool(percents(spent, amount, (percent,))) == (spent > 0 and spent * 100 >= amount * percent)
