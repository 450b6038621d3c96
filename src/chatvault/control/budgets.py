"""`/manage/budgets`: what may be spent, by whom, in which time, and how much of it is left."""

from typing import Annotated, Final, Literal, Protocol

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from chatvault.access.budget import Budget, Per, Period, period_of
from chatvault.access.grant import Whose
from chatvault.access.holder import Subject
from chatvault.access.store import KeptBudget, Lease, PeopleStore, Spent, TokenStore
from chatvault.access.token import DEFAULT_PROJECT
from chatvault.control.answers import answer
from chatvault.control.auth import Caller, Gate, Permit
from chatvault.control.feed_server import FeedServer
from chatvault.control.forms import Form, Identifier, Pattern
from chatvault.control.lender import Lender
from chatvault.control.ports import Journal, Recorded
from chatvault.control.standing import Out, Standing
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import ClientError, NotFound
from chatvault.core.ids import short_id
from chatvault.core.money import dollars, pico

_LARGEST: Final = 4_000_000
"""Dollars; a sum of leases must not overflow 64 bits of pico-dollars."""

Scope = Literal["token", "user", "project", "model"]


class NewBudget(Form):
    """What `POST /manage/budgets` takes. `amount` is in dollars, exact, as text or a whole number."""

    scope: Scope
    subject: Pattern
    """A token's id, a user's or a project's id, or a pattern over models' public names."""
    project_id: Identifier = DEFAULT_PROJECT
    """Whose the user is; of no meaning for the other scopes."""
    amount: str | int
    per: Per = "total"
    timezone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    hard: bool = True
    allow_unbounded: bool = False


class ChangedBudget(Form):
    """What `PATCH /manage/budgets/{budget_id}` takes: what is to change."""

    amount: str | int | None = None
    hard: bool | None = None
    allow_unbounded: bool | None = None


class BudgetStore(Protocol):
    """What keeps budgets. Methods raise OperatorError when it cannot be asked."""

    async def add(self, kept: KeptBudget) -> None: ...

    async def get(self, budget_id: str) -> KeptBudget | None: ...

    async def page(
        self, limit: int, *, project: str | None = None, subject: Subject | None = None, after: str = ""
    ) -> list[KeptBudget]: ...

    async def change(self, kept: KeptBudget) -> None: ...

    async def spent_and_lent(self, budget_ids: list[str]) -> tuple[list[Spent], list[Lease]]: ...


