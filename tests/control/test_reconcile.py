"""What a call really cost is told later: its budgets get the difference, once. Real vault, ledger, journal and HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatvault.access.budget import Budget
from chatvault.access.store import Ask, KeptBudget
from chatvault.audit.lines import Closed
from chatvault.audit.recovery import Recovery
from chatvault.audit.writer import ChainWriter
from chatvault.core.charge import Charge
from chatvault.feed.messages import Balance, Balances
from chatvault.ledger.batch import Batch, Entry
from chatvault.ledger.place import ledger_place
from chatvault.ledger.store import Ledger
from chatvault.vault.store import open_vault
from tests.audit.samples import aside, closed, open_writer, opened
from tests.audit.test_recovery import die
from tests.control.plane import Plane, open_plane
from tests.control.worker import connected

MILLI = 10**9
"""Pico-dollars in a thousandth of a dollar."""
KEY = ("bud_1", 0)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        await add_budget(opened, "bud_1", 1000 * MILLI)
        yield opened


async def add_budget(plane: Plane, id: str, amount: int) -> None:
    budget = Budget(id=id, scope="project", subject="default", amount=amount)
    await plane.vault.budgets.add(KeptBudget(budget=budget, project="default", created_at=1))


def unknown(id: str, *charges: Charge, **more: Any) -> Closed:
    line = closed(id)
    line.cost, line.cost_source, line.state = None, "unknown", "client_gone"
    line.budgets = charges
    for name, value in more.items():
        setattr(line, name, value)
    return line


def put(data: Path, writer: ChainWriter, *lines: Closed) -> None:
    """Into the chain, and what the recorder makes of it."""
    for line in lines:
        writer.append(line)
    ledger = Ledger.open(ledger_place(data))
    ledger.apply(Batch([Entry(writer.chain, line) for line in lines], [], [], len(lines), 100))
    ledger.close()


async def told(plane: Plane, id: str, cost: object, status: int = 200) -> Any:
    answer = await plane.http.post(f"/manage/calls/{id}/reconcile", json={"cost": cost})
    assert answer.status_code == status, answer.text
    return answer.json()


async def shown(plane: Plane) -> tuple[str, str, str, str]:
    found = (await plane.http.get("/manage/budgets/bud_1")).json()
    return found["settled"], found["reserved"], found["leased"], found["left"]


async def test_a_call_of_unknown_cost_gets_its_real_one_once(plane: Plane) -> None:
    writer = aside(open_writer, plane.data)
    charges = Charge(*KEY, 100 * MILLI, 100 * MILLI), Charge("tok_1/requests", 0, 1, 1)
    aside(put, plane.data, writer, unknown("call-1", *charges))
    await plane.vault.budgets.lend([Ask(KEY, writer.chain, 100 * MILLI)], 1)
    await plane.vault.budgets.account(writer.chain, {KEY: 100 * MILLI})
    assert await shown(plane) == ("0.10", "0.00", "0.00", "0.90")
    assert await told(plane, "call-1", "0.0012") == {
        "call_id": "call-1",
        "cost": "0.0012",
        "budgets": [{"budget_id": "bud_1", "charged": "0.10", "returned": "0.0988"}],
    }
    assert await shown(plane) == ("0.0012", "0.00", "0.00", "0.9988")
    assert plane.lender.changed() == {KEY}, "thresholds are looked at again"
    assert (await told(plane, "call-1", "0.5", 409))["error"]["code"] == "already_reconciled"
    assert await shown(plane) == ("0.0012", "0.00", "0.00", "0.9988")
    ((who, what, subject, before, after),) = plane.journal.lines
    assert (who, what, subject) == ("environment", "call.reconcile", "call-1")
    assert (before, after) == ({"cost_source": "unknown", "cost": None}, {"cost": 1_200_000_000})
    row = (await plane.http.get("/usage/call-1")).json()
    assert (row["cost"], row["cost_source"]) == (None, "unknown"), "what is on record stays"


async def test_a_call_that_was_dearer_is_charged_the_rest(plane: Plane) -> None:
    writer = aside(open_writer, plane.data)
    aside(put, plane.data, writer, unknown("call-1", Charge(*KEY, 0, 0)))
    done = await told(plane, "call-1", 2)
    assert done["budgets"] == [{"budget_id": "bud_1", "charged": "0.00", "returned": "-2.00"}]
    assert await shown(plane) == ("2.00", "0.00", "0.00", "0.00")


async def test_a_call_of_a_worker_that_lives_is_booked_as_any_other(plane: Plane) -> None:
    writer = aside(open_writer, plane.data)
    aside(put, plane.data, writer, unknown("call-1", Charge(*KEY, 100 * MILLI, 100 * MILLI)))
    await plane.vault.budgets.lend([Ask(KEY, "chain_0", 200 * MILLI)], 1)
    async with connected(plane.feed_path) as worker:
        await worker.next()
        worker.say(Balances((Balance(*KEY, 200 * MILLI, 100 * MILLI, 0),)))
        await worker.look_up(bytes(32))
        assert await shown(plane) == ("0.10", "0.00", "0.10", "0.80")
        await told(plane, "call-1", "0.01")
        assert await shown(plane) == ("0.01", "0.00", "0.10", "0.89")
    await plane.lender.account(plane.vault.budgets, "chain_0", {KEY: 100 * MILLI})
    assert await shown(plane) == ("0.01", "0.00", "0.00", "0.99")


async def test_a_call_that_was_interrupted_is_booked_before_and_after_its_chain_is_accounted_for(
    plane: Plane,
) -> None:
    worker, control = aside(open_writer, plane.data), aside(open_writer, plane.data, "control")

    def interrupt() -> None:
        for id, held in (("a", 100), ("b", 300)):
            line = opened(id)
            line.budgets = (Charge(*KEY, held // (1 if id == "a" else 3) * 2 * MILLI, held * MILLI),)
            worker.append(line)
        die(worker)
        recovery = Recovery(control.folder, control.chain)
        recovery.look()
        put(plane.data, control, *(found.closed for found in recovery.dead[0].interrupted))
        recovery.release()

    await plane.vault.budgets.lend([Ask(KEY, worker.chain, 400 * MILLI)], 1)
    aside(interrupt)
    await told(plane, "a", "0.05")
    assert await shown(plane) == ("0.00", "0.25", "0.00", "0.75"), "a dead worker's lease is reserved"
    await plane.lender.account(plane.vault.budgets, worker.chain, {KEY: 300 * MILLI})
    assert await shown(plane) == ("0.15", "0.00", "0.00", "0.85")
    await told(plane, "b", "0.05")
    assert await shown(plane) == ("0.00", "0.00", "0.00", "1.00")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"cost": 5, "cost_source": "prices"}, 409, "cost_known"),
        ({"cost": 5, "cost_source": "provider"}, 409, "cost_known"),
        ({"cost": 0, "cost_source": "free"}, 409, "cost_known"),
        ({"cost": 5, "cost_source": "estimated"}, 200, None),
        ({"cost": 5, "cost_source": "counted"}, 200, None),
    ],
)
async def test_only_a_cost_that_is_not_known_can_be_told(
    plane: Plane, changes: dict[str, object], status: int, code: str | None
) -> None:
    writer = aside(open_writer, plane.data)
    aside(put, plane.data, writer, unknown("call-1", Charge(*KEY, 7, 7), **changes))
    answer = await told(plane, "call-1", "0.1", status)
    assert answer.get("error", {}).get("code") == code
    assert len(plane.journal.lines) == (1 if code is None else 0)


async def test_what_cannot_be_booked_is_refused_and_says_why(plane: Plane) -> None:
    aside(lambda: Ledger.open(ledger_place(plane.data)).close())
    assert (await told(plane, "nobody", "1", 404))["error"]["code"] == "call_not_found"
    writer = aside(open_writer, plane.data)
    aside(put, plane.data, writer, unknown("call-1", Charge(*KEY, 7, 7)), unknown("call-2"))
    for wrong in ("-1", "x", "0.0000000000001", 0.5, None):
        assert (await told(plane, "call-1", wrong, 400))["error"]["param"].startswith("cost")
    assert (await told(plane, "call-2", "1"))["budgets"] == []
    aside((writer.folder / f"{writer.chain}.000001.jsonl").unlink)
    assert (await told(plane, "call-1", "1", 409))["error"]["code"] == "call_line_missing"
    plane.journal.full = True
    aside(put, plane.data, aside(open_writer, plane.data, "worker1"), unknown("call-3", Charge(*KEY, 7, 7)))
    assert (await told(plane, "call-3", "1", 503))["error"]["code"] == "journal_unavailable"
    assert await shown(plane) == ("0.00", "0.00", "0.00", "1.00")


async def test_of_two_at_a_time_one_is_booked(plane: Plane) -> None:
    writer = aside(open_writer, plane.data)
    aside(put, plane.data, writer, unknown("call-1", Charge(*KEY, 500 * MILLI, 500 * MILLI)))
    answers = await asyncio.gather(
        *(plane.http.post("/manage/calls/call-1/reconcile", json={"cost": "0.1"}) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    (spent,) = await plane.vault.budgets.spent(["bud_1"])
    assert spent.used == -400 * MILLI


# --- whatever happens in whatever order

Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lend", "call", "give back", "tell", "die", "over"]),
        st.integers(0, 2),
        st.integers(0, 60),
    ),
    max_size=25,
)


class Model:
    """Three lives of workers, in plain numbers."""

    def __init__(self) -> None:
        self.leased = [0, 0, 0]
        self.settled = [0, 0, 0]
        self.ended = [False, False, False]
        self.used = 0
        self.told = 0
        """What reconciled calls cost, less what they were charged."""
        self.calls: list[int] = []

    @property
    def committed(self) -> int:
        return self.used + self.told + sum(self.leased)

    @property
    def spent(self) -> int:
        return self.used + self.told + sum(self.settled)


@given(STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_committed_used_and_settled_agree_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    asyncio.run(run(tmp_path_factory.mktemp("vault"), steps))


async def run(data: Path, steps: list[Step]) -> None:
    async with open_vault(data / "vault.db") as vault:
        budget = Budget(id="bud_1", scope="project", subject="default", amount=1000)
        await vault.budgets.add(KeptBudget(budget=budget, project="default", created_at=1))
        model = Model()
        for number, (what, life, amount) in enumerate(steps):
            chain = f"worker{life}"
            await step(vault.budgets, model, (what, life, amount), chain, f"call-{number}")
            found = await vault.budgets.spent(["bud_1"])
            committed, used = (found[0].committed, found[0].used) if found else (0, 0)
            assert committed == model.committed
            assert used == model.used + model.told
            assert used + sum(model.settled) == model.spent
            assert committed == used + sum(lease.amount for lease in await vault.budgets.leases())
            assert await vault.budgets.left(KEY) == max(1000 - committed, 0)


async def step(store: Any, model: Model, what: Step, chain: str, id: str) -> None:
    kind, life, amount = what
    match kind:
        case "lend" if not model.ended[life]:
            (given,) = await store.lend([Ask(KEY, chain, amount)], 3)
            model.leased[life] += given
        case "call" if model.leased[life] - model.settled[life] >= amount:
            model.settled[life] += amount
            model.calls.append(amount)
        case "give back":
            spare = min(amount, model.leased[life] - model.settled[life])
            await store.give_back(chain, KEY, spare)
            model.leased[life] -= spare
        case "tell" if model.calls:
            charged = model.calls.pop()
            assert await store.reconcile(id, 1, amount, {KEY: charged - amount})
            assert not await store.reconcile(id, 2, amount + 1, {KEY: charged})
            assert await store.reconciled(id) == amount
            model.told += amount - charged
        case "die" | "over" if model.leased[life]:
            settled = model.settled[life]
            if kind == "die":
                await store.account(chain, {KEY: settled})
                await store.account(chain, {KEY: settled})
            else:
                await store.close_period(chain, KEY, settled)
            model.used += settled
            model.leased[life] = model.settled[life] = 0
            model.ended[life] = True
