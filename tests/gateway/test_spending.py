"""Budgets in the worker, with a control that answers when the test says so."""

import msgspec
import pytest

from chatvault.access.budget import Budget
from chatvault.access.purse import Reservation
from chatvault.core.errors import BudgetExceeded, ChatVaultError, Unavailable
from chatvault.feed.messages import Balance, Balances, Borrow, CallIn, GaveBack, Lent, PeriodOver
from chatvault.gateway.spending import Spending, Waiter

DAY = 86_400_000_000
HARD = Budget(id="bud_1", scope="token", subject="tok_1", amount=10**12)
DAILY = Budget(id="bud_2", scope="project", subject="p", amount=5 * 10**11, per="day")
SOFT = Budget(id="bud_3", scope="user", subject="p/ada", amount=10**12, hard=False)
MODEL = Budget(id="bud_4", scope="model", subject="gpt-*", amount=10**12)
CALLS = Budget(id="tok_1/requests", scope="token", subject="tok_1", amount=2, unit="requests")


class Stage:
    def __init__(self) -> None:
        self.sent: list[msgspec.Struct] = []
        self.there = True
        self.now = 0.0
        self.spending = Spending(self._send, lambda: self.now)
        self.told: list[tuple[Reservation | None, ChatVaultError | None]] = []

    def _send(self, message: msgspec.Struct) -> bool:
        if self.there:
            self.sent.append(message)
        return self.there

    def heard(self) -> list[msgspec.Struct]:
        sent, self.sent = self.sent, []
        return sent

    def reserve(
        self, *budgets: Budget, bound: int | None = 100, model: str | None = "gpt-4o"
    ) -> Reservation | Waiter:
        claims = self.spending.claims(budgets, model, bound, None, DAY)
        return self.spending.reserve(claims, lambda found, error: self.told.append((found, error)))

    def funded(self, *budgets: Budget, bound: int | None = 100) -> Reservation:
        found = self.reserve(*budgets, bound=bound)
        assert isinstance(found, Reservation)
        return found


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_call_waits_for_its_first_lease_and_no_further_one_does(stage: Stage) -> None:
    assert isinstance(stage.reserve(HARD), Waiter)
    assert stage.heard() == [Borrow("bud_1", 0, 100)]
    stage.spending.lent(Lent("bud_1", 0, 1000))
    ((found, error),) = stage.told
    assert isinstance(found, Reservation)
    assert error is None
    for _ in range(4):
        stage.funded(HARD)
    assert stage.heard() == []
    stage.funded(HARD)
    assert stage.heard() == [Borrow("bud_1", 0, 600)], "more is asked for before it ends, once"
    stage.funded(HARD)
    assert stage.heard() == []


def test_a_no_tells_what_is_left_and_when_it_begins_anew(stage: Stage) -> None:
    stage.reserve(DAILY, bound=7 * 10**11)
    assert stage.heard() == [Borrow("bud_2", DAY, 7 * 10**11)]
    stage.spending.lent(Lent("bud_2", DAY, 0, left=2 * 10**11))
    ((found, error),) = stage.told
    assert found is None
    assert isinstance(error, BudgetExceeded)
    assert error.code == "budget_exceeded"
    assert error.message == (
        "The budget of $0.50 a day of its project (bud_2) does not suffice: this call may cost up to $0.70, and $0.20 is "
        "left beside what calls under way may cost. Ask for less output (max_tokens), or wait. It begins anew at "
        "1970-01-03T00:00:00Z."
    )
    assert error.retry_after == 1


def test_a_no_to_the_larger_is_none_to_the_smaller(stage: Stage) -> None:
    stage.reserve(HARD, bound=500)
    stage.reserve(HARD, bound=50)
    assert stage.heard() == [Borrow("bud_1", 0, 500)]
    stage.spending.lent(Lent("bud_1", 0, 0, left=60))
    assert [type(error) for _, error in stage.told] == [BudgetExceeded]
    assert stage.heard() == [Borrow("bud_1", 0, 50)]
    stage.spending.lent(Lent("bud_1", 0, 50))
    assert isinstance(stage.told[1][0], Reservation)


def test_all_who_wait_are_served_as_far_as_it_goes(stage: Stage) -> None:
    for _ in range(3):
        stage.reserve(HARD)
    stage.heard()
    stage.spending.lent(Lent("bud_1", 0, 200))
    assert [error for _, error in stage.told] == [None, None]
    assert stage.heard() == [Borrow("bud_1", 0, 100)]


def test_several_budgets_must_all_pay(stage: Stage) -> None:
    stage.reserve(HARD, DAILY, CALLS)
    assert stage.heard() == [
        Borrow("bud_1", 0, 100),
        Borrow("bud_2", DAY, 100),
        Borrow("tok_1/requests", 0, 1),
    ]
    stage.spending.lent(Lent("bud_1", 0, 100))
    stage.spending.lent(Lent("tok_1/requests", 0, 1))
    assert stage.told == []
    stage.spending.lent(Lent("bud_2", DAY, 100))
    ((found, _),) = stage.told
    assert found is not None
    assert [charge.amount for charge in found.settle(60)] == [60, 60, 1]


def test_if_one_cannot_pay_the_others_keep_theirs(stage: Stage) -> None:
    stage.reserve(HARD, CALLS)
    stage.spending.lent(Lent("bud_1", 0, 100))
    stage.spending.lent(Lent("tok_1/requests", 0, 0))
    ((_, error),) = stage.told
    assert error is not None
    assert error.message == "The budget of 2 calls in all of the token tok_1 is used up. Ask for a new token."
    stage.funded(HARD)


