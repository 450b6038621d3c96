"""Watches what is spent of budgets, and tells the outbox when a threshold is passed.

Once a second it asks the lender of which budgets what is spent has changed, and the store only about those; at a start
about all that have used enough. What is spent is what ended chains used and what living workers have settled, without
reservations; it may fall when a cost is reconciled, and a threshold that was passed is passed for the period.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from chatvault.access.purse import Key
from chatvault.access.threshold import Level, passed
from chatvault.control.lender import Lender
from chatvault.control.outbox import Outbox
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError

EVERY: Final = 1.0
_BACK_US: Final = 93 * 86_400_000_000
"""How far back a period may have begun that is looked at after a start."""
_REMEMBERED: Final = 50_000

_log = logging.getLogger(__name__)


class LevelStore(Protocol):
    """Methods raise OperatorError when it cannot be asked."""

    async def levels(self, keys: Sequence[Key]) -> list[Level]: ...

    async def high_levels(self, percent: int, since_us: int) -> list[Level]: ...


class Thresholds:
    """`percents` are those that count now."""

    def __init__(
        self,
        store: LevelStore,
        lender: Lender,
        outbox: Outbox,
        percents: Callable[[], Sequence[int]],
        every: float = EVERY,
    ) -> None:
        self._store = store
        self._lender = lender
        self._outbox = outbox
        self._percents = percents
        self._every = every
        self._begun: tuple[int, ...] = ()
        """The thresholds for which all budgets were looked at once."""
        self._known: dict[str, None] = {}
        """Ids of events that were put, the oldest first: the outbox need not be asked about them again."""
        self._fault: str | None = None

    async def run(self) -> None:
        """For ever. What cannot be asked or written is tried again."""
        while True:
            try:
                await self.look()
            except (OperatorError, OSError) as error:
                if self._fault != str(error):
                    self._fault = str(error)
                    _log.error("That budgets have passed a threshold cannot be put on record yet: %s", error)
            else:
                self._fault = None
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Once. Raises OperatorError, OSError."""
        keys = self._lender.changed()
        try:
            await self._take(keys)
        except BaseException:
            self._lender.look_at(keys)
            raise
        await self._outbox.flush()

    async def _take(self, keys: set[Key]) -> None:
        percents, now = tuple(self._percents()), now_us()
        anew = percents != self._begun
        if not percents or not (keys or anew):
            return
        async with self._lender.still:
            if anew:
                keys = keys | {key for _, key in self._lender.balances()}
            levels = await self._store.levels(sorted(keys)) if keys else []
            if anew:
                levels += await self._store.high_levels(min(percents), now - _BACK_US)
            settled = self._lender.settled({level.key for level in levels})
        events = {
            event.id: event
            for level in levels
            for event in passed(level, level.used + settled[level.key], percents, now)
            if event.id not in self._known
        }
        if events:
            await self._outbox.put(list(events.values()))
            self._known.update(dict.fromkeys(events))
            for old in list(self._known)[: max(len(self._known) - _REMEMBERED, 0)]:
                del self._known[old]
        self._begun = percents
