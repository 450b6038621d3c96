"""Budgets are lent, called in and accounted for: a real vault, real chains; workers reduced to what they say."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from chatvault.access.budget import Budget
from chatvault.access.purse import Key
from chatvault.access.store import Ask, KeptBudget, Lease, Spent
from chatvault.audit.writer import ChainWriter
from chatvault.control.accounts import Accounts
from chatvault.control.lender import Lender
from chatvault.core.charge import Charge
from chatvault.core.errors import JournalError, OperatorError
from chatvault.feed.frames import Frames
from chatvault.feed.messages import (
    Balance,
    Balances,
    Borrow,
    CallIn,
    GaveBack,
    Lending,
    Lent,
    PeriodOver,
    ToWorker,
)
from chatvault.vault.budgets import Budgets
from chatvault.vault.store import open_vault
from tests.audit.samples import aside, open_writer, opened

KEY = ("bud_1", 0)


class Worker:
    """A life of a worker. `keeps`: it gives nothing back when it is called in."""

    def __init__(self, stage: "Stage", chain: str, *, spare: int = 0, keeps: bool = False) -> None:
        self.chain = chain
        self.stage = stage
        self.spare = spare
        self.keeps = keeps
        self.heard: asyncio.Queue[ToWorker] = asyncio.Queue()
        self.frames: Frames[ToWorker] = Frames(msgspec.json.Decoder(ToWorker))

    def send(self, data: bytes) -> None:
        for message in self.frames.feed(data):
            if isinstance(message, CallIn) and not self.keeps:
                amount, self.spare = self.spare, 0
                self.say(GaveBack(message.budget, message.start, amount))
            else:
                self.heard.put_nowait(message)

    def say(self, message: Lending) -> None:
        self.stage.lender.told(self, message)

    async def borrow(self, need: int, key: Key = KEY) -> int:
        self.say(Borrow(*key, need))
        return await self.lent()

    async def lent(self) -> int:
        answer = await asyncio.wait_for(self.heard.get(), 3)
        assert isinstance(answer, Lent)
        return answer.amount


class Stage:
    def __init__(self, budgets: Budgets, folder: Path) -> None:
        self.lender = Lender(patience=0.05)
        self.budgets = budgets
        self.folder = folder
        self.accounts = Accounts(folder / "journal", budgets, self.lender)

    def worker(self, chain: str, *, spare: int = 0, keeps: bool = False) -> Worker:
        worker = Worker(self, chain, spare=spare, keeps=keeps)
        self.lender.joined(worker)
        return worker

    async def committed(self) -> int:
        return sum(spent.committed for spent in await self.budgets.spent(["bud_1"]))

    async def settled_down(self) -> None:
        """Everything that was said has been taken in."""
        probe = self.worker("probe")
        assert await probe.borrow(1, ("nothing", 0)) == 0
        self.lender.lost(probe)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_vault(tmp_path / "vault.db") as vault:
        budget = Budget(id="bud_1", scope="token", subject="tok_1", amount=1000)
        await vault.budgets.add(KeptBudget(budget=budget, project="default", created_at=1))
        stage = Stage(vault.budgets, tmp_path)
        task = asyncio.get_running_loop().create_task(stage.lender.run(vault.budgets, stage.accounts.settle))
        try:
            yield stage
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_what_is_lent_is_booked_first(stage: Stage) -> None:
    worker = stage.worker("worker0-a")
    assert await worker.borrow(10) == 50
    assert await stage.budgets.leases() == [Lease("worker0-a", KEY, 50)]
    assert await worker.borrow(1000) == 0
    assert await stage.committed() == 50


async def test_what_is_given_back_can_be_lent_again(stage: Stage) -> None:
    worker = stage.worker("worker0-a")
    assert await worker.borrow(1000) == 1000
    worker.say(GaveBack(*KEY, 400))
    assert await stage.worker("worker1-b").borrow(300) == 300


async def test_others_are_asked_for_what_they_do_not_need(stage: Stage) -> None:
    first, second = stage.worker("worker0-a", spare=700), stage.worker("worker1-b")
    assert await first.borrow(1000) == 1000
    assert await second.borrow(600) == 600
    assert await stage.budgets.leases() == [Lease("worker0-a", KEY, 300), Lease("worker1-b", KEY, 600)]


async def test_a_worker_that_does_not_answer_holds_nobody_up(stage: Stage) -> None:
    first, second = stage.worker("worker0-a", keeps=True), stage.worker("worker1-b")
    assert await first.borrow(1000) == 1000
    assert await second.borrow(1) == 0


async def test_a_no_is_remembered_until_something_comes_back(stage: Stage) -> None:
    first, second = stage.worker("worker0-a", keeps=True), stage.worker("worker1-b")
    assert await first.borrow(1000) == 1000
    assert await second.borrow(5) == 0
    asked = first.heard.qsize()
    for _ in range(20):
        assert await second.borrow(5) == 0
    assert first.heard.qsize() == asked == 1
    first.say(GaveBack(*KEY, 5))
    assert await second.borrow(5) == 5


async def test_many_wait_for_the_same_budget(stage: Stage) -> None:
    first, others = stage.worker("worker0-a", spare=600), [stage.worker(f"worker{n}-x") for n in range(1, 5)]
    assert await first.borrow(1000) == 1000
    given = await asyncio.gather(*(other.borrow(250) for other in others))
    assert sorted(given) == [0, 0, 250, 250]


async def test_a_worker_that_connects_again_says_what_it_holds(stage: Stage) -> None:
    worker = stage.worker("worker0-a")
    assert await worker.borrow(100) == 100
    stage.lender.lost(worker)
    worker = stage.worker("worker0-a")
    worker.say(Balances((Balance(*KEY, 40, 30, 5),), whole=True))
    await stage.settled_down()
    assert await stage.budgets.leases() == [Lease("worker0-a", KEY, 40)]
    assert await stage.committed() == 40
    assert stage.lender.balances() == {("worker0-a", KEY): Balance(*KEY, 40, 30, 5)}
    worker.say(Balances((Balance(*KEY, 40, 35, 0),)))
    assert stage.lender.balances() == {("worker0-a", KEY): Balance(*KEY, 40, 35, 0)}


async def test_who_is_gone_is_lent_nothing(stage: Stage) -> None:
    first, second = stage.worker("worker0-a", keeps=True), stage.worker("worker1-b")
    assert await first.borrow(1000) == 1000
    second.say(Borrow(*KEY, 400))
    stage.lender.lost(second)
    first.say(GaveBack(*KEY, 1000))
    await stage.settled_down()
    assert await stage.committed() == 0


async def test_a_period_that_is_over_keeps_what_was_used(stage: Stage) -> None:
    worker = stage.worker("worker0-a")
    await worker.borrow(100)
    worker.say(PeriodOver(*KEY, 60))
    await stage.settled_down()
    assert await stage.budgets.spent(["bud_1"]) == [Spent(KEY, 60, 60)]


async def test_a_lowered_budget_is_called_in(stage: Stage) -> None:
    worker, other = stage.worker("worker0-a", spare=90), stage.worker("worker1-b")
    await worker.borrow(100)
    stage.lender.call_in("bud_1")
    await stage.settled_down()
    await stage.settled_down()
    assert await stage.committed() == 10
    assert other.heard.empty()


async def test_nothing_is_lent_while_the_vault_cannot_be_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatvault.control.lender._RETRY", 0.02)
    lend, failed = stage.budgets.lend, 0

    async def locked(asks: list[Ask], workers: int) -> list[int]:
        nonlocal failed
        failed += 1
        if failed < 3:
            raise OperatorError("The vault is locked.")
        return await lend(asks, workers)

    monkeypatch.setattr(stage.budgets, "lend", locked)
    assert await stage.worker("worker0-a").borrow(10) == 50
    assert failed == 3


# --- chains that have ended


def dies(writer: ChainWriter) -> None:
    os.close(writer._file)
    os.close(writer._lock)


def spends(writer: ChainWriter, held: int) -> None:
    line = opened()
    line.budgets = (Charge(*KEY, held, held),)
    writer.append(line)


async def test_a_dead_chain_keeps_what_it_held_and_the_rest_can_be_lent(stage: Stage) -> None:
    writer = aside(open_writer, stage.folder)
    dead = stage.worker(writer.chain, keeps=True)
    assert await dead.borrow(1000) == 1000
    dead.say(Balances((Balance(*KEY, 1000, 0, 100),)))
    aside(spends, writer, 100)
    living = stage.worker("worker1-b")
    assert await living.borrow(900) == 0
    stage.lender.lost(dead)
    aside(dies, writer)
    assert await living.borrow(899) == 899
    assert await stage.budgets.spent(["bud_1"]) == [Spent(KEY, 999, 100)]
    assert stage.lender.balances() == {}
    assert await stage.accounts.settle() is False


async def test_what_a_dead_worker_said_last_counts_no_more_once_it_is_accounted_for(stage: Stage) -> None:
    """Its socket may be read after its lock was taken."""
    writer = aside(open_writer, stage.folder)
    dead = stage.worker(writer.chain)
    assert await dead.borrow(1000) == 1000
    aside(spends, writer, 100)
    aside(dies, writer)
    assert await stage.accounts.settle() is True
    dead.say(Balances((Balance(*KEY, 1000, 100, 0),)))
    dead.say(Borrow(*KEY, 10))
    dead.say(PeriodOver(*KEY, 100))
    await stage.settled_down()
    assert stage.lender.balances() == {}
    assert stage.lender.settled([KEY]) == {KEY: 0}
    assert await stage.accounts.settle() is False, "it was lent nothing more"
    assert await stage.budgets.spent(["bud_1"]) == [Spent(KEY, 100, 100)]


async def test_an_ask_that_waited_while_its_worker_was_accounted_for_is_lent_nothing(stage: Stage) -> None:
    writer = aside(open_writer, stage.folder)
    dead = stage.worker(writer.chain)
    await dead.borrow(10)
    aside(dies, writer)
    async with stage.lender.still:
        dead.say(Borrow(*KEY, 10))
        settling = asyncio.get_running_loop().create_task(stage.accounts.settle())
        await asyncio.sleep(0.1)
    assert await settling is True
    await stage.settled_down()
    while await stage.accounts.settle():
        pass
    assert await stage.budgets.spent(["bud_1"]) == [Spent(KEY, 0, 0)]


async def test_only_what_is_spent_otherwise_than_before_has_changed(stage: Stage) -> None:
    worker = stage.worker("worker0-a")
    worker.say(Balances((Balance(*KEY, 100, 10, 5), Balance("bud_2", 7, 1, 0, 1))))
    assert stage.lender.changed() == {KEY, ("bud_2", 7)}
    worker.say(Balances((Balance(*KEY, 200, 10, 50), Balance("bud_2", 7, 1, 1, 0))))
    assert stage.lender.changed() == {("bud_2", 7)}
    assert stage.lender.changed() == set()
    worker.say(PeriodOver("bud_2", 7, 1))
    await stage.settled_down()
    assert stage.lender.changed() == {("bud_2", 7)}
    stage.worker("worker1-b").say(Balances((Balance(*KEY, 5, 3, 0),)))
    assert stage.lender.settled([KEY, ("bud_9", 0)]) == {KEY: 13, ("bud_9", 0): 0}


async def test_a_chain_of_another_host_is_left_alone(stage: Stage) -> None:
    await stage.worker("worker0-elsewhere").borrow(100)
    assert await stage.accounts.settle() is False
    assert await stage.committed() == 100


async def test_a_chain_that_cannot_be_read_keeps_its_lease(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    await stage.worker("worker0-a", keeps=True).borrow(1000)
    monkeypatch.setattr("chatvault.control.accounts.dead_chain_holds", unreadable)
    with pytest.raises(JournalError, match="stays reserved"):
        await stage.accounts.settle()
    assert await stage.worker("worker1-b").borrow(1) == 0
    assert await stage.committed() == 1000
