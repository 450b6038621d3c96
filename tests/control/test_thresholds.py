"""What is spent of budgets passes thresholds: on record once each, whatever is killed when. Real vault, real journal."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from chatvault.access.budget import Budget
from chatvault.access.store import Ask, KeptBudget, Spent
from chatvault.access.threshold import KeptEvent
from chatvault.access.token import Token
from chatvault.audit.events import on_record
from chatvault.audit.keeper import JournalKeeper
from chatvault.audit.lines import Event
from chatvault.audit.reader import ChainReader, chains
from chatvault.config.schema import AuditConfig
from chatvault.control.lender import Lender
from chatvault.control.outbox import Outbox
from chatvault.control.thresholds import Thresholds
from chatvault.core.clock import now_us
from chatvault.core.errors import JournalError, OperatorError
from chatvault.feed.messages import Balance, Balances
from chatvault.vault.budgets import Budgets
from chatvault.vault.database import Database, open_database
from chatvault.vault.events import Events
from chatvault.vault.store import Vault
from tests.audit.samples import aside
from tests.audit.test_recovery import die

KEY = ("bud_1", 0)
DAY = 86_400_000_000


class Killed(BaseException):
    """The process is gone here."""


class Store(Events):
    """Dies before or after what it is told."""

    def __init__(self, database: Database, dies: str) -> None:
        super().__init__(database)
        self.dies = dies
        self.asked = 0

    async def add(self, events: Sequence[KeptEvent], next_at: int | None) -> None:
        await super().add(events, next_at)
        if self.dies == "after the row":
            raise Killed

    async def unrecorded(self) -> list[KeptEvent]:
        self.asked += 1
        return await super().unrecorded()

    async def recorded(self, ids: Sequence[str], at_us: int) -> None:
        if self.dies == "before the mark":
            raise Killed
        await super().recorded(ids, at_us)
        if self.dies == "after the mark":
            raise Killed


class Keeper:
    """Control's journal, that dies after the first or the second line."""

    def __init__(self, real: JournalKeeper, dies: str) -> None:
        self.real, self.dies, self.lines = real, dies, 0
        self.full = False

    def event(self, line: Event) -> None:
        if self.full:
            raise JournalError("The disk is full. Make room.")
        self.real.event(line)
        self.lines += 1
        if self.dies == f"after line {self.lines}":
            raise Killed

    async def harden(self) -> None:
        await self.real.harden()
        if self.dies == "after the sync":
            raise Killed


class Borrower:
    def __init__(self, chain: str) -> None:
        self.chain = chain

    def send(self, data: bytes) -> None: ...


class Life:
    """Of control: what it does with thresholds."""

    def __init__(self, database: Database, real: JournalKeeper, dies: str) -> None:
        self.vault = Vault(database)
        self.store, self.keeper = Store(database, dies), Keeper(real, dies)
        self.lender = Lender()
        self.percents = [50, 80, 100]
        self.woken = 0
        self.sending = True
        outbox = Outbox(
            self.store,
            self.keeper,
            partial(on_record, real.writer.folder),
            lambda: self.sending,
            self._wake,
        )
        self.thresholds = Thresholds(self.vault.budgets, self.lender, outbox, lambda: self.percents, 0.02)

    def _wake(self) -> None:
        self.woken += 1

    def says(self, settled: int, key: tuple[str, int] = KEY, chain: str = "worker0-a") -> None:
        self.lender.told(Borrower(chain), Balances((Balance(*key, 10**6, settled, 0),)))

    async def look(self) -> None:
        await self.thresholds.look()


class Stage:
    def __init__(self, data: Path, database: Database) -> None:
        self.data, self.database = data, database

    @asynccontextmanager
    async def life(self, dies: str = "") -> AsyncIterator[Life]:
        real = await JournalKeeper.open(self.data, AuditConfig(reserve=4096), version="test")
        try:
            yield Life(self.database, real, dies)
        finally:
            aside(die, real.writer)

    def events(self) -> list[Event]:
        def read() -> list[Event]:
            found = []
            for chain in chains(self.data / "journal"):
                with ChainReader(self.data / "journal", chain, check=True) as reader:
                    found += [line for line, *_ in reader if isinstance(line, Event)]
            return found

        return aside(read)

    def passed(self) -> list[tuple[str, int]]:
        return sorted((event.subject, event.percent) for event in self.events())


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_database(tmp_path / "vault.db") as database:
        stage = Stage(tmp_path, database)
        await Vault(database).make_default_project()
        await Vault(database).budgets.add(kept("bud_1", 1000))
        yield stage


