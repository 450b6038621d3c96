"""Windows against a model that forgets nothing."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatvault.access.window import ENTRIES, Window

SPAN = 6400
GRAIN = SPAN // ENTRIES


def test_what_has_left_does_not_count() -> None:
    window = Window(SPAN)
    window.add(0, 3)
    window.add(10, 4)
    assert window.expire(SPAN - 1) == 7
    assert window.expire(SPAN) == 4
    assert window.expire(SPAN + 10) == 0


def test_it_tells_when_there_is_room() -> None:
    window = Window(SPAN)
    window.add(0, 3)
    window.add(10, 4)
    assert window.free_in(20, 7) == 0
    assert window.free_in(20, 6) == SPAN - 20
    assert window.free_in(20, 3) == SPAN + 10 - 20
    assert window.free_in(20, -1) is None
    assert window.empty_in(20) == SPAN + 10 - 20
    assert window.empty_in(SPAN + 10) == 0


def test_a_count_is_corrected_where_it_was_made() -> None:
    window = Window(SPAN)
    first, second = window.add(0, 100), window.add(5, 100)
    window.adjust(first, -70)
    assert window.expire(10) == 130
    assert window.expire(SPAN) == 100
    window.adjust(first, 1000)  # it has left: it must not count against what is still there
    assert window.used == 100
    window.adjust(second, -50)
    assert window.expire(SPAN + 4) == 50
    assert window.expire(SPAN + 5) == 0


def test_a_clock_that_goes_back_frees_nothing_and_loses_nothing() -> None:
    window = Window(SPAN)
    window.add(1000, 1)
    window.add(0, 1)
    assert window.expire(SPAN + 999) == 2
    assert window.expire(SPAN + 1000) == 0


def test_memory_is_bounded() -> None:
    window = Window(SPAN)
    for now in range(0, 50 * SPAN, 7):
        window.expire(now)
        window.add(now, 1)
        assert len(window.entries()) <= 2 * ENTRIES + 1
    assert len(window._times) <= 4 * ENTRIES


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 5)), max_size=400), st.integers(1, 60))
def test_no_window_ever_holds_more_than_the_limit(steps: list[tuple[int, int]], most: int) -> None:
    """Admit whatever fits, and look back from each moment: the true count within the span never exceeds the limit."""
    window, now, admitted = Window(SPAN), 0, list[tuple[int, int]]()
    for pause, weight in steps:
        now += pause
        if window.expire(now) + weight <= most:
            window.add(now, weight)
            admitted.append((now, weight))
        assert sum(w for at, w in admitted if at > now - SPAN) <= most


class Against(RuleBasedStateMachine):
    """What counts is never less than the truth, and more by at most what is within a grain of leaving."""

    def __init__(self) -> None:
        super().__init__()
        self.window, self.now = Window(SPAN), 0
        self.truth: list[list[int]] = []
        self.unsure = 0

    @rule(pause=st.integers(0, SPAN // 3))
    def wait(self, pause: int) -> None:
        self.now += pause
        self.window.expire(self.now)

    @rule(weight=st.integers(1, 9), times=st.integers(1, 90), pause=st.integers(0, 120))
    def count(self, weight: int, times: int, pause: int) -> None:
        for _ in range(times):
            self.now += pause
            self.window.expire(self.now)
            self.truth.append([self.now, weight, self.window.add(self.now, weight)])

    @precondition(lambda self: self.truth)
    @rule(by=st.integers(-3, 9), data=st.data())
    def settle(self, by: int, data: st.DataObject) -> None:
        entry = self.truth[data.draw(st.integers(0, len(self.truth) - 1))]
        by = max(by, -entry[1])
        self.window.adjust(entry[2], by)
        if entry[0] > self.now - SPAN:
            entry[1] += by
        elif entry[0] > self.now - SPAN - GRAIN:
            self.unsure += abs(by)  # merged with a later one it is still there, and has been corrected

    @invariant()
    def bounds(self) -> None:
        used = self.window.expire(self.now)
        assert used >= sum(w for at, w, _ in self.truth if at > self.now - SPAN)
        assert used <= sum(w for at, w, _ in self.truth if at > self.now - SPAN - GRAIN) + self.unsure


TestAgainst = Against.TestCase


def test_what_was_used_before_counts_before_all_else() -> None:
    window = Window(SPAN)
    filed = window.add(100, 5)
    window.precede([(-50, 2), (20, 3), (100, 9)])  # the last is not from before
    assert window.entries() == [(-50, 2), (20, 3), (100, 5)]
    assert window.expire(110) == 10
    assert window.next_in(110) == SPAN - 50 - 110
    window.adjust(filed, -4)
    assert window.expire(SPAN + 20) == 1
    window.precede([(10, 7)])  # such have left already
    assert window.expire(SPAN + 20) == 1
    assert (Window(SPAN).next_in(3), Window(SPAN).empty_in(3)) == (0, 0)
