"""`/manage/explain`: what happened to a call and why, gathered from the ledger, the journal and the vault."""

import asyncio
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from chatvault.access.holder import Holder
from chatvault.access.limits import Limited
from chatvault.access.reading import Reading
from chatvault.access.store import KeptBudget, TokenStore
from chatvault.audit.lines import Closed, Refused
from chatvault.audit.reader import read_private
from chatvault.audit.trail import Step, trail
from chatvault.control import explanation
from chatvault.control.answers import answer
from chatvault.control.auth import Gate, Permit
from chatvault.control.budgets import Budgets
from chatvault.control.budgets import shown as shown_budget
from chatvault.control.explanation import Found, View
from chatvault.control.feed_server import FeedServer
from chatvault.control.story import story
from chatvault.control.usage import shown
from chatvault.core.errors import JournalError, NotFound
from chatvault.ledger.queries import Call, LedgerQueries

_BY_LIMIT: Final = frozenset(("rate_limited", "too_many_calls"))
_BY_BUDGET: Final = frozenset(("budget_exceeded", "budget_unbounded"))
"""Codes of what limits and budgets refuse."""


class Explain:
    """`folder` is the journal's. Raises NotFound for a call that the ledger does not know, OperatorError."""

    def __init__(
        self, folder: Path, queries: LedgerQueries, tokens: TokenStore, budgets: Budgets, feed: FeedServer
    ) -> None:
        self._folder = folder
        self._queries = queries
        self._tokens = tokens
        self._budgets = budgets
        self._feed = feed

    async def __call__(self, call_id: str) -> View:
        found = await self._found(call_id)
        return {
            "id": call_id,
            "story": story(found),
            "call": shown(found.row),
            "refusal": explanation.refusal(found),
            "attempts": explanation.attempts(found),
            "usage": explanation.usage(found),
            "cost": explanation.cost(found),
            "budgets": explanation.budgets(found),
            "timings": explanation.timings(found),
            "record": explanation.record(found),
        }

    async def _found(self, call_id: str) -> Found:
        row = await self._queries.call(call_id)
        if row is None:
            raise await self._unknown()
        steps, private, aside = await asyncio.to_thread(self._lines, row)
        version = row["price_version"]
        holder = await self._holder(row)
        limits = _limits(row, holder)
        return Found(
            row=row,
            steps=steps,
            private=private,
            aside=aside,
            price=await self._queries.price(version) if version is not None else None,
            budgets=await self._standing(row, steps, holder),
            limits=limits,
            windows=await self._windows(limits),
        )

    def _lines(self, row: Call) -> tuple[list[Step], dict[str, object] | None, explanation.Aside]:
        try:
            steps = trail(self._folder, row["chain"], row["seq"], row["id"])
            last = steps[-1] if steps else None
            if last is None or not isinstance(last.line, Closed | Refused) or last.line.private is None:
                return steps, None, "none"
            private = read_private(self._folder, last.chain, last.segment, last.line.private)
        except OSError as error:
            raise JournalError(
                f"The journal's chain {row['chain']} cannot be read: {error.strerror or error}."
            ) from error
        return steps, private, "erased" if private is None else "kept"

    async def _holder(self, row: Call) -> Holder | None:
        """Of the token of a refused call: its limits and budgets are what may have refused it."""
        if row["state"] != "refused" or row["token_id"] is None:
            return None
        return await self._tokens.holder(row["token_id"])

    async def _standing(self, row: Call, steps: list[Step], holder: Holder | None) -> dict[str, View]:
        refused_by = holder.budgets if holder is not None and row["error_code"] in _BY_BUDGET else ()
        ids = [budget.id for budget in refused_by]
        end = steps[-1].line if steps else None
        if isinstance(end, Closed):
            ids += [charge.budget for charge in end.budgets if not charge.budget.endswith("/requests")]
        kept: list[KeptBudget] = []
        for budget_id in ids:
            try:
                kept.append(await self._budgets.get(budget_id))
            except NotFound:
                continue
        standing = await self._budgets.standing(kept)
        return {each.budget.id: shown_budget(each, now) for each, now in zip(kept, standing, strict=True)}

    async def _windows(self, limits: tuple[Limited, ...]) -> list[Reading]:
        """How full they are, as the workers say."""
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._feed.show_limits(each.scope, each.subject)) for each in limits]
        return [row for task in asked for row in task.result().rows()]

    async def _unknown(self) -> NotFound:
        """What may be the reason is said."""
        state = await self._queries.lag()
        behind = (
            f" The ledger is {state.seconds_behind:.0f} s behind the journal now."
            if state is not None and state.bytes_behind
            else ""
        )
        return NotFound(
            "There is no such call in the ledger. Calls are found by the `x-request-id` of their answer, from about a "
            "second after their end. One that the gateway answered by itself is not on record, and of calls that are "
            f"refused in a crowd those of a second share the line of one.{behind}",
            code="call_not_found",
            param="id",
        )


def _limits(row: Call, holder: Holder | None) -> tuple[Limited, ...]:
    """Those that may have refused it."""
    return holder.grant().limits if holder is not None and row["error_code"] in _BY_LIMIT else ()


def explain_router(explain: Explain, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/explain", tags=["usage"])

    @router.get("/{id}", dependencies=[Depends(Permit(gate, "usage:read"))])
    async def one(id: str) -> Response:
        """What happened to a call and why, by its `x-request-id`."""
        return answer(await explain(id))

    return router
