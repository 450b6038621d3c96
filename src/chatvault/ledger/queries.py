"""Questions to the ledger, each in a thread of a small pool of its own: a slow report delays other reports at
most. Each opens the database anew, read-only (half a millisecond), so that a ledger that is replaced is seen
at once, and nothing is held open that the recorder could have to wait for."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, create_engine, func, literal_column, select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from chatvault.access.limits import Scope
from chatvault.access.past import Past
from chatvault.core.errors import ClientError
from chatvault.ledger.batch import Position
from chatvault.ledger.faults import unavailable
from chatvault.ledger.filter import Filter
from chatvault.ledger.past import past_of
from chatvault.ledger.place import ledger_place
from chatvault.ledger.schema import positions, prices, usage_logs
from chatvault.ledger.state import RecorderState, read_state
from chatvault.ledger.summary import DIMENSIONS, Dimension, Summary, summary_of, summary_query

Call = dict[str, Any]
"""A row of `usage_logs`, by column: texts, integers (times in microseconds, money in pico-dollars) and
None."""

MOST_ROWS: Final = 10_000
_MOST_VALUES: Final = 10_000
"""Values of one question; a database bounds them."""
_ALL: Final = Filter()
_ROWID: Final[ColumnElement[int]] = literal_column("usage_logs.rowid")


_T = TypeVar("_T")


class Page(msgspec.Struct, frozen=True):
    calls: list[Call]
    cursor: str | None
    """For the next page; None when this is the last."""


class News(msgspec.Struct, frozen=True):
    calls: list[Call]
    """In the order in which they ended up in the ledger."""
    after: int
    """To be given to the next `follow`. It holds for this ledger only, not for one that was rebuilt."""


class Use(msgspec.Struct, frozen=True):
    """How often a token was used, and when last."""

    requests: int = 0
    last_us: int | None = None
    """When the last call began, microseconds since the epoch."""


class KnownPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price as the journal has it: pico-dollars a unit, and tiers as in `Priced`."""

    provider: str
    model: str
    source: str
    rates: dict[str, int]
    tiers: tuple[tuple[str, int, int], ...]


