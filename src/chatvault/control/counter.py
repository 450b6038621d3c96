"""Counts the tokens of calls whose provider did not, where their bodies are kept, and puts the counts on record.

It follows the journal as it is written, from where it ends when control starts: what was closed while control was away
stays estimated, and no call is counted twice. What it finds goes into control's own chain as `counted` lines, so that
the ledger can be made again without the bodies, which may be erased, and without this tokenizer. Nothing waits for it.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from chatvault.audit.keeper import JournalKeeper
from chatvault.audit.lines import Closed, Counted, Opened, Private
from chatvault.audit.reader import ChainReader, chains, read_private
from chatvault.config.snapshot import Snapshot
from chatvault.control.recount import Counts, recount
from chatvault.core.clock import now_us
from chatvault.core.errors import JournalError, OperatorError
from chatvault.core.states import CostSource
from chatvault.core.usage import Usage
from chatvault.counting.tokenizers import Tokenizers
from chatvault.pricing.book import PriceBook
from chatvault.pricing.price import cost

_log = logging.getLogger(__name__)
_EVERY: Final = 2.0
_MOST_OPEN: Final = 10_000
"""Calls under way whose requests are remembered by their place; beyond that the oldest is left estimated."""


class _Place(msgspec.Struct, frozen=True):
    chain: str
    segment: int
    private: Private


class Counter:
    """`look` runs in a thread, one at a time; all else on the event loop."""

    def __init__(
        self,
        keeper: JournalKeeper,
        snapshot: Callable[[], Snapshot],
        tokenizers: Callable[[], Counts] = Tokenizers,
        every: float = _EVERY,
    ) -> None:
        self._keeper = keeper
        self._snapshot = snapshot
        self._make = tokenizers
        self._every = every
        self._folder = keeper.writer.folder
        self._readers: dict[str, ChainReader] = {}
        self._open: dict[str, _Place] = {}
        self._tokenizers: Counts | None = None
        self._book: tuple[int, PriceBook] | None = None

    async def run(self) -> None:
        """Until cancelled, or until it is plain that nothing can be counted here."""
        try:
            await asyncio.to_thread(self._begin)
        except OSError as error:
            _log.warning("Tokens cannot be counted, since the journal cannot be read: %s", error)
            return
        while True:
            await asyncio.sleep(self._every)
            snapshot = self._snapshot()
            if snapshot.audit.bodies != "full":
                continue
            try:
                lines = await asyncio.to_thread(self.look, snapshot)
                for line in lines:
                    self._keeper.writer.append(line)
            except OperatorError as error:
                _log.info("What providers do not count stays estimated. %s", error.message)
                return
            except (JournalError, OSError) as error:
                _log.warning("Tokens could not be counted; they stay estimated: %s", error)

    def look(self, snapshot: Snapshot) -> list[Counted]:
        """What was closed since the last time, counted. Raises OperatorError where there are no tokenizers,
        JournalError, OSError."""
        if self._tokenizers is None:
            self._tokenizers = self._make()
        found: list[Counted] = []
        for chain in chains(self._folder):
            if chain == self._keeper.writer.chain:
                continue
            reader = self._readers.setdefault(chain, ChainReader(self._folder, chain, lenient=True))
            for line, _, segment, _ in reader:
                self._see(line, _Place(chain, segment, Private("", 0, 0)), snapshot, found)
            reader.close()
        return found

    def _begin(self) -> None:
        """Where the chains end now."""
        for chain, segments in chains(self._folder).items():
            last = segments[-1]
            number, offset = (last.number + 1, 0) if last.compressed else (last.number, _end(last.path))
            self._readers[chain] = ChainReader(self._folder, chain, number, offset, lenient=True)

    def _see(self, line: object, at: _Place, snapshot: Snapshot, found: list[Counted]) -> None:
        if isinstance(line, Opened) and line.private is not None:
            if len(self._open) >= _MOST_OPEN:
                del self._open[next(iter(self._open))]
            self._open[line.id] = msgspec.structs.replace(at, private=line.private)
        elif isinstance(line, Closed):
            asked = self._open.pop(line.id, None)
            if asked is not None and line.usage_source == "estimated":
                answer = msgspec.structs.replace(at, private=line.private) if line.private else None
                counted = self._count(line, asked, answer, snapshot)
                if counted is not None:
                    found.append(counted)

    def _count(
        self, line: Closed, asked: _Place, answer: _Place | None, snapshot: Snapshot
    ) -> Counted | None:
        assert self._tokenizers is not None
        request, reply = self._read(asked), self._read(answer) if answer is not None else {}
        if request is None or reply is None:
            return None
        made = recount(line, request, reply, self._tokenizers)
        if made is None:
            return None
        amount, source = self._cost(line, made[0], snapshot)
        return Counted(
            at=now_us(), id=line.id, usage=made[0], cost=amount, cost_source=source, tokenizer=made[1]
        )

    def _read(self, place: _Place) -> dict[str, object] | None:
        return read_private(self._folder, place.chain, place.segment, place.private)

    def _cost(self, line: Closed, usage: Usage, snapshot: Snapshot) -> tuple[int | None, CostSource]:
        """At the price that the call was admitted with, if it is still known; what does not hang on the usage stays."""
        if line.cost_source not in ("estimated", "unknown"):
            return line.cost, line.cost_source
        provider = snapshot.providers.get(line.provider or "")
        if provider is None or line.target is None or line.price is None:
            return None, "unknown"
        if self._book is None or self._book[0] != snapshot.version:
            self._book = snapshot.version, PriceBook(snapshot.prices, models=snapshot.models)
        price = self._book[1].price(provider.price_id, line.target, provider.name, line.opened_at)
        if price is None or price.version != line.price:
            return None, "unknown"
        amount = cost(price, usage)
        return (amount, "counted") if amount is not None else (None, "unknown")


def _end(path: Path) -> int:
    """The offset behind the last whole line. Raises OSError."""
    return path.read_bytes().rfind(b"\n") + 1
