"""Look-ups of grants: read in batches, and never answered with what a revocation has overtaken."""

import asyncio
import logging
from typing import Final, Protocol

from chatvault.access.holder import Holder
from chatvault.access.store import GrantSource
from chatvault.control.idleness import Idleness, Verdict
from chatvault.control.recall import Recall, RecallAsker
from chatvault.core.errors import OperatorError
from chatvault.feed.frames import frame
from chatvault.feed.messages import Granted

BATCH = 256
"""Digests of one read."""

_NOBODY: Final[tuple[None, Verdict]] = (None, "used")
_log = logging.getLogger(__name__)


class Asker(RecallAsker, Protocol):
    """Who waits for an answer."""

    def answered(self) -> None: ...


class Lookups:
    """One reader for all workers. `run` has to be kept running.

    A grant is read, then sent; in between, a revocation may be pushed. The answer would then follow the push,
    and the worker would keep a grant that is no more. So each push is counted (`overtake`), and what was read
    before the count moved is read again. An answer and a push leave in one turn of the event loop each, so
    their order on the connection is the order of the facts.

    What was used before the worker began is told before its grant, if the ledger says so in time (`recall.py`).

    While the store cannot be asked, nothing is answered: the worker says 503 by itself, never 401.
    """

    def __init__(self, source: GrantSource, idleness: Idleness, recall: Recall, retry: float = 0.5) -> None:
        self._source = source
        self._idleness = idleness
        self._recall = recall
        self._retry = retry
        self._moved = 0
        self._waiting: dict[bytes, list[Asker]] = {}
        self._some = asyncio.Event()

    def ask(self, asker: Asker, digest: bytes) -> None:
        self._waiting.setdefault(digest, []).append(asker)
        self._some.set()

    def overtake(self) -> None:
        """What is being read now may be stale: something was revoked or changed."""
        self._moved += 1

    async def run(self) -> None:
        while True:
            await self._some.wait()
            batch = list(self._waiting)[:BATCH]
            found = await self._read(batch)
            for digest in batch:
                answer = frame(_granted(digest, *found.get(digest, _NOBODY)))
                for asker in self._waiting.pop(digest):
                    asker.send(answer)
                    asker.answered()
            if not self._waiting:
                self._some.clear()

    async def _read(self, digests: list[bytes]) -> dict[bytes, tuple[Holder, Verdict]]:
        while True:
            moved = self._moved
            try:
                holders = await self._source.holders(digests)
                verdicts = await self._idleness.judge(holders.values())
            except OperatorError as error:
                _log.error("Tokens cannot be looked up: %s", error.message)
                await asyncio.sleep(self._retry)
                continue
            for digest, holder in holders.items():
                for asker in self._waiting[digest]:
                    self._recall.ask(asker, holder.grant().limits)
            await self._recall.wait()
            if moved == self._moved:
                return dict(zip(holders, zip(holders.values(), verdicts, strict=True), strict=True))


def _granted(digest: bytes, holder: Holder | None, verdict: Verdict) -> Granted:
    if holder is None:
        return Granted(digest=digest.hex(), reason="unknown")
    if holder.revoked:
        return Granted(digest=digest.hex(), reason="revoked")
    if verdict != "used":
        return Granted(digest=digest.hex(), reason=verdict)
    return Granted(digest=digest.hex(), grant=holder.grant())
