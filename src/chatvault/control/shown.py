"""What all workers say of their windows, added up: each has its share of a limit, unless a store has
the whole, which all of them say then."""

import asyncio
from contextlib import suppress

import msgspec

from chatvault.access.limits import Scope
from chatvault.access.reading import Reading
from chatvault.feed.messages import Readings


class Shown:
    """One question to all workers. `missing` are those that have not answered."""

    def __init__(self, missing: set[int]) -> None:
        self.missing = missing
        self.more = 0
        """Windows that a worker had beyond the most it tells."""
        self._rows: dict[tuple[Scope, str, str], Reading] = {}
        self._shared: set[tuple[Scope, str, str]] = set()
        self._done = asyncio.Event()
        if not missing:
            self._done.set()

    def take(self, worker: int, message: Readings) -> None:
        if worker not in self.missing:
            return
        self.missing.discard(worker)
        self.more = max(self.more, message.more)
        for row in message.rows:
            key = (row.scope, row.subject, row.limit)
            known = self._rows.get(key)
            if known is None or (message.shared and key not in self._shared):
                self._rows[key] = row
            elif not message.shared and key not in self._shared:
                self._rows[key] = _sum(known, row)
            if message.shared:
                self._shared.add(key)
        if not self.missing:
            self._done.set()

    async def wait(self, patience: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), patience)

    def rows(self) -> list[Reading]:
        """The fullest first."""
        return sorted(
            self._rows.values(),
            key=lambda row: (-(row.used / row.most if row.most else 1.0), row.scope, row.subject, row.limit),
        )


def _sum(one: Reading, other: Reading) -> Reading:
    frees = [each.frees for each in (one, other) if each.used]
    return msgspec.structs.replace(
        one,
        used=one.used + other.used,
        frees=min(frees, default=0.0),
        reset=max(one.reset, other.reset),
        running=one.running + other.running,
    )
