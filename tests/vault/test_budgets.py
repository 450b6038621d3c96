"""Budgets and leases on a real SQLite database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.access.budget import Budget
from chatvault.access.store import Ask, KeptBudget, Lease, LeaseStore, Spent
from chatvault.access.token import Token
from chatvault.vault.budgets import Budgets
from chatvault.vault.store import Vault, open_vault

KEY = ("bud_1", 0)


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with open_vault(tmp_path / "vault.db") as opened:
        yield opened


@pytest.fixture
async def budgets(vault: Vault) -> Budgets:
    await vault.budgets.add(kept("bud_1", amount=1000))
    return vault.budgets


def kept(
    budget_id: str, *, scope: str = "token", subject: str = "tok_1", amount: int = 1, **more: object
) -> KeptBudget:
    budget = Budget(id=budget_id, scope=scope, subject=subject, amount=amount, **more)  # type: ignore[arg-type]
    return KeptBudget(budget=budget, project=None if scope == "model" else "default", created_at=7)


async def committed(budgets: Budgets) -> int:
    (found,) = await budgets.spent(["bud_1"])
    return found.committed


async def test_a_budget_comes_back_as_it_was_kept(vault: Vault) -> None:
    full = kept(
        "bud_2", per="month", timezone="Europe/Zurich", hard=False, allow_unbounded=True, amount=9 * 10**18
    )
    await vault.budgets.add(full)
    assert await vault.budgets.get("bud_2") == full
    assert await vault.budgets.get("bud_9") is None


async def test_those_who_pay_are_the_subjects_and_every_model(vault: Vault) -> None:
    for each in (
        kept("bud_1"),
        kept("bud_2", scope="user", subject="default/ada"),
        kept("bud_3", scope="model", subject="gpt-*"),
        kept("bud_4", scope="token", subject="tok_9"),
        kept("bud_5", scope="project", subject="tok_1"),
    ):
        await vault.budgets.add(each)
    found = await vault.budgets.paying([("token", "tok_1"), ("user", "default/ada")])
    assert [budget.id for budget in found] == ["bud_1", "bud_2", "bud_3"]
    ended = await vault.budgets.get("bud_1")
    assert ended is not None
    await vault.budgets.change(KeptBudget(budget=ended.budget, project="default", created_at=7, ended_at=9))
    assert [budget.id for budget in await vault.budgets.paying([("token", "tok_1")])] == ["bud_3"]


async def test_pages_hold_each_budget_once_and_are_filtered(vault: Vault) -> None:
    for number in range(5):
        await vault.budgets.add(kept(f"bud_{number}", subject=f"tok_{number % 2}"))
    seen: list[str] = []
    while page := await vault.budgets.page(2, after=seen[-1] if seen else ""):
        seen += [each.budget.id for each in page]
    assert seen == [f"bud_{number}" for number in range(5)]
    assert [k.budget.id for k in await vault.budgets.page(9, subject=("token", "tok_1"))] == [
        "bud_1",
        "bud_3",
    ]
    assert await vault.budgets.page(9, project="other") == []


async def test_leases_are_committed_until_nothing_is_left(budgets: Budgets) -> None:
    store: LeaseStore = budgets
    given = await store.lend(
        [Ask(KEY, "worker0-a", 10), Ask(KEY, "worker1-b", 950), Ask(KEY, "worker1-b", 1)], 2
    )
    assert given == [50, 950, 0]
    assert await store.lend([Ask(("bud_9", 0), "worker0-a", 1)], 2) == [0]
    assert await store.leases() == [Lease("worker0-a", KEY, 50), Lease("worker1-b", KEY, 950)]
    await store.give_back("worker0-a", KEY, 40)
    assert await committed(budgets) == 960
    assert await store.lend([Ask(KEY, "worker1-b", 40)], 2) == [40]


async def test_an_ended_or_lowered_budget_lends_no_more(budgets: Budgets) -> None:
    assert await budgets.lend([Ask(KEY, "worker0-a", 600)], 1) == [600]
    await budgets.change(kept("bud_1", amount=500))
    assert await budgets.lend([Ask(KEY, "worker0-a", 1)], 1) == [0]
    await budgets.give_back("worker0-a", KEY, 200)
    assert await budgets.lend([Ask(KEY, "worker0-a", 1)], 1) == [25]
    assert await committed(budgets) == 425


async def test_the_requests_of_a_token_are_leased_like_money(vault: Vault) -> None:
    token = Token(id="tok_1", name="n", created_at=1, max_requests=3)
    await vault.add(token, bytes(32))
    key = ("tok_1/requests", 0)
    assert await vault.budgets.lend(
        [Ask(key, "worker0-a", 1), Ask(key, "worker1-b", 2), Ask(key, "x", 1)], 2
    ) == [1, 2, 0]


async def test_what_never_arrived_comes_back(budgets: Budgets) -> None:
    await budgets.lend([Ask(KEY, "worker0-a", 100), Ask(("bud_1", 5), "worker0-a", 10)], 1)
    await budgets.resync("worker0-a", {KEY: 30})
    assert await budgets.leases("worker0-a") == [
        Lease("worker0-a", KEY, 30),
        Lease("worker0-a", ("bud_1", 5), 0),
    ]
    assert [spent.committed for spent in await budgets.spent(["bud_1"])] == [30, 0]
    await budgets.resync("worker0-a", {KEY: 10**9})  # it cannot hold more than it was given
    assert await committed_of(budgets, KEY) == 30


async def committed_of(budgets: Budgets, key: tuple[str, int]) -> int:
    return next(spent.committed for spent in await budgets.spent([key[0]]) if spent.key == key)


async def test_a_chain_that_ended_is_accounted_for_once(budgets: Budgets) -> None:
    await budgets.lend([Ask(KEY, "worker0-a", 100), Ask(KEY, "worker1-b", 50)], 1)
    for _ in range(2):
        await budgets.account("worker0-a", {KEY: 70})
        assert await budgets.spent(["bud_1"]) == [Spent(KEY, 120, 70)]
    await budgets.account("worker1-b", {})
    assert await budgets.spent(["bud_1"]) == [Spent(KEY, 70, 70)]
    assert await budgets.leases() == []


async def test_a_chain_that_used_more_than_its_lease_is_charged_for_it(budgets: Budgets) -> None:
    await budgets.lend([Ask(KEY, "worker0-a", 100)], 1)
    await budgets.account("worker0-a", {KEY: 1400})
    assert await budgets.spent(["bud_1"]) == [Spent(KEY, 1400, 1400)]
    assert await budgets.lend([Ask(KEY, "worker0-b", 1)], 1) == [0]


async def test_a_period_that_is_over_keeps_what_was_used(budgets: Budgets) -> None:
    await budgets.lend([Ask(KEY, "worker0-a", 100), Ask(("bud_1", 5), "worker0-a", 10)], 1)
    await budgets.close_period("worker0-a", KEY, 60)
    assert await budgets.spent(["bud_1"]) == [Spent(KEY, 60, 60), Spent(("bud_1", 5), 50, 0)]


async def test_a_call_is_reconciled_once(budgets: Budgets) -> None:
    await budgets.lend([Ask(KEY, "worker0-a", 100)], 1)
    await budgets.account("worker0-a", {KEY: 100})
    assert await budgets.reconcile("call_1", 5, 30, {KEY: 70})
    assert not await budgets.reconcile("call_1", 6, 0, {KEY: 100})
    assert await budgets.spent(["bud_1"]) == [Spent(KEY, 30, 30)]


async def test_many_who_ask_at_once_get_no_more_than_there_is(budgets: Budgets) -> None:
    async def ask(worker: int) -> int:
        return sum([sum(await budgets.lend([Ask(KEY, f"worker{worker}-x", 7)], 8)) for _ in range(12)])

    given = await asyncio.gather(*(ask(worker) for worker in range(8)))
    assert sum(given) <= 1000
    assert await committed(budgets) == sum(given)
    assert sum(lease.amount for lease in await budgets.leases()) == sum(given)
