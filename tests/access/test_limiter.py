"""Rate limits of one worker: what is let through, what is refused and why, what is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatvault.access.limiter import MICRO, Exceeded, Left, Limiter, Meter, Ticket, admit, left
from chatvault.access.limits import Limited, Limits
from chatvault.access.past import Past, Span, Used

HOUR = 3600 * MICRO


def meters(limiter: Limiter, **limits: Limits) -> tuple[Meter, ...]:
    return tuple(limiter.meter(Limited(scope, "x", each)) for scope, each in limits.items())  # type: ignore[arg-type]


def through(found: Ticket | Exceeded) -> Ticket:
    assert isinstance(found, Ticket), found
    return found


def refused(found: Ticket | Exceeded) -> Exceeded:
    assert isinstance(found, Exceeded)
    return found


def test_the_limit_is_reached_exactly_and_frees_as_time_passes() -> None:
    held = meters(Limiter(), token=Limits(requests_per_minute=2))
    through(admit(held, 0, 0))
    through(admit(held, 0, MICRO))
    assert refused(admit(held, 0, 2 * MICRO)) == Exceeded("token", "x", "requests_per_minute", 2, 2, 58.0)
    through(admit(held, 0, 60 * MICRO))
    assert refused(admit(held, 0, 60 * MICRO)).retry_after == 1.0


def test_a_refusal_takes_from_none() -> None:
    limiter = Limiter()
    held = meters(limiter, token=Limits(requests_per_hour=10), project=Limits(requests_per_hour=1))
    through(admit(held, 0, 0))
    for _ in range(5):
        assert refused(admit(held, 0, 1)).scope == "project"
    assert held[0].gauges[0].window.used == 1
    assert [meter.running for meter in held] == [1, 1]


def test_tokens_are_reserved_and_settled() -> None:
    held = meters(Limiter(), token=Limits(tokens_per_minute=100))
    first = through(admit(held, 60, 0))
    assert refused(admit(held, 60, 1)).limit == "tokens_per_minute"
    first.settle(10)
    second = through(admit(held, 60, 2))
    second.settle(250)  # it used more than was thought: what follows has to wait for it
    assert refused(admit(held, 1, 3)).used == 260
    assert refused(admit(held, 101, 4)).retry_after is None


def test_unknown_usage_keeps_what_was_reserved() -> None:
    held = meters(Limiter(), token=Limits(tokens_per_minute=100))
    through(admit(held, 60, 0)).settle(None)
    assert refused(admit(held, 60, 1)).used == 60


def test_a_call_that_did_not_go_counts_for_nothing() -> None:
    held = meters(Limiter(), token=Limits(requests_per_day=1, tokens_per_day=5, concurrent=1))
    through(admit(held, 5, 0)).cancel()
    through(admit(held, 5, 1))


def test_calls_under_way_are_counted_while_they_last() -> None:
    held = meters(Limiter(), user=Limits(concurrent=2))
    first = through(admit(held, 0, 0))
    through(admit(held, 0, 0))
    assert refused(admit(held, 0, 0)) == Exceeded("user", "x", "concurrent", 2, 2, None)
    first.settle(None)
    through(admit(held, 0, 0))


def test_a_shadow_only_tells() -> None:
    held = meters(Limiter(), token=Limits(requests_per_minute=1, shadow=True))
    assert through(admit(held, 0, 0)).shadowed is None
    assert [each.limit for each in through(admit(held, 0, 1)).shadowed or ()] == ["requests_per_minute"]


def test_changed_limits_go_on_with_what_was_counted() -> None:
    limiter = Limiter()
    ticket = through(admit(meters(limiter, token=Limits(requests_per_hour=5, concurrent=1)), 0, 0))
    held = meters(limiter, token=Limits(requests_per_hour=1, tokens_per_hour=9))
    assert refused(admit(held, 1, 1)).limit == "requests_per_hour"
    ticket.settle(None)
    assert held[0].running == 0


def test_what_is_left_is_that_of_the_tightest() -> None:
    limiter = Limiter()
    held = meters(
        limiter, token=Limits(requests_per_hour=10), project=Limits(requests_per_minute=4, tokens_per_day=8)
    )
    through(admit(held, 3, 0))
    assert left(held, "requests", MICRO) == Left(4, 3, 59.0)
    assert left(held, "tokens", MICRO) == Left(8, 5, 86_399.0)
    assert left(meters(limiter, user=Limits(concurrent=1)), "tokens", 0) is None


@given(st.integers(1, 9), st.integers(0, 40), st.integers(0, 80))
def test_workers_together_pass_the_limit_by_less_than_their_number(
    workers: int, most: int, calls: int
) -> None:
    held = [meters(Limiter(workers), token=Limits(requests_per_minute=most)) for _ in range(workers)]
    passed = sum(isinstance(admit(held[call % workers], 0, 0), Ticket) for call in range(calls))
    assert passed <= most + workers - 1
    assert passed >= min(calls, most)


def test_another_number_of_workers_changes_the_share() -> None:
    limiter = Limiter(4)
    held = meters(limiter, token=Limits(requests_per_minute=4))
    through(admit(held, 0, 0))
    assert refused(admit(held, 0, 0)).most == 4
    limiter.resize(2)
    through(admit(held, 0, 0))


def test_what_is_quiet_is_forgotten() -> None:
    limiter = Limiter()
    ticket = through(admit(meters(limiter, token=Limits(requests_per_minute=1)), 0, 0))
    limiter.sweep(60 * MICRO)
    assert len(limiter.all()) == 1
    ticket.settle(None)
    limiter.sweep(60 * MICRO)
    assert limiter.all() == ()


def test_meters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatvault.access.limiter._METERS", 2)
    limiter, swept = Limiter(), Limiter().swept
    running = limiter.meter(Limited("token", "a", Limits(concurrent=1)))
    through(admit((running,), 0, 0))
    for name in "bc":
        limiter.meter(Limited("token", name, Limits(concurrent=1)))
    assert [meter.limited.subject for meter in limiter.all()] == ["a", "c"], "what is under way is kept"
    assert limiter.swept > swept, "whoever kept the forgotten one gets another"


def test_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatvault.access.limiter._ADDRESSES", 3)
    limiter, limits = Limiter(), Limits(requests_per_minute=1)
    for name in ("a", "b", "c", "a", "d"):
        admit((limiter.address(name, limits),), 0, 0)
    assert [meter.limited.subject for meter in limiter.all()] == ["c", "a", "d"]
    tighter = limiter.address("a", Limits(requests_per_minute=2))
    through(admit((tighter,), 0, 1))


class Against(RuleBasedStateMachine):
    """Several limits at once against a list of what was let through: no window, and no number of calls under way, is
    ever above its limit by more than calls have turned out larger than they said."""

    def __init__(self) -> None:
        super().__init__()
        self.limiter, self.now = Limiter(), 0
        self.limits = {
            "token": Limits(requests_per_minute=6, tokens_per_hour=90, concurrent=4),
            "project": Limits(requests_per_hour=20, tokens_per_minute=70),
        }
        self.open: list[tuple[Ticket, list[int]]] = []
        self.log: list[list[int]] = []
        self.surplus = 0

    @rule(seconds=st.sampled_from((0, 1, 7, 59, 60, 600, 3600)))
    def wait(self, seconds: int) -> None:
        self.now += seconds * MICRO

    @rule(tokens=st.integers(0, 40))
    def call(self, tokens: int) -> None:
        found = admit(meters(self.limiter, **self.limits), tokens, self.now)
        if isinstance(found, Ticket):
            entry = [self.now, 1, tokens]
            self.log.append(entry)
            self.open.append((found, entry))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=st.none() | st.integers(0, 60))
    def end(self, data: st.DataObject, used: int | None) -> None:
        ticket, entry = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        ticket.settle(used)
        if used is not None:
            self.surplus += max(used - entry[2], 0)
            entry[2] = used

    @precondition(lambda self: self.open)
    @rule()
    def cancel(self) -> None:
        ticket, entry = self.open.pop()
        ticket.cancel()
        entry[1] = entry[2] = 0

    @invariant()
    def held(self) -> None:
        def within(span: int, field: int) -> int:
            return sum(entry[field] for entry in self.log if entry[0] > self.now - span)

        assert within(60 * MICRO, 1) <= 6
        assert within(HOUR, 1) <= 20
        assert within(HOUR, 2) <= 90 + self.surplus
        assert within(60 * MICRO, 2) <= 70 + self.surplus
        assert len(self.open) <= 4


TestAgainst = Against.TestCase


def past(subject: str, *used: tuple[int, int, int], seconds: int = 60) -> Past:
    return Past("token", subject, (Span(seconds, tuple(Used(*each) for each in used)),))


def test_a_window_goes_on_with_its_share_of_the_past() -> None:
    limiter, limits = Limiter(3), Limits(requests_per_minute=9, tokens_per_minute=900, requests_per_hour=9)
    limiter.recall(past("x", (10, 4, 100), (20, 1, 50)), 1000)  # before anybody has asked for the meter
    (meter,) = meters(limiter, token=limits)
    windows = {gauge.rule.limit: gauge.window.entries() for gauge in meter.gauges}
    assert windows["requests_per_minute"] == [(1010, 2), (1020, 0)]
    assert windows["tokens_per_minute"] == [(1010, 34), (1020, 16)]
    assert windows["requests_per_hour"] == []
    limiter.recall(past("x", (10, 4, 100)), 1000)
    assert meter.requests[0].window.expire(1030) == 2


def test_the_past_may_come_late_and_once() -> None:
    limiter = Limiter()
    held = meters(limiter, token=Limits(requests_per_minute=3))
    through(admit(held, 0, 5000))
    limiter.recall(past("x", (10, 2, 0)), 1000)
    limiter.recall(past("x", (10, 2, 0)), 1000)
    assert refused(admit(held, 0, 6000)).used == 3
    through(admit(held, 0, 60 * MICRO + 1010))


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 9))
def test_shares_are_even_and_never_less_than_the_whole(counted: list[int], workers: int) -> None:
    limiter = Limiter(workers)
    limiter.recall(past("x", *((n, calls, 0) for n, calls in enumerate(counted))), 0)
    (meter,) = meters(limiter, token=Limits(requests_per_minute=1))
    assert meter.requests[0].window.used == -(-sum(counted) // workers)
    assert all(weight >= 0 for _, weight in meter.requests[0].window.entries())
