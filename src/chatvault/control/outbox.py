"""The way of an event onto the record, exactly once, whatever is killed when.

    a row in the vault, whose id says what happened     so that it is never made twice
    the line in control's own chain
    the chain made durable
    the row marked as recorded                          so that the line is never written twice

Between any two of these control may die. At its start it looks in its own chains for the events that are not marked,
before it writes any of them; while it lives it knows what it wrote.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from chatvault.access.threshold import KeptEvent
from chatvault.audit.lines import Event
from chatvault.control.ports import Events
from chatvault.core.clock import now_us
from chatvault.core.errors import JournalError

OnRecord = Callable[[Collection[str], int], set[str]]
"""Which of these ids control's chains have; none is older than the time. It blocks, and is called in a thread."""


class EventStore(Protocol):
    """Methods raise OperatorError when it cannot be asked."""

    async def add(self, events: Sequence[KeptEvent], next_at: int | None) -> None: ...

    async def unrecorded(self) -> list[KeptEvent]: ...

    async def recorded(self, ids: Sequence[str], at_us: int) -> None: ...


class Outbox:
    """One task uses it. `sending`: whether events are to be sent, too; `on_its_way` hears when there are some.
    Methods raise OperatorError and OSError; then they are to be called again."""

    def __init__(
        self,
        store: EventStore,
        journal: Events,
        on_record: OnRecord,
        sending: Callable[[], bool],
        on_its_way: Callable[[], None],
    ) -> None:
        self._store = store
        self._journal = journal
        self._on_record = on_record
        self._sending = sending
        self._on_its_way = on_its_way
        self._written: set[str] | None = None
        """What is in the chain and may not be marked yet; None: nobody has looked."""
        self._pending = True

    async def put(self, events: Sequence[KeptEvent]) -> None:
        """Keep those that are new; `flush` puts them on record."""
        self._pending = True
        await self._store.add(events, now_us() if self._sending() else None)

    async def flush(self) -> None:
        """Put on record what is not. Costs nothing where nothing was put."""
        if not self._pending:
            return
        events = await self._store.unrecorded()
        if events:
            await self._record(events)
            self._on_its_way()
        self._pending = False

    async def _record(self, events: list[KeptEvent]) -> None:
        ids = [event.id for event in events]
        if self._written is None:
            self._written = await asyncio.to_thread(self._look, ids, min(event.at for event in events))
        for event in events:
            if event.id not in self._written:
                self._journal.event(_line(event))
                self._written.add(event.id)
        await self._journal.harden()
        await self._store.recorded(ids, now_us())
        self._written.difference_update(ids)

    def _look(self, ids: list[str], since: int) -> set[str]:
        try:
            return self._on_record(ids, since)
        except OSError as error:
            raise JournalError(
                f"Control's own chains cannot be read: {error.strerror or error}. "
                "Make the journal readable for this user."
            ) from error


def _line(event: KeptEvent) -> Event:
    said = event.content
    return Event(
        at=now_us(),
        id=event.id,
        what=event.kind,
        subject=event.subject,
        start=said.start,
        percent=said.percent,
        spent=said.spent,
        amount=said.amount,
        unit=said.unit,
    )
