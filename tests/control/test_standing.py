"""How a budget stands: every lease and charge is somewhere, whoever lives."""

from hypothesis import given
from hypothesis import strategies as st

from chatvault.access.budget import FOREVER, Budget
from chatvault.access.store import Lease, Spent
from chatvault.control.standing import Out, Standing
from chatvault.feed.messages import Balance

KEY = ("bud_1", 0)
BUDGET = Budget(id="bud_1", scope="token", subject="tok_1", amount=1000)


def standing(out: Out) -> tuple[int, int, int, int]:
    found = out.standing(BUDGET, FOREVER)
    assert found == Standing(FOREVER, found.settled, found.reserved, found.leased, found.left)
    return found.settled, found.reserved, found.leased, found.left


def test_a_living_worker_says_what_it_has() -> None:
    balances = {("a", KEY): Balance(*KEY, 100, 30, 20)}
    assert standing(Out([Spent(KEY, 140, 40)], [Lease("a", KEY, 100)], balances, {"a"})) == (70, 20, 50, 860)


def test_all_that_a_dead_worker_was_lent_counts_as_reserved_but_for_what_it_had_settled() -> None:
    balances = {("a", KEY): Balance(*KEY, 100, 30, 20)}
    lent = [Lease("a", KEY, 100), Lease("unheard", KEY, 50)]
    assert standing(Out([Spent(KEY, 190, 40)], lent, balances, set())) == (70, 120, 0, 810)


def test_what_was_reconciled_of_a_worker_nobody_hears_of_is_taken_from_what_counts_as_reserved() -> None:
    assert standing(Out([Spent(KEY, 70, -30)], [Lease("a", KEY, 100)], {}, set())) == (0, 70, 0, 930)


def test_a_budget_that_nobody_used_is_left_whole() -> None:
    assert standing(Out([], [], {}, set())) == (0, 0, 0, 1000)


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.booleans(), st.booleans())
    ),
    st.integers(-40, 100),
)
def test_the_parts_are_the_whole(lives: list[tuple[int, int, int, bool, bool]], used: int) -> None:
    """Settled, reserved and leased together are what is committed; with what is left, the amount."""
    lent, balances, living = [], {}, set()
    for number, (settled, reserved, spare, lives_on, heard) in enumerate(lives):
        chain = str(number)
        lent.append(Lease(chain, KEY, settled + reserved + spare))
        if lives_on or heard:
            balances[chain, KEY] = Balance(*KEY, settled + reserved + spare, settled, reserved)
        if lives_on:
            living.add(chain)
    used = max(used, -sum(lease.amount for lease in lent))
    committed = used + sum(lease.amount for lease in lent)
    settled, reserved, leased, left = standing(Out([Spent(KEY, committed, used)], lent, balances, living))
    assert min(settled, reserved, leased, left) >= 0
    if used + sum(balance.settled for balance in balances.values()) >= 0:
        assert settled + reserved + leased == committed
    assert left == max(1000 - committed, 0)
