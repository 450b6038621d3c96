"""Removes tokens long after they have expired, every hour. What their calls did stays on record."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from chatvault.access.store import TokenStore
from chatvault.control.ports import Journal, Recorded
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError

WHO: Final = "control"
"""Who is on record for it."""
_EVERY: Final = 3600.0
_FIRST: Final = 60.0
"""Seconds after a start, when others have more need of the store."""
_BATCH: Final = 200
"""Tokens of one transaction, and of one line in the journal."""
_MOST: Final = 500
"""Batches of one time; what is left waits for the next."""

_log = logging.getLogger(__name__)


class Cleanup:
    """`keep` is how long an expired token is kept, in seconds, as it is configured now."""

    def __init__(
        self, store: TokenStore, journal: Journal, keep: Callable[[], float], batch: int = _BATCH
    ) -> None:
        self._store = store
        self._journal = journal
        self._keep = keep
        self._batch = batch

    async def run(self) -> None:
        """For ever."""
        pause = _FIRST
        while True:
            await asyncio.sleep(pause)
            pause = _EVERY
            try:
                removed = await self.sweep()
            except OperatorError as error:
                _log.error("Expired tokens could not be removed; that is tried again: %s", error.message)
            else:
                if removed:
                    _log.info("%d tokens were removed, which had expired long ago.", removed)

    async def sweep(self) -> int:
        """How many tokens were removed. Raises OperatorError, JournalError."""
        before = now_us() - int(self._keep() * 1_000_000)
        removed = 0
        for _ in range(_MOST):
            ids = await self._store.expired(before, self._batch)
            if not ids:
                await self._store.drop_expired((), before)
                break
            said: dict[str, object] = {"tokens": ids, "expired_before": before}
            with Recorded(self._journal, WHO, "token.remove", "tokens", before=said):
                await self._store.drop_expired(ids, before)
            removed += len(ids)
            if len(ids) < self._batch:
                break
        return removed
