"""Budgets and their leases, in the vault: it implements `access.store.BudgetStore`.

Of each budget and period, `committed` is what is out of control's hands: leased to chains that are not accounted for,
or used by those that are. Every change of it is one transaction with the lease that it is about, so that no kill
between two statements can lend the same money twice.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from chatvault.access.budget import REQUESTS, Budget
from chatvault.access.holder import Subject
from chatvault.access.lending import grant
from chatvault.access.purse import Key
from chatvault.access.store import Ask, KeptBudget, Lease, Spent
from chatvault.access.threshold import Level
from chatvault.vault import budget_statements as sql
from chatvault.vault.database import Database

_REQUESTS: Final = f"/{REQUESTS}"
_BATCH: Final = 500
"""Periods asked for in one statement; the number of its parameters is bounded."""


class Budgets:
    """Every method raises VaultError when the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- what there is

    async def add(self, kept: KeptBudget) -> None:
        async with self._database.change() as connection:
            await connection.execute(sql.ADD, _values(kept))

    async def get(self, budget_id: str) -> KeptBudget | None:
        async with self._database.read() as connection:
            row = (await connection.execute(sql.GET, {"id": budget_id})).mappings().first()
        return None if row is None else _kept(row)

    async def page(
        self, limit: int, *, project: str | None = None, subject: Subject | None = None, after: str = ""
    ) -> list[KeptBudget]:
        """Budgets in the order of their ids, ended ones included."""
        values = {
            "limit": limit,
            "project": project,
            "scope": subject[0] if subject else None,
            "subject": subject[1] if subject else None,
            "after": after,
        }
        async with self._database.read() as connection:
            rows = (await connection.execute(sql.PAGE, values)).mappings().all()
        return [_kept(row) for row in rows]

    async def change(self, kept: KeptBudget) -> None:
        """Keep these values of it; what it is for does not change."""
        values = _values(kept)
        changed = {name: values[name] for name in ("amount", "hard", "allow_unbounded", "ended_at")}
        async with self._database.change() as connection:
            await connection.execute(sql.CHANGE, {"budget": kept.budget.id, **changed})

    async def end_of_tokens(self, connection: AsyncConnection, token_ids: Sequence[str], at_us: int) -> None:
        """These tokens are removed: their budgets end, and what counted their calls is removed with them."""
        await connection.execute(sql.END_OF_TOKENS, {"ids": list(token_ids), "at": at_us})
        counted = [f"{token_id}{_REQUESTS}" for token_id in token_ids]
        await connection.execute(sql.DROP_PERIODS, {"budgets": counted})

    async def paying(self, subjects: Sequence[Subject]) -> list[Budget]:
        """The budgets of these subjects that have not ended, and all of models."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sql.PAYING, {"subjects": list(subjects)})).mappings().all()
        return [_kept(row).budget for row in rows]

    # --- leases

    async def lend(self, asks: Sequence[Ask], workers: int) -> list[int]:
        """What each ask is leased, in order; 0 where not enough is left. All in one transaction."""
        given = []
        async with self._database.change() as connection:
            for ask in asks:
                given.append(await self._lend(connection, ask, workers))
        return given

    async def _lend(self, connection: AsyncConnection, ask: Ask, workers: int) -> int:
        key = {"budget": ask.key[0], "from_start": ask.key[1]}
        await connection.execute(sql.OPEN_PERIOD, {"budget_id": ask.key[0], "start": ask.key[1]})
        amount = (await connection.execute(*_amount(ask.key[0]))).scalar()
        committed = (await connection.execute(sql.COMMITTED, key)).scalar_one()
        more = 0 if amount is None else grant(amount, committed, ask.need, workers)
        if more:
            await connection.execute(sql.COMMIT, {**key, "by": more})
            row = {"budget_id": ask.key[0], "start": ask.key[1], "chain": ask.chain, "amount": more}
            await connection.execute(sql.LEASE, row)
        return more

    async def left(self, key: Key) -> int:
        """What is not committed."""
        one = {"budget": key[0], "from_start": key[1]}
        async with self._database.read() as connection:
            amount = (await connection.execute(*_amount(key[0]))).scalar()
            committed = (await connection.execute(sql.COMMITTED, one)).scalar()
        return max((amount or 0) - (committed or 0), 0)

    async def give_back(self, chain: str, key: Key, amount: int) -> None:
        """A worker's life needs so much no more."""
        async with self._database.change() as connection:
            for lease in await self._leases(connection, chain):
                if lease.key == key:
                    await self._put(connection, lease, max(lease.amount - amount, 0), used=None)

    async def resync(self, chain: str, leased: Mapping[Key, int]) -> None:
        """The life of a worker says what it holds: what was lent to it and never arrived comes back."""
        async with self._database.change() as connection:
            for lease in await self._leases(connection, chain):
                holds = min(leased.get(lease.key, 0), lease.amount)
                await self._put(connection, lease, holds, used=None)

    async def close_period(self, chain: str, key: Key, used: int) -> None:
        """A period is over for a worker's life, which used so much of its lease."""
        async with self._database.change() as connection:
            for lease in await self._leases(connection, chain):
                if lease.key == key:
                    await self._put(connection, lease, 0, used=used)

    async def account(self, chain: str, held: Mapping[Key, int]) -> None:
        """A chain has ended, and holds so much by its own record: that is used, the rest of its leases comes back.
        Doing it twice changes nothing."""
        async with self._database.change() as connection:
            for lease in await self._leases(connection, chain):
                await self._put(connection, lease, 0, used=held.get(lease.key, 0))

    async def leases(self, chain: str | None = None) -> list[Lease]:
        async with self._database.read() as connection:
            rows = (await connection.execute(sql.LEASES, {"chain": chain})).all()
        return [Lease(row.chain, (row.budget_id, row.start), row.amount) for row in rows]

    async def spent(self, budget_ids: Sequence[str]) -> list[Spent]:
        """What is committed and used of these budgets, by period."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sql.SPENT, {"budgets": list(budget_ids)})).all()
        return [Spent((row.budget_id, row.start), row.committed, row.used) for row in rows]

    async def spent_and_lent(self, budget_ids: Sequence[str]) -> tuple[list[Spent], list[Lease]]:
        """What is committed and used of these budgets, by period, and who holds leases of them, at one moment."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sql.WITH_LEASES, {"budgets": list(budget_ids)})).all()
        spent = {
            (row.budget_id, row.start): Spent((row.budget_id, row.start), row.committed, row.used)
            for row in rows
        }
        lent = [
            Lease(row.chain, (row.budget_id, row.start), row.amount) for row in rows if row.chain is not None
        ]
        return list(spent.values()), lent

    async def levels(self, keys: Sequence[Key]) -> list[Level]:
        """The amounts and what is used of these, without budgets that have ended and tokens that were revoked."""
        found: list[Level] = []
        async with self._database.read() as connection:
            for batch in range(0, len(keys), _BATCH):
                values = {"keys": list(keys[batch : batch + _BATCH])}
                found += [_level(row) for row in (await connection.execute(sql.LEVELS, values)).all()]
        return found

    async def high_levels(self, percent: int, since_us: int) -> list[Level]:
        """The same, of all that may have used so much, in periods that began then or later or have no end."""
        values = {"percent": percent, "since": since_us}
        async with self._database.read() as connection:
            rows = (await connection.execute(sql.HIGH_LEVELS, values)).all()
        return [_level(row) for row in rows]

    async def reconciled(self, call_id: str) -> int | None:
        """The cost that was told of a call later; None if none was."""
        async with self._database.read() as connection:
            found = (await connection.execute(sql.RECONCILED, {"call": call_id})).scalar()
        return None if found is None else int(found)

    async def reconcile(self, call_id: str, at_us: int, cost: int, back: Mapping[Key, int]) -> bool:
        """A call's real cost was told: give back what was charged above it (or charge what is missing). False: it was
        told before, and nothing was changed."""
        async with self._database.change() as connection:
            done = await connection.execute(sql.RECONCILE, {"call_id": call_id, "at": at_us, "cost": cost})
            if not done.rowcount:
                return False
            for (budget, start), amount in back.items():
                key = {"budget": budget, "from_start": start}
                await connection.execute(sql.OPEN_PERIOD, {"budget_id": budget, "start": start})
                await connection.execute(sql.COMMIT, {**key, "by": -amount})
                await connection.execute(sql.USE, {**key, "by": -amount})
        return True

    async def _leases(self, connection: AsyncConnection, chain: str) -> list[Lease]:
        await connection.execute(sql.LOCK_LEASES, {"of_chain": chain})
        rows = (await connection.execute(sql.LEASES, {"chain": chain})).all()
        return [Lease(row.chain, (row.budget_id, row.start), row.amount) for row in rows]

    async def _put(self, connection: AsyncConnection, lease: Lease, amount: int, *, used: int | None) -> None:
        """The lease is so much from now on, and what it is less is committed no more. `used`: it ends, and so much of
        it stays committed."""
        key = {"budget": lease.key[0], "from_start": lease.key[1]}
        one = {**key, "of": lease.chain}
        if used is None:
            await connection.execute(sql.SET_LEASE, {**one, "leased": amount})
        else:
            await connection.execute(sql.END_LEASE, one)
            await connection.execute(sql.USE, {**key, "by": used})
            amount = used
        await connection.execute(sql.COMMIT, {**key, "by": amount - lease.amount})


