"""`/usage`: the calls on record and what they cost, as the ledger knows them."""

from typing import Annotated, get_args

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from chatvault.control.answers import answer
from chatvault.control.auth import Gate, Permit
from chatvault.control.when import moment
from chatvault.core.clock import iso
from chatvault.core.errors import ClientError, NotFound
from chatvault.core.money import dollars
from chatvault.core.states import STATES
from chatvault.ledger.filter import Filter
from chatvault.ledger.queries import Call, LedgerQueries
from chatvault.ledger.summary import Dimension, Summary

_LARGEST = 2**63 - 1
_MONEY = ("cost", "cost_bound")


class Which:
    """The filters of a question, from its query string. Raises ClientError."""

    def __init__(
        self,
        token: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        project: str | None = None,
        user: str | None = None,
        state: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> None:
        if state is not None and state not in STATES:
            raise ClientError(
                f"There is no state {state[:40]!r}; there are {', '.join(STATES)}.",
                code="invalid_request",
                param="state",
            )
        self.filter = Filter(
            token=token,
            model=model,
            provider=provider,
            project=project,
            user=user,
            state=state,
            since_us=None if since is None else moment(since, "since"),
            until_us=None if until is None else moment(until, "until"),
        )


def usage_router(queries: LedgerQueries, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/usage", tags=["usage"], dependencies=[Depends(Permit(gate, "usage:read"))])
    Asked = Annotated[Which, Depends(Which)]

    @router.get("")
    async def rows(
        which: Asked, limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: str | None = None
    ) -> Response:
        """The newest calls first."""
        page = await queries.rows(which.filter, limit=limit, cursor=cursor)
        return answer({"data": [shown(call) for call in page.calls], "cursor": page.cursor})

    @router.get("/summary")
    async def summary(
        which: Asked,
        group_by: Annotated[str, Query(description="one or more, with commas")] = "model",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> Response:
        """Sums by group, the most expensive first."""
        found = await queries.summary(_dimensions(group_by), which.filter, limit=limit)
        return answer({"data": [summed(one) for one in found]})

    @router.get("/follow")
    async def follow(
        which: Asked,
        after: Annotated[int | None, Query(ge=0, le=_LARGEST)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> Response:
        """Calls as they end: what was recorded after the number that the answer before gave."""
        news = await queries.follow(which.filter, after=after, limit=limit)
        return answer({"data": [shown(call) for call in news.calls], "after": news.after})

    @router.get("/{id}")
    async def call(id: str) -> Response:
        """One call, by its `x-request-id`."""
        found = await queries.call(id)
        if found is None:
            raise NotFound(
                "There is no such call in the ledger (yet: a call is there within a second of its end).",
                code="call_not_found",
                param="id",
            )
        return answer(shown(found))

    return router


def shown(call: Call) -> dict[str, object]:
    """A call as the API shows it: money as exact decimals in dollars, and in pico-dollars; null is
    unknown."""
    view: dict[str, object] = {**call, "timestamp": iso(call["timestamp"])}
    for name in _MONEY:
        amount = call[name]
        view[name] = None if amount is None else dollars(amount)
        view[f"{name}_pico"] = amount
    return view


def summed(one: Summary) -> dict[str, object]:
    """A group as the API shows it. `cost` is null when the cost of every call in it is unknown."""
    view = msgspec.structs.asdict(one)
    del view["group"], view["first_us"], view["last_us"]
    known = one.cost if one.unpriced < one.calls else None
    return {
        **one.group,
        **view,
        "cost": None if known is None else dollars(known),
        "cost_pico": known,
        "bound": dollars(one.bound),
        "bound_pico": one.bound,
        "first": iso(one.first_us) if one.calls else None,
        "last": iso(one.last_us) if one.calls else None,
    }


def _dimensions(text: str) -> list[Dimension]:
    known: dict[str, Dimension] = {name: name for name in get_args(Dimension)}
    found = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in known:
            raise ClientError(
                f"Calls cannot be grouped by {name[:40]!r}; there are {', '.join(known)}.",
                code="bad_group",
                param="group_by",
            )
        found.append(known[name])
    return found
