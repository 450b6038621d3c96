"""How far the journal is signed."""

from pathlib import Path

import msgspec

from chatvault.audit.heads import plain_heads
from chatvault.audit.lines import Heads, Signed
from chatvault.audit.reader import ChainReader


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """`number` and `at` (microseconds) are those of the last signature of this life of control, None before
    the first. `unsigned` counts the lines after it, all chains together; the last signature itself is not
    counted."""

    number: int | None
    at: int | None
    unsigned: int
    chains: int
    """That have a segment which is not sealed."""


class SignedSoFar:
    """Follows control's own chain: a signature names only the heads that have moved since the one before,
    the first of a life all. Blocking, for a thread; one at a time."""

    def __init__(self, folder: Path, chain: str) -> None:
        self._folder = folder
        self._chain = chain
        self._reader = ChainReader(folder, chain)
        self._heads: Heads = {}
        self._last: Signed | None = None

    def coverage(self) -> Coverage:
        """Raises JournalError and OSError."""
        # The heads first: a line that is written meanwhile makes the difference smaller, never negative.
        heads = plain_heads(self._folder)
        with self._reader:  # which goes on where it was, the next time
            for line, _, _, _ in self._reader:
                if isinstance(line, Signed):
                    self._heads.update(line.heads)
                    self._heads[self._chain] = (line.seq, "")
                    self._last = line
        unsigned = sum(max(0, seq - self._heads.get(chain, (0, ""))[0]) for chain, (seq, _) in heads.items())
        return Coverage(
            number=None if self._last is None else self._last.number,
            at=None if self._last is None else self._last.at,
            unsigned=unsigned,
            chains=len(heads),
        )

    def close(self) -> None:
        self._reader.close()