class Budgets:
    """What can be done with budgets. Methods raise ClientError, NotFound, JournalError, OperatorError."""

    def __init__(
        self,
        store: BudgetStore,
        holders: tuple[TokenStore, PeopleStore],
        feed: FeedServer,
        lender: Lender,
        journal: Journal,
    ) -> None:
        self._store = store
        self._tokens, self._people = holders
        self._feed = feed
        self._lender = lender
        self._journal = journal

    async def create(self, who: str, wanted: NewBudget) -> KeptBudget:
        subject, project = await self._subject(wanted)
        budget = Budget(
            id=short_id("bud"),
            scope=wanted.scope,
            subject=subject,
            amount=pico_of("amount", wanted.amount),
            per=wanted.per,
            timezone=wanted.timezone,
            hard=wanted.hard,
            allow_unbounded=wanted.allow_unbounded,
        )
        _period(budget)
        kept = KeptBudget(budget=budget, project=project, created_at=now_us())
        with Recorded(self._journal, who, "budget.create", budget.id, after=_recorded(kept)):
            await self._store.add(kept)
        await self._feed.forget(_whose(kept))
        return kept

    async def get(self, budget_id: str) -> KeptBudget:
        """Raises NotFound."""
        kept = await self._store.get(budget_id)
        if kept is None:
            raise NotFound(
                f"There is no budget {budget_id[:40]!r}.", code="budget_not_found", param="budget_id"
            )
        return kept

    async def page(
        self, limit: int, cursor: str | None, project: str | None, subject: Subject | None
    ) -> tuple[list[KeptBudget], str | None]:
        found = await self._store.page(limit + 1, project=project, subject=subject, after=cursor or "")
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1].budget.id)

    async def change(self, who: str, budget_id: str, wanted: ChangedBudget) -> tuple[KeptBudget, list[int]]:
        """The budget as it is now, and the workers that have not acknowledged it in time."""
        before = await self.get(budget_id)
        if before.ended_at is not None:
            raise ClientError("This budget has ended. Make a new one.", code="budget_ended", status=409)
        old = before.budget
        budget = msgspec.structs.replace(
            old,
            amount=old.amount if wanted.amount is None else pico_of("amount", wanted.amount),
            hard=old.hard if wanted.hard is None else wanted.hard,
            allow_unbounded=old.allow_unbounded if wanted.allow_unbounded is None else wanted.allow_unbounded,
        )
        return await self._put(who, "budget.change", before, msgspec.structs.replace(before, budget=budget))

    async def end(self, who: str, budget_id: str) -> list[int]:
        """It holds no more. The workers that have not acknowledged it in time."""
        before = await self.get(budget_id)
        if before.ended_at is not None:
            return []
        after = msgspec.structs.replace(before, ended_at=now_us())
        _, missing = await self._put(who, "budget.end", before, after)
        return missing

    async def standing(self, kept: list[KeptBudget]) -> list[Standing]:
        """What is left of these, in their order."""
        now = now_us()
        periods = [_period(each.budget, now) for each in kept]
        async with self._lender.still:
            spent, lent = await self._store.spent_and_lent([each.budget.id for each in kept])
            out = Out(spent, lent, self._lender.balances(), self._lender.living())
        return [out.standing(each.budget, period) for each, period in zip(kept, periods, strict=True)]

    async def _put(
        self, who: str, what: str, before: KeptBudget, after: KeptBudget
    ) -> tuple[KeptBudget, list[int]]:
        if after == before:
            return before, []
        with Recorded(self._journal, who, what, before.budget.id, _recorded(before), _recorded(after)):
            await self._store.change(after)
        if after.ended_at is not None or after.budget.amount < before.budget.amount:
            self._lender.call_in(after.budget.id)
        self._lender.look_at([(after.budget.id, _period(after.budget).start)])
        return after, await self._feed.forget(_whose(after))

    async def _subject(self, wanted: NewBudget) -> tuple[str, str | None]:
        """The subject as it is kept, and the project it belongs to. Raises NotFound."""
        name = wanted.subject
        if wanted.scope == "model":
            return name, None
        if wanted.scope == "token":
            token = await self._tokens.get(name)
            if token is None:
                raise NotFound(f"There is no token {name[:40]!r}.", code="token_not_found", param="subject")
            return name, token.project
        project = name if wanted.scope == "project" else wanted.project_id
        if await self._people.project(project) is None:
            raise NotFound(
                f"There is no project {project[:64]!r}.", code="project_not_found", param="subject"
            )
        if wanted.scope == "project":
            return name, name
        if await self._people.user(project, name) is None:
            raise NotFound(
                f"There is no user {name[:64]!r} in the project {project!r}.",
                code="user_not_found",
                param="subject",
            )
        return f"{project}/{name}", project