def _amount(budget_id: str) -> tuple[Any, dict[str, str]]:
    """The statement that tells how much there is of a budget, or of a token's `max_requests`."""
    if budget_id.endswith(_REQUESTS):
        return sql.MAX_REQUESTS, {"token": budget_id.removesuffix(_REQUESTS)}
    return sql.AMOUNT, {"budget": budget_id}


def _level(row: Any) -> Level:
    unit: Literal["money", "requests"] = "requests" if row.budget_id.endswith(_REQUESTS) else "money"
    return Level((row.budget_id, row.start), row.amount, unit, row.used)


def _values(kept: KeptBudget) -> dict[str, Any]:
    budget = kept.budget
    return {
        "id": budget.id,
        "scope": budget.scope,
        "subject": budget.subject,
        "project_id": kept.project,
        "amount": budget.amount,
        "per": budget.per,
        "timezone": budget.timezone,
        "hard": budget.hard,
        "allow_unbounded": budget.allow_unbounded,
        "created_at": kept.created_at,
        "ended_at": kept.ended_at,
    }


def _kept(row: RowMapping) -> KeptBudget:
    return KeptBudget(
        budget=Budget(
            id=row["id"],
            scope=row["scope"],
            subject=row["subject"],
            amount=row["amount"],
            per=row["per"],
            timezone=row["timezone"],
            hard=row["hard"],
            allow_unbounded=row["allow_unbounded"],
        ),
        project=row["project_id"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
