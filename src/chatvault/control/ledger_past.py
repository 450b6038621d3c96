"""What was used, asked of the ledger: calls of tokens that others minted count for those, too."""

from collections.abc import Sequence
from typing import Protocol

from chatvault.access.holder import Subject
from chatvault.access.limits import Scope
from chatvault.access.past import Past
from chatvault.ledger.queries import LedgerQueries


class Family(Protocol):
    """What knows which tokens were minted by which."""

    async def minted(self, token_ids: Sequence[str]) -> dict[str, list[str]]: ...


class LedgerPast:
    """A `recall.PastSource`."""

    def __init__(self, queries: LedgerQueries, family: Family) -> None:
        self._queries = queries
        self._family = family

    async def past(self, spans: dict[Subject, set[int]], before: int, now: int) -> list[Past]:
        minted = await self._family.minted([subject for scope, subject in spans if scope == "token"])
        rows: dict[Scope, dict[str, dict[str, set[int]]]] = {}
        for (scope, owner), wanted in spans.items():
            members = minted.get(owner, []) if scope == "token" else []
            for row in (owner, *members):
                rows.setdefault(scope, {}).setdefault(row, {})[owner] = wanted
        found: list[Past] = []
        for scope, subjects in rows.items():
            found += await self._queries.past(scope, subjects, before, now)
        return found