def budgets_router(budgets: Budgets, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/budgets", tags=["budgets"])
    read, write = Permit(gate, "budgets:read"), Permit(gate, "budgets:write")
    Writer = Annotated[Caller, Depends(write)]

    @router.post("", status_code=201)
    async def create(caller: Writer, wanted: NewBudget) -> Response:
        """Make a budget. It holds for every call that begins after the answer."""
        kept = await budgets.create(caller.who, wanted)
        (standing,) = await budgets.standing([kept])
        return answer(shown(kept, standing), 201)

    @router.get("", dependencies=[Depends(read)])
    async def page(
        project_id: str | None = None,
        scope: Scope | None = None,
        subject: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: str | None = None,
    ) -> Response:
        """Budgets and what is left of them."""
        if (scope is None) != (subject is None):
            raise ClientError("Give scope and subject together.", code="invalid_request", param="scope")
        whose = None if scope is None or subject is None else (scope, subject)
        found, following = await budgets.page(limit, cursor, project_id, whose)
        standing = await budgets.standing(found)
        rows = [shown(kept, each) for kept, each in zip(found, standing, strict=True)]
        return answer({"data": rows, "cursor": following})

    @router.get("/{budget_id}", dependencies=[Depends(read)])
    async def get(budget_id: str) -> Response:
        """One budget and what is left of it."""
        kept = await budgets.get(budget_id)
        (standing,) = await budgets.standing([kept])
        return answer(shown(kept, standing))

    @router.patch("/{budget_id}")
    async def change(caller: Writer, budget_id: str, wanted: ChangedBudget) -> Response:
        """Change its amount, or how strict it is. Answers when every worker has acknowledged it."""
        kept, missing = await budgets.change(caller.who, budget_id, wanted)
        (standing,) = await budgets.standing([kept])
        return answer({**shown(kept, standing), "unacknowledged": missing}, 202 if missing else 200)

    @router.delete("/{budget_id}", status_code=204)
    async def end(caller: Writer, budget_id: str) -> Response:
        """End a budget: calls need it no more."""
        missing = await budgets.end(caller.who, budget_id)
        if missing:
            return answer({"budget_id": budget_id, "ended": True, "unacknowledged": missing}, 202)
        return Response(status_code=204)

    return router


def shown(kept: KeptBudget, standing: Standing) -> dict[str, object]:
    """A budget as the API shows it: exact dollars as text."""
    budget, period = kept.budget, standing.period
    return {
        "budget_id": budget.id,
        "scope": budget.scope,
        "subject": budget.subject,
        "project_id": kept.project,
        "amount": dollars(budget.amount),
        "per": budget.per,
        "timezone": budget.timezone,
        "hard": budget.hard,
        "allow_unbounded": budget.allow_unbounded,
        "created_at": iso(kept.created_at),
        "ended_at": None if kept.ended_at is None else iso(kept.ended_at),
        "period_start": iso(period.start) if period.end is not None else None,
        "period_end": None if period.end is None else iso(period.end),
        "settled": dollars(standing.settled),
        "reserved": dollars(standing.reserved),
        "leased": dollars(standing.leased),
        "left": dollars(standing.left),
    }


def _period(budget: Budget, now: int | None = None) -> Period:
    """Raises ClientError for a time zone that nobody knows."""
    try:
        return period_of(budget.per, budget.timezone, now_us() if now is None else now)
    except ValueError as error:
        raise ClientError(f"timezone: {error}.", code="invalid_request", param="timezone") from None


def pico_of(field: str, amount: str | int) -> int:
    """Pico-dollars of what a client sent in a field. Raises ClientError."""
    try:
        found = pico(amount)
    except ValueError:
        found = -1
    if not 0 <= found <= _LARGEST * 10**12:
        raise ClientError(
            f"{field}: write dollars as an exact decimal from 0 to {_LARGEST}, such as 12.50.",
            code="invalid_request",
            param=field,
        )
    return found


def _whose(kept: KeptBudget) -> Whose:
    """Those whose calls it pays for."""
    match kept.budget.scope:
        case "token":
            return Whose(tokens=(kept.budget.subject,))
        case "user":
            return Whose(users=(kept.budget.subject,))
        case "project":
            return Whose(projects=(kept.budget.subject,))
    return Whose(everyone=True)


def _recorded(kept: KeptBudget) -> dict[str, object]:
    """Its subject is a public id, or a pattern that the operator chose."""
    budget = msgspec.structs.asdict(kept.budget)
    del budget["id"], budget["unit"]
    return {**budget, "ended_at": kept.ended_at}