class LedgerQueries:
    """All methods raise Unavailable (503) while the ledger is not there, locked or damaged."""

    def __init__(self, data_dir: Path, database_url: str | None = None) -> None:
        self._data_dir = data_dir
        self._place = ledger_place(data_dir, database_url)
        self._engine = create_engine(
            self._place.read_url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": 2.0}
        )
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="ledger")

    async def rows(self, which: Filter = _ALL, *, limit: int = 100, cursor: str | None = None) -> Page:
        """The newest calls first. `cursor` is that of the page before. Raises ClientError for one that is
        none."""
        limit = max(1, min(limit, MOST_ROWS))
        columns = usage_logs.c
        query = (
            select(usage_logs)
            .where(*which.conditions())
            .order_by(columns.timestamp.desc(), columns.id.desc())
            .limit(limit + 1)
        )
        if cursor is not None:
            query = query.where(tuple_(columns.timestamp, columns.id) < tuple_(*_after(cursor)))
        found = await self._calls(query)
        more = len(found) > limit
        found = found[:limit]
        return Page(found, f"{found[-1]['timestamp']}-{found[-1]['id']}" if more else None)

    async def follow(self, which: Filter = _ALL, *, after: int | None = None, limit: int = 1000) -> News:
        """Calls recorded after `after`; with None there are none yet, and `after` of the answer is now."""
        if after is None:
            newest = select(func.max(_ROWID)).select_from(usage_logs)
            return News([], await self._ask(lambda connection: connection.scalar(newest) or 0))
        query = (
            select(_ROWID.label("number"), usage_logs)
            .where(_ROWID.op(">")(after), *which.conditions())
            .order_by(_ROWID)
            .limit(max(1, min(limit, MOST_ROWS)))
        )
        found = await self._calls(query)
        for row in found:
            after = int(row.pop("number"))
        return News(found, after)

    async def call(self, id: str) -> Call | None:
        found = await self._calls(select(usage_logs).where(usage_logs.c.id == id))
        return found[0] if found else None

    async def price(self, version: str) -> KnownPrice | None:
        """A price that calls on record refer to."""
        query = select(prices).where(prices.c.version == version)
        row = await self._ask(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            return None
        return KnownPrice(
            provider=row["provider"],
            model=row["model"],
            source=row["source"],
            rates=msgspec.json.decode(row["rates"], type=dict[str, int]),
            tiers=msgspec.json.decode(row["tiers"], type=tuple[tuple[str, int, int], ...]),
        )

    async def uses(self, tokens: list[str]) -> dict[str, Use]:
        """How these tokens were used; one that never was is absent. Calls that were refused do not count."""
        rows = usage_logs.c
        query = (
            select(rows.token_id, func.count(), func.max(rows.timestamp))
            .where(rows.token_id.in_(tokens), rows.state != "refused")
            .group_by(rows.token_id)
        )
        found = await self._ask(lambda connection: connection.execute(query).all())
        return {token: Use(requests, last) for token, requests, last in found}

    async def last_uses(self, tokens: Sequence[str], since_us: int) -> dict[str, int]:
        """When the last call with each of these began, if after that time. Calls that were refused do not count."""
        rows = usage_logs.c
        found: dict[str, int] = {}
        for first in range(0, len(tokens), _MOST_VALUES):
            query = (
                select(rows.token_id, func.max(rows.timestamp).label("last"))
                .where(
                    rows.token_id.in_(tokens[first : first + _MOST_VALUES]),
                    rows.timestamp > since_us,
                    rows.state != "refused",
                )
                .group_by(rows.token_id)
            )
            found |= {row["token_id"]: row["last"] for row in await self._calls(query)}
        return found

    async def any_of(self, project: str) -> bool:
        """Whether calls of this project are on record. Raises LedgerError."""
        return bool((await self.rows(Filter(project=project), limit=1)).calls)

    async def summary(
        self, group_by: Sequence[Dimension] = (), which: Filter = _ALL, *, limit: int = 1000
    ) -> list[Summary]:
        """Sums by group, the most expensive first; without dimensions, one for all calls. Raises
        ClientError for an unknown one."""
        for name in group_by:
            if name not in DIMENSIONS:
                raise ClientError(
                    f"Calls cannot be grouped by {name!r}; choose from {', '.join(DIMENSIONS)}.",
                    code="bad_group",
                    param="group_by",
                )
        query = summary_query(group_by, which, max(1, min(limit, MOST_ROWS)))
        return await self._ask(
            lambda connection: [summary_of(group_by, row) for row in connection.execute(query)]
        )

    async def past(
        self, scope: Scope, subjects: Mapping[str, Mapping[str, set[int]]], before: int, now: int
    ) -> list[Past]:
        """As `past.past_of` has it."""
        return await self._ask(lambda connection: past_of(connection, scope, subjects, before, now))

    async def positions(self) -> dict[str, Position]:
        """How far each chain is applied."""
        return await self._ask(
            lambda connection: {row.chain: Position(*row) for row in connection.execute(select(positions))}
        )

    async def lag(self) -> RecorderState | None:
        """How far the ledger is behind, as the recorder says; None if none has run. Raises OperatorError."""
        return await asyncio.to_thread(read_state, self._data_dir)

    async def close(self) -> None:
        """Nothing may be asked any more; what was asked is waited for."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _calls(self, query: Select[Any]) -> list[Call]:
        return await self._ask(lambda connection: [dict(row) for row in connection.execute(query).mappings()])

    async def _ask(self, question: Callable[[Connection], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)

    def _answer(self, question: Callable[[Connection], _T]) -> _T:
        try:
            with self._engine.connect() as connection:
                return question(connection)
        except SQLAlchemyError as error:
            raise unavailable(str(self._place.path), error) from error


def _after(cursor: str) -> tuple[int, str]:
    timestamp, _, id = cursor.partition("-")
    if not (timestamp.isascii() and timestamp.isdigit()) or not id or len(timestamp) > 18:
        raise ClientError("The cursor is none that this server gave.", code="bad_cursor", param="cursor")
    return int(timestamp), id
