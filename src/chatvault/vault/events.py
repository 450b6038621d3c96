"""Events on their way: a row first, then the line of the journal, then the webhook.

A row is made once by its id, whoever makes it again; it stays, so that what happened is never told as new.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from chatvault.access.threshold import KeptEvent, Passed
from chatvault.vault import event_statements as sql
from chatvault.vault.database import Database


class Outgoing(msgspec.Struct, frozen=True):
    """How the webhook's events are. Microseconds since the epoch."""

    waiting: int
    oldest_at: int | None
    given_up: int
    last_sent_at: int | None


class Events:
    """Every method raises VaultError when the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, events: Sequence[KeptEvent], next_at: int | None) -> None:
        """Keep those that are new. `next_at`: when each is to be sent; None: never."""
        async with self._database.change() as connection:
            await connection.execute(sql.ADD, [_values(event, next_at) for event in events])

    async def unrecorded(self) -> list[KeptEvent]:
        """Those that nobody has said to be on record, the oldest first."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sql.UNRECORDED)).mappings().all()
        return [_event(row) for row in rows]

    async def recorded(self, ids: Sequence[str], at_us: int) -> None:
        async with self._database.change() as connection:
            await connection.execute(sql.RECORDED, {"ids": list(ids), "recorded": at_us})

    async def due(self, now_us: int, limit: int) -> list[KeptEvent]:
        """Those on record whose time to be sent has come."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sql.DUE, {"now": now_us, "limit": limit})).mappings().all()
        return [_event(row) for row in rows]

    async def next_at(self) -> int | None:
        """When the next of those on record is to be sent."""
        async with self._database.read() as connection:
            found = (await connection.execute(sql.NEXT)).scalar()
        return None if found is None else int(found)

    async def sent(self, event_id: str, at_us: int) -> None:
        async with self._database.change() as connection:
            await connection.execute(sql.SENT, {"event": event_id, "sent": at_us})

    async def not_sent(self, event_id: str, tries: int, next_at: int | None) -> None:
        """It could not be sent for the `tries`th time; None: it is given up."""
        async with self._database.change() as connection:
            await connection.execute(sql.NOT_SENT, {"event": event_id, "failed": tries, "again": next_at})

    async def outgoing(self) -> Outgoing:
        async with self._database.read() as connection:
            waiting, oldest = (await connection.execute(sql.WAITING)).one()
            given_up = (await connection.execute(sql.GIVEN_UP)).scalar_one()
            last = (await connection.execute(sql.LAST_SENT)).scalar()
        return Outgoing(waiting, oldest, given_up, last)


def _values(event: KeptEvent, next_at: int | None) -> dict[str, Any]:
    return {
        "id": event.id,
        "kind": event.kind,
        "subject": event.subject,
        "at": event.at,
        "content": msgspec.to_builtins(event.content),
        "next_at": next_at,
    }


def _event(row: RowMapping) -> KeptEvent:
    return KeptEvent(
        id=row["id"],
        kind=row["kind"],
        subject=row["subject"],
        at=row["at"],
        content=msgspec.convert(row["content"], Passed),
        tries=row["tries"],
    )