def kept(id: str, amount: int, ended_at: int | None = None) -> KeptBudget:
    budget = Budget(id=id, scope="project", subject="default", amount=amount)
    return KeptBudget(budget=budget, project="default", created_at=1, ended_at=ended_at)


async def use(stage: Stage, used: int, key: tuple[str, int] = KEY, chain: str = "worker9-dead") -> None:
    """A chain that has ended used so much."""
    budgets = Vault(stage.database).budgets
    assert await budgets.lend([Ask(key, chain, used)], 1) != [0]
    await budgets.account(chain, {key: used})


async def test_what_ended_chains_used_and_living_ones_settled_is_spent(stage: Stage) -> None:
    async with stage.life() as life:
        await use(stage, 300)
        life.says(100)
        life.says(99, chain="worker1-b")
        await life.look()
        assert stage.events() == []
        life.says(200)
        await life.look()
        await life.look()
    (event,) = stage.events()
    assert event.id == "budget/bud_1/0/50"
    assert (event.what, event.subject, event.start, event.unit) == ("budget.threshold", "bud_1", 0, "money")
    assert (event.percent, event.spent, event.amount) == (50, 599, 1000)


async def test_reservations_are_not_spent(stage: Stage) -> None:
    async with stage.life() as life:
        life.lender.told(Borrower("worker0-a"), Balances((Balance(*KEY, 1000, 10, 990),)))
        await life.look()
    assert stage.events() == []


async def test_each_threshold_of_each_period_is_passed_once(stage: Stage) -> None:
    async with stage.life() as life:
        await Vault(stage.database).budgets.lend([Ask(("bud_1", DAY), "worker0-a", 1)], 1)
        await Vault(stage.database).budgets.lend([Ask(KEY, "worker0-a", 1)], 1)
        for settled in (499, 850, 700, 900, 1001, 3000):
            life.says(settled)
            life.says(settled, ("bud_1", DAY))
            await life.look()
    assert sorted((event.start, event.percent) for event in stage.events()) == [
        (start, percent) for start in (0, DAY) for percent in (50, 80, 100)
    ]
    assert {event.spent for event in stage.events()} == {850, 1001}


@pytest.mark.parametrize(
    "dies",
    ["after the row", "after line 1", "after line 2", "after the sync", "before the mark", "after the mark"],
)
async def test_killed_between_any_two_steps_each_is_on_record_exactly_once(stage: Stage, dies: str) -> None:
    await use(stage, 850)
    async with stage.life(dies) as life:
        with pytest.raises(Killed):
            await life.look()
    for _ in range(2):
        async with stage.life() as life:
            await life.look()
            await life.look()
            assert await life.store.unrecorded() == []
            assert len(await life.store.due(now_us(), 10)) == 2, "and each is to be sent"
    assert stage.passed() == [("bud_1", 50), ("bud_1", 80)]


async def test_a_torn_line_is_written_again(stage: Stage) -> None:
    await use(stage, 600)
    async with stage.life("after line 1") as life:
        with pytest.raises(Killed):
            await life.look()
        writer = life.keeper.real.writer
        path = writer.folder / f"{writer.chain}.000001.jsonl"
    aside(lambda: path.write_bytes(path.read_bytes()[:-40]))
    async with stage.life() as life:
        await life.look()
        assert stage.passed() == [("bud_1", 50)]


async def test_while_the_journal_is_full_it_waits_and_nothing_is_sent(stage: Stage) -> None:
    await use(stage, 600)
    async with stage.life() as life:
        life.keeper.full = True
        for _ in range(2):
            with pytest.raises(JournalError):
                await life.look()
        assert (life.woken, await life.store.due(now_us(), 10), stage.events()) == (0, [], [])
        life.keeper.full = False
        await life.look()
        assert (life.woken, stage.passed()) == (1, [("bud_1", 50)])


async def test_it_costs_nothing_where_nothing_has_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.life() as life:
        life.says(600)
        await life.look()
        asked = life.store.asked

        async def never(*_: object) -> None:
            raise AssertionError("the store was asked")

        monkeypatch.setattr(life.vault.budgets, "levels", never)
        monkeypatch.setattr(life.vault.budgets, "high_levels", never)
        for _ in range(3):
            life.lender.told(Borrower("worker0-a"), Balances((Balance(*KEY, 10**6, 600, 77),)))
            await life.look()
        assert life.store.asked == asked


