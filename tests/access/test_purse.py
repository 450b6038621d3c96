"""Budgets in pieces: what workers may spend, and that no more than the budget is ever spent, whoever is killed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatvault.access.budget import FOREVER, Budget, Period
from chatvault.access.lending import grant
from chatvault.access.purse import Claim, Purse, Reservation
from chatvault.core.charge import Charge

BUDGET = Budget(id="bud_1", scope="token", subject="tok_1", amount=100)
CALLS = Budget(id="tok_1/requests", scope="token", subject="tok_1", amount=3, unit="requests")
KEY = ("bud_1", 0)


def claim(amount: int, budget: Budget = BUDGET, period: Period = FOREVER) -> Claim:
    return Claim(budget, period, amount)


def held(found: Reservation | list[Claim]) -> Reservation:
    assert isinstance(found, Reservation)
    return found


def test_nothing_is_spent_that_was_not_leased() -> None:
    purse = Purse()
    assert purse.reserve([claim(1)]) == [claim(1)]
    purse.lend(KEY, 10)
    first = held(purse.reserve([claim(6)]))
    assert purse.reserve([claim(5)]) == [claim(5)]
    assert first.reserved() == (Charge("bud_1", 0, 6, 6),)
    assert first.settle(2) == (Charge("bud_1", 0, 2, 2),)
    assert held(purse.reserve([claim(8)])).reserved() == (Charge("bud_1", 0, 8, 10),)


def test_a_call_that_costs_nothing_needs_no_lease() -> None:
    assert held(Purse().reserve([claim(0)])).settle(0) == (Charge("bud_1", 0, 0, 0),)


def test_all_budgets_pay_or_none() -> None:
    purse = Purse()
    purse.holding(BUDGET, FOREVER)
    purse.lend(KEY, 10)
    assert purse.reserve([claim(5), claim(1, CALLS)]) == [claim(1, CALLS)]
    assert purse.holding(BUDGET, FOREVER).reserved == 0
    purse.lend(("tok_1/requests", 0), 3)
    both = held(purse.reserve([claim(5), claim(1, CALLS)]))
    assert both.settle(3) == (Charge("bud_1", 0, 3, 3), Charge("tok_1/requests", 0, 1, 1))


def test_unknown_cost_keeps_what_was_reserved() -> None:
    purse = Purse()
    purse.holding(BUDGET, FOREVER)
    purse.lend(KEY, 10)
    assert held(purse.reserve([claim(4)])).settle(None) == (Charge("bud_1", 0, 4, 4),)


def test_another_attempt_reserves_again_or_does_not_go() -> None:
    purse = Purse()
    for budget, amount in ((BUDGET, 10), (CALLS, 1)):
        purse.holding(budget, FOREVER)
        purse.lend((budget.id, 0), amount)
    call = held(purse.reserve([claim(4), claim(1, CALLS)]))
    assert call.again()
    assert call.reserved() == (Charge("bud_1", 0, 8, 8), Charge("tok_1/requests", 0, 1, 1))
    assert not call.again()
    assert call.settle(None) == (Charge("bud_1", 0, 8, 8), Charge("tok_1/requests", 0, 1, 1))


def test_a_call_that_did_not_go_gives_all_back() -> None:
    purse = Purse()
    purse.holding(BUDGET, FOREVER)
    purse.lend(KEY, 10)
    held(purse.reserve([claim(10)])).cancel()
    assert purse.give_back(KEY) == 10
    assert purse.give_back(KEY) == 0
    assert purse.give_back(("bud_9", 0)) == 0


def test_what_a_provider_bills_above_the_worst_case_is_told() -> None:
    purse = Purse()
    purse.holding(BUDGET, FOREVER)
    purse.lend(KEY, 10)
    assert held(purse.reserve([claim(5)])).settle(12) == (Charge("bud_1", 0, 12, 12),)
    assert purse.give_back(KEY) == 0
    assert purse.reserve([claim(1)]) == [claim(1)]


def test_periods_that_are_over_are_let_go_once_their_calls_have_ended() -> None:
    purse, period = Purse(), Period(5, 100)
    holding = purse.holding(BUDGET, period)
    purse.lend(("bud_1", 5), 10)
    purse.holding(BUDGET, FOREVER)
    call = held(purse.reserve([claim(1, period=period)]))
    assert purse.over(99) == []
    assert purse.over(100) == []
    call.settle(1)
    assert purse.over(100) == [holding]
    assert [each.key for each in purse] == [KEY]
    purse.lend(("bud_1", 5), 10)  # an answer that came too late is no harm


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 64))
def test_no_grant_exceeds_what_is_left(amount: int, committed: int, need: int, workers: int) -> None:
    given_away = grant(amount, committed, need, workers)
    assert given_away == 0 or (given_away >= need and committed + given_away <= amount)
    if need <= amount - committed:
        assert given_away >= need


class Lending(RuleBasedStateMachine):
    """Control, three workers that are killed and born again at any moment, messages that are lost with their
    connection: settled plus reserved never exceeds the budget, and what was charged is never forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.amount = 1000
        self.committed = 0
        self.leases = [0, 0, 0]
        self.purses = [Purse() for _ in range(3)]
        self.open: list[list[tuple[Reservation, int]]] = [[], [], []]
        self.journal: list[list[Charge]] = [[], [], []]
        self.charged = 0
        for purse in self.purses:
            purse.holding(BUDGET, FOREVER)

    def _on_record(self, worker: int) -> int:
        return self.journal[worker][-1].held if self.journal[worker] else 0

    @rule(worker=st.integers(0, 2), need=st.integers(1, 120), cost=st.integers(0, 120), lost=st.booleans())
    def call(self, worker: int, need: int, cost: int, lost: bool) -> None:
        purse = self.purses[worker]
        found = purse.reserve([claim(need)])
        if isinstance(found, list):
            more = grant(self.amount, self.committed, need, 3)
            self.committed += more
            self.leases[worker] += more
            if lost or not more:
                return
            purse.lend(KEY, more)
            found = held(purse.reserve([claim(need)]))
        self.journal[worker] += found.reserved()
        self.open[worker].append((found, min(cost, need)))

    @precondition(lambda self: any(self.open))
    @rule(data=st.data(), known=st.booleans())
    def end(self, data: st.DataObject, known: bool) -> None:
        worker = data.draw(st.sampled_from([w for w in range(3) if self.open[w]]))
        call, cost = self.open[worker].pop(data.draw(st.integers(0, len(self.open[worker]) - 1)))
        entries = call.settle(cost if known else None)
        self.journal[worker] += entries
        self.charged += entries[0].amount

    @rule(worker=st.integers(0, 2), lost=st.booleans())
    def recall(self, worker: int, lost: bool) -> None:
        spare = self.purses[worker].give_back(KEY)
        if not lost:
            self.committed -= spare
            self.leases[worker] -= spare

    @rule(worker=st.integers(0, 2))
    def reconnect(self, worker: int) -> None:
        """The worker says what it holds; what was lost on the way is found again."""
        holding = self.purses[worker].get(KEY)
        assert holding is not None
        assert holding.leased <= self.leases[worker]
        self.committed -= self.leases[worker] - holding.leased
        self.leases[worker] = holding.leased

    @rule(worker=st.integers(0, 2))
    def kill(self, worker: int) -> None:
        """Its chain is accounted for by its last line; a new life begins with nothing."""
        self.charged += sum(call.reserved()[0].amount for call, _ in self.open[worker])
        self.committed += self._on_record(worker) - self.leases[worker]
        self.leases[worker] = 0
        self.purses[worker] = Purse()
        self.purses[worker].holding(BUDGET, FOREVER)
        self.open[worker], self.journal[worker] = [], []

    @invariant()
    def the_budget_holds(self) -> None:
        reserved = sum(call.reserved()[0].amount for calls in self.open for call, _ in calls)
        assert self.charged + reserved <= self.committed <= self.amount
        for worker in range(3):
            holding = self.purses[worker].get(KEY)
            assert holding is not None
            assert holding.held == self._on_record(worker)
            assert 0 <= holding.held <= holding.leased <= self.leases[worker]


TestLending = Lending.TestCase
TestLending.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_small_calls_can_spend_all_of_it(workers: int) -> None:
    """Calls of 1 against 1000, each worker in turn; when control has nothing left it calls in what others hold."""
    committed, purses, spent = 0, [Purse() for _ in range(workers)], 0
    for purse in purses:
        purse.holding(BUDGET, FOREVER)
    for turn in range(5000):
        purse = purses[turn % workers]
        found = purse.reserve([claim(1)])
        if isinstance(found, list):
            more = grant(1000, committed, 1, workers)
            if not more:
                committed -= sum(other.give_back(KEY) for other in purses)
                more = grant(1000, committed, 1, workers)
            committed += more
            purse.lend(KEY, more)
            if not more:
                break
            found = held(purse.reserve([claim(1)]))
        found.settle(1)
        spent += 1
    assert spent == 1000
