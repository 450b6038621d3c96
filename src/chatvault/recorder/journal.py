"""All chains of a journal, each followed by a tail of its own."""

import logging
import os
import time
from pathlib import Path
from typing import Final

import msgspec

from chatvault.audit.lines import Sealed
from chatvault.audit.segments import chains, sync_folder
from chatvault.ledger.batch import Batch, Position
from chatvault.ledger.state import BrokenChain
from chatvault.recorder.tail import Found, Tail

_log = logging.getLogger("chatvault.recorder")

BATCH: Final = 4 << 20
"""Bytes of the journal that are applied at a time: some 4,000 calls, in 30 MB of memory."""
_SHARE: Final = 1 << 18
"""Bytes a chain may always add to a batch, however many chains there are."""
_LOOK_AGAIN: Final = 5.0
"""Seconds after which broken chains are looked at again."""
_COARSE: Final = 1.0
"""Seconds: a folder's time of change may be as coarse as this, so one that was changed just now is listed
again."""


class Lag(msgspec.Struct, frozen=True):
    """`bytes`: None where it is not known. `since`: when the oldest line that waits was written,
    microseconds since the epoch; None if nothing waits, or nobody knows."""

    bytes: int | None
    since: int | None


class Journal:
    """`positions` say how far each chain was read before; chains that are not named there are read from
    their beginning."""

    def __init__(self, folder: Path, positions: dict[str, Position]) -> None:
        self._folder = folder
        self._positions = positions
        self._tails: dict[str, Tail] = {}
        self._stubs: dict[tuple[str, int], Sealed] = {}
        self._changed_ns = -1
        self._listed_at = 0.0
        self._mended_at = time.monotonic()
        self._new_names = False
        self._more = False
        self._told: dict[str, BrokenChain] = {}

    @property
    def more(self) -> bool:
        """Whether the last batch was cut short by its size."""
        return self._more

    @property
    def broken(self) -> list[BrokenChain]:
        return [tail.broken for tail in self._tails.values() if tail.broken is not None]

    def read(self) -> Batch | None:
        """The next lines of all chains, durable on disk; None if there are none now. Raises OSError."""
        self._list()
        self._mend()
        found = Found()
        moved: list[Tail] = []
        size, self._more = 0, False
        for tail in self._tails.values():
            if tail.broken is not None:
                continue
            before = tail.position
            budget = max(_SHARE, BATCH - size)
            taken = tail.read(budget, found, self._stubs)
            size += taken
            self._more = self._more or taken >= budget
            if tail.position != before:
                moved.append(tail)
            self._tell(tail)
        for stub in found.stubs:
            self._stubs[stub.chain, stub.segment] = stub
        if not moved:
            return None
        # The chain that took most of this batch is last in the next one.
        self._tails = {
            tail.chain: tail for tail in [*(t for t in self._tails.values() if t not in moved), *moved]
        }
        for tail in moved:
            tail.sync()
        if self._new_names:
            sync_folder(self._folder)
            self._new_names = False
        return Batch(
            found.entries, found.prices, [tail.position for tail in moved], found.lines, size, found.counts
        )

    def lag(self) -> Lag:
        """What is on disk and not read yet; broken chains are left out. Raises OSError."""
        total, since = 0, None
        for tail in self._tails.values():
            behind = tail.behind()
            if behind:
                total += behind
                at = tail.waiting_since()
                if at is not None and (since is None or at < since):
                    since = at
        return Lag(total, since)

    def close(self) -> None:
        for tail in self._tails.values():
            tail.close()

    def _list(self) -> None:
        """List the folder, unless nothing was made, renamed or removed in it since the last time."""
        try:
            changed = os.stat(self._folder).st_mtime_ns
        except FileNotFoundError:
            return
        now = time.time()
        if changed == self._changed_ns and self._listed_at > changed / 1e9 + _COARSE:
            return
        for chain, segments in chains(self._folder).items():
            tail = self._tails.get(chain)
            if tail is None:
                tail = Tail(self._folder, self._positions.get(chain) or Position(chain))
                self._tails[chain] = tail
            self._new_names = self._new_names or len(tail.segments) != len(segments)
            tail.listed(segments)
        self._changed_ns, self._listed_at = changed, now

    def _mend(self) -> None:
        now = time.monotonic()
        if now - self._mended_at < _LOOK_AGAIN:
            return
        self._mended_at = now
        for tail in self._tails.values():
            if tail.broken is not None:
                tail.mend()

    def _tell(self, tail: Tail) -> None:
        """Log a chain that is broken, once, and one that is whole again."""
        broken = tail.broken
        if broken is None:
            if self._told and self._told.pop(tail.chain, None) is not None:
                _log.warning("The journal's chain %s is whole again, and is followed on.", tail.chain)
        elif self._told.get(tail.chain) != broken:
            self._told[tail.chain] = broken
            _log.error("%s", _broken_text(broken))


def _broken_text(broken: BrokenChain) -> str:
    return (
        f"The journal's chain {broken.chain} is broken at {broken.file}:{broken.line}: {broken.why}. Nothing "
        "from there on is put into the ledger; other chains go on. `chatvault audit verify` shows the extent."
    )