async def test_what_was_not_looked_at_since_the_store_failed_is_looked_at_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Vault(stage.database).budgets.lend([Ask(KEY, "worker0-a", 1)], 1)
    async with stage.life() as life:
        await life.look()
        life.says(600)

        async def fails(*_: object) -> None:
            raise OperatorError("It is locked.", code="vault_locked")

        with monkeypatch.context() as patch:
            patch.setattr(life.vault.budgets, "levels", fails)
            with pytest.raises(OperatorError):
                await life.look()
        await life.look()
    assert stage.passed() == [("bud_1", 50)]


async def test_budgets_of_requests_have_thresholds_too(stage: Stage) -> None:
    key = ("tok_1/requests", 0)
    token = Token(id="tok_1", name="n", created_at=1, max_requests=4)
    await Vault(stage.database).add(token, bytes(32))
    await use(stage, 2, key)
    async with stage.life() as life:
        await life.look()
        life.says(2, key)
        await life.look()
    assert [(event.subject, event.percent, event.spent, event.unit) for event in stage.events()] == [
        ("tok_1/requests", 50, 2, "requests"),
        ("tok_1/requests", 80, 4, "requests"),
        ("tok_1/requests", 100, 4, "requests"),
    ]


async def test_a_start_looks_at_all_and_so_do_new_thresholds_and_a_lower_amount(stage: Stage) -> None:
    await use(stage, 450)
    for id, amount in (("bud_2", 100), ("bud_3", 100)):
        await Vault(stage.database).budgets.add(kept(id, amount))
    await use(stage, 90, ("bud_2", 0))
    await use(stage, 90, ("bud_3", DAY), "worker8-dead")
    async with stage.life() as life:
        await life.look()
        assert stage.passed() == [("bud_2", 50), ("bud_2", 80)], "1970 is long over"
        life.percents = [40]
        await life.look()
        assert stage.passed() == [("bud_1", 40), ("bud_2", 40), ("bud_2", 50), ("bud_2", 80)]
        life.percents = [100]
        await life.look()
        await life.vault.budgets.change(kept("bud_1", 400))
        life.lender.look_at([KEY])
        await life.look()
    assert ("bud_1", 100) in stage.passed()


async def test_a_budget_that_has_ended_passes_nothing(stage: Stage) -> None:
    await use(stage, 900)
    await Vault(stage.database).budgets.change(kept("bud_1", 1000, ended_at=5))
    async with stage.life() as life:
        await life.look()
    assert stage.events() == []


async def test_without_thresholds_nothing_is_looked_at_and_without_a_webhook_nothing_sent(
    stage: Stage,
) -> None:
    await use(stage, 900)
    async with stage.life() as life:
        life.percents, life.sending = [], False
        await life.look()
        assert stage.events() == []
        life.percents = [50]
        await life.look()
        assert stage.passed() == [("bud_1", 50)]
        assert await life.store.due(now_us(), 10) == []


async def test_a_life_is_never_counted_twice_while_it_is_accounted_for(stage: Stage) -> None:
    """It goes from what workers say into the store; whoever looks in between waits."""
    await Vault(stage.database).budgets.lend([Ask(KEY, "worker0-a", 300)], 1)
    async with stage.life() as life:
        life.says(300)
        await life.look()
        booked, go_on = asyncio.Event(), asyncio.Event()

        class Slow(Budgets):
            async def account(self, chain: str, held: Mapping[tuple[str, int], int]) -> None:
                await super().account(chain, held)
                booked.set()
                await go_on.wait()

        loop = asyncio.get_running_loop()
        store = Slow(stage.database)
        accounting = loop.create_task(life.lender.account(store, "worker0-a", {KEY: 300}))
        await booked.wait()
        life.lender.look_at([KEY])
        looking = loop.create_task(life.look())
        await asyncio.sleep(0.1)
        assert not looking.done()
        go_on.set()
        await asyncio.gather(accounting, looking)
        assert life.lender.settled([KEY]) == {KEY: 0}
        assert await life.vault.budgets.spent(["bud_1"]) == [Spent(KEY, 300, 300)]
    assert stage.events() == []


async def test_it_goes_on_for_ever_and_says_once_what_is_wrong(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage.life() as life:
        life.keeper.full = True
        running = asyncio.get_running_loop().create_task(life.thresholds.run())
        life.says(900)
        await Vault(stage.database).budgets.lend([Ask(KEY, "worker0-a", 1)], 1)
        life.lender.look_at([KEY])
        async with asyncio.timeout(5):
            while not caplog.records:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            life.keeper.full = False
            while not stage.events():
                await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert [record.message.count("disk is full") for record in caplog.records] == [1]
