"""What tokens, users and projects used before a worker's life began: told to the worker once, when it first asks for a
grant that is limited by them, so that its windows go on where they were.

The answer to a look-up waits for it for a moment only. What the ledger says later is sent later, and counts from then
on; what it cannot say is not counted. One question is asked at a time, so that a slow ledger gathers no load.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from chatvault.access.holder import Subject
from chatvault.access.limits import Limited
from chatvault.access.past import Past, spans_of
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError, Unavailable
from chatvault.feed.frames import frame
from chatvault.feed.messages import Recalled

PATIENCE: Final = 0.05
"""Seconds that the answer to a look-up waits at most."""
_TOGETHER: Final = 256
"""Subjects of one question."""
_MOST: Final = 100_000
"""Subjects that a worker may be told of; after them their windows begin empty."""
_MICRO: Final = 1_000_000

_log = logging.getLogger(__name__)


class PastSource(Protocol):
    """What knows what was used. Raises OperatorError, Unavailable."""

    async def past(self, spans: dict[Subject, set[int]], before: int, now: int) -> list[Past]:
        """What these used before a time, within the spans (seconds) that end now. Microseconds since the epoch."""
        ...


class RecallAsker(Protocol):
    """A worker. `recalled` is whose past it was told."""

    recalled: set[Subject]

    @property
    def began(self) -> int: ...

    def send(self, data: bytes) -> None: ...


class Recall:
    """`run` has to be kept running. Until `open`, nothing is known of the past."""

    def __init__(self) -> None:
        self._source: PastSource | None = None
        self._wanted: dict[RecallAsker, dict[Subject, set[int]]] = {}
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._late = False

    def open(self, source: PastSource) -> None:
        self._source = source
        if self._wanted:
            self._some.set()

    def ask(self, asker: RecallAsker, limited: Iterable[Limited]) -> None:
        """Have the worker told what it does not know yet."""
        began, now = asker.began, now_us()
        for subject, spans in spans_of(limited).items():
            reach = {span for span in spans if now - span * _MICRO < began}
            if reach and subject not in asker.recalled and len(asker.recalled) < _MOST:
                asker.recalled.add(subject)
                self._wanted.setdefault(asker, {})[subject] = reach
                self._idle.clear()
                if self._source is not None:
                    self._some.set()

    async def wait(self) -> None:
        """Until all that was asked is told, or the patience of look-ups is over."""
        if self._idle.is_set() or self._source is None or self._late:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._idle.wait()
        except TimeoutError:
            self._late = True  # others need not wait, too, until it has caught up

    async def run(self) -> None:
        """Ask and tell, for ever."""
        while True:
            await self._some.wait()
            while self._wanted:
                await self._next()
            self._some.clear()
            self._idle.set()
            self._late = False

    async def _next(self) -> None:
        asker, wanted = next(iter(self._wanted.items()))
        spans = dict(list(wanted.items())[:_TOGETHER])
        for subject in spans:
            del wanted[subject]
        if not wanted:
            del self._wanted[asker]
        found = await self._ask(spans, asker.began)
        if found:
            asker.send(frame(Recalled(tuple(found))))

    async def _ask(self, spans: dict[Subject, set[int]], before: int) -> Sequence[Past]:
        assert self._source is not None
        try:
            return await self._source.past(spans, before, now_us())
        except (OperatorError, Unavailable) as error:
            _log.info("Windows of limits begin empty: %s", error.message)
            return ()