def test_budgets_of_models_pay_for_their_models(stage: Stage) -> None:
    assert [c.budget.id for c in stage.spending.claims([MODEL], "gpt-4o", 1, None, 0)] == ["bud_4"]
    assert stage.spending.claims([MODEL], "claude", 1, None, 0) == ()
    assert stage.spending.claims([MODEL], None, 1, None, 0) == ()


def test_what_has_no_bound_is_refused_by_hard_budgets_alone(stage: Stage) -> None:
    def amounts(budget: Budget, bound: int | None, usual: int | None) -> list[int]:
        return [claim.amount for claim in stage.spending.claims([budget], "m", bound, usual, 0)]

    with pytest.raises(BudgetExceeded, match="no known bound") as raised:
        amounts(HARD, None, 50)
    assert raised.value.code == "budget_unbounded"
    assert amounts(msgspec.structs.replace(HARD, allow_unbounded=True), None, 50) == [0]
    assert amounts(HARD, 100, 50) == [100]
    assert amounts(SOFT, 100, 50) == [50]
    assert amounts(SOFT, 40, 50) == [40]
    assert amounts(SOFT, None, 50) == [50]
    assert amounts(SOFT, 100, None) == [100]
    assert amounts(SOFT, None, None) == [0]


def test_calls_that_cost_nothing_need_no_control(stage: Stage) -> None:
    stage.there = False
    stage.funded(HARD, bound=0)


def test_without_control_what_is_leased_is_spent_and_the_rest_refused(stage: Stage) -> None:
    stage.reserve(HARD)
    stage.spending.lent(Lent("bud_1", 0, 300))
    stage.there = False
    stage.funded(HARD)
    stage.funded(HARD)
    with pytest.raises(Unavailable):
        stage.reserve(HARD)
    stage.there = True
    assert isinstance(stage.reserve(HARD), Waiter)
    stage.there = False
    stage.reserve(HARD)  # one is asked for, and may come
    stage.spending.lent(Lent("bud_1", 0, 100))
    assert [type(error) for _, error in stage.told[1:]] == [type(None), Unavailable]


def test_a_new_connection_says_what_is_held_and_asks_again(stage: Stage) -> None:
    stage.reserve(HARD)
    stage.spending.lent(Lent("bud_1", 0, 150))
    stage.reserve(HARD)
    stage.heard()
    stage.spending.begin()
    assert stage.heard() == [
        Balances((Balance("bud_1", 0, 150, 0, 100),), whole=True),
        Borrow("bud_1", 0, 50),
    ]


def test_it_is_given_back_when_others_need_it(stage: Stage) -> None:
    stage.reserve(HARD)
    stage.spending.lent(Lent("bud_1", 0, 150))
    stage.heard()
    stage.spending.call_in(CallIn("bud_1", 0))
    stage.spending.call_in(CallIn("bud_9", 0))
    assert stage.heard() == [GaveBack("bud_1", 0, 50), GaveBack("bud_9", 0, 0)]


def test_what_nobody_waits_for_any_more_is_given_back(stage: Stage) -> None:
    stage.spending.lent(Lent("bud_1", 0, 150))
    assert stage.heard() == [GaveBack("bud_1", 0, 150)]


def test_what_lies_idle_is_given_back(stage: Stage) -> None:
    stage.reserve(HARD)
    stage.spending.lent(Lent("bud_1", 0, 150))
    stage.heard()
    stage.now = 4.9
    stage.spending.tick(4.9, 0)
    assert stage.heard() == [Balances((Balance("bud_1", 0, 150, 0, 100),))]
    stage.spending.tick(5.1, 0)
    assert stage.heard() == [GaveBack("bud_1", 0, 50), Balances((Balance("bud_1", 0, 100, 0, 100),))]
    stage.spending.tick(6.1, 0)
    assert stage.heard() == []


def test_a_period_that_is_over_is_told_once_its_calls_have_ended(stage: Stage) -> None:
    stage.reserve(DAILY)
    stage.spending.lent(Lent("bud_2", DAY, 150))
    ((call, _),) = stage.told
    assert call is not None
    stage.spending.tick(0, 2 * DAY)
    assert PeriodOver not in map(type, stage.heard())
    call.settle(70)
    stage.spending.tick(1, 2 * DAY)
    assert stage.heard() == [PeriodOver("bud_2", DAY, 70)]


def test_the_next_period_has_a_budget_of_its_own(stage: Stage) -> None:
    stage.reserve(DAILY)
    claims = stage.spending.claims([DAILY], "m", 100, None, 2 * DAY)
    assert [claim.period.start for claim in claims] == [2 * DAY]
    assert [claim.period.start for claim in stage.spending.claims([DAILY], "m", 100, None, 2 * DAY - 1)] == [
        DAY
    ]


def test_a_lease_that_does_not_come_is_waited_for_no_longer_than_said(stage: Stage) -> None:
    stage.reserve(HARD)
    stage.spending.tick(5.0, 0)
    assert stage.told == []
    stage.spending.tick(5.1, 0)
    assert [type(error) for _, error in stage.told] == [Unavailable]
    stage.heard()
    stage.reserve(HARD)
    assert stage.heard() == [Borrow("bud_1", 0, 100)], "the next one asks again"
    stage.told.clear()
    stage.spending.lent(Lent("bud_1", 0, 100))
    assert [found is not None for found, _ in stage.told] == [True]


def test_a_client_that_has_left_gets_nothing(stage: Stage) -> None:
    waiter = stage.reserve(HARD)
    assert isinstance(waiter, Waiter)
    stage.spending.leave(waiter)
    stage.spending.lent(Lent("bud_1", 0, 100))
    assert stage.told == []
    held = stage.spending.balance(("bud_1", 0))
    assert held is not None
    assert held.spare == 100
