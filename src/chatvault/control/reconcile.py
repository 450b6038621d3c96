"""`POST /manage/calls/{id}/reconcile`: what a call really cost, told later by whoever has the provider's bill.

A call whose cost is not known, or only estimated, keeps all that it had reserved. Its closing line says what was
charged to which budget; the difference is booked once. The record stays as it was written.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, Protocol

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from chatvault.access.budget import REQUESTS
from chatvault.access.purse import Key
from chatvault.audit.lines import AnyLine, Closed
from chatvault.audit.trail import trail
from chatvault.control.answers import answer
from chatvault.control.auth import Caller, Gate, Permit
from chatvault.control.budgets import pico_of
from chatvault.control.forms import Form
from chatvault.control.lender import Lender
from chatvault.control.ports import Journal, Recorded
from chatvault.core.charge import Charge
from chatvault.core.clock import now_us
from chatvault.core.errors import ClientError, JournalError, NotFound
from chatvault.core.money import dollars
from chatvault.ledger.queries import Call

_OPEN: Final = ("unknown", "estimated", "counted")
"""Costs that nobody knows for sure."""


class RealCost(Form):
    """What `POST /manage/calls/{id}/reconcile` takes. `cost` is in dollars, exact, as text or a whole number."""

    cost: str | int


class Ledger(Protocol):
    async def call(self, id: str) -> Call | None: ...


class ReconcileStore(Protocol):
    """Methods raise OperatorError when it cannot be asked."""

    async def reconciled(self, call_id: str) -> int | None: ...

    async def reconcile(self, call_id: str, at_us: int, cost: int, back: Mapping[Key, int]) -> bool: ...


class Reconciled(msgspec.Struct, frozen=True):
    """`charges`: what the call's budgets were charged before."""

    cost: int
    charges: tuple[Charge, ...]


class Reconcile:
    """`folder` is the journal's."""

    def __init__(
        self, ledger: Ledger, store: ReconcileStore, lender: Lender, journal: Journal, folder: Path
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._lender = lender
        self._journal = journal
        self._folder = folder

    async def __call__(self, who: str, call_id: str, cost: int) -> Reconciled:
        """Raises NotFound, ClientError, JournalError, OperatorError."""
        row = await self._ledger.call(call_id)
        if row is None:
            raise NotFound(
                "There is no such call in the ledger (yet: a call is there within a second of its end).",
                code="call_not_found",
                param="id",
            )
        if row["cost_source"] not in _OPEN:
            raise ClientError(
                "What this call cost is known, and is what its budgets were charged.",
                code="cost_known",
                status=409,
            )
        if await self._store.reconciled(call_id) is not None:
            raise _done_before()
        charges = tuple(charge for charge in await self._charges(row) if not _counts_calls(charge))
        back = {(charge.budget, charge.start): charge.amount - cost for charge in charges}
        before: dict[str, object] = {"cost_source": row["cost_source"], "cost": row["cost"]}
        with Recorded(self._journal, who, "call.reconcile", call_id, before, {"cost": cost}):
            if not await self._store.reconcile(call_id, now_us(), cost, back):
                raise _done_before()
        self._lender.look_at(back)
        return Reconciled(cost, charges)

    async def _charges(self, row: Call) -> tuple[Charge, ...]:
        line = await asyncio.to_thread(self._end, row)
        if not isinstance(line, Closed):
            raise ClientError(
                "The line of the journal that says what this call's budgets were charged is not there any more, so "
                "nothing can be booked.",
                code="call_line_missing",
                status=409,
            )
        return line.budgets

    def _end(self, row: Call) -> AnyLine | None:
        """The line that closed the call; None where it is gone."""
        try:
            steps = trail(self._folder, row["chain"], row["seq"], row["id"])
        except OSError as error:
            raise JournalError(
                f"The journal's chain {row['chain']} cannot be read: {error.strerror or error}. "
                "Make it readable for this user."
            ) from error
        return steps[-1].line if steps else None


def calls_router(reconcile: Callable[[str, str, int], Awaitable[Reconciled]], gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/calls", tags=["budgets"])
    Writer = Annotated[Caller, Depends(Permit(gate, "budgets:write"))]

    @router.post("/{id}/reconcile")
    async def tell(caller: Writer, id: str, told: RealCost) -> Response:
        """Tell what a call really cost, whose cost is unknown or estimated. Its budgets get the difference, once."""
        done = await reconcile(caller.who, id, pico_of("cost", told.cost))
        return answer(
            {
                "call_id": id,
                "cost": dollars(done.cost),
                "budgets": [
                    {
                        "budget_id": charge.budget,
                        "charged": dollars(charge.amount),
                        "returned": dollars(charge.amount - done.cost),
                    }
                    for charge in done.charges
                ],
            }
        )

    return router


def _counts_calls(charge: Charge) -> bool:
    return charge.budget.endswith(f"/{REQUESTS}")


def _done_before() -> ClientError:
    return ClientError("What this call cost was told before.", code="already_reconciled", status=409)
