"""Whether a token that expires when it is idle has been idle for too long.

A token's use is a call with it, or with one that it has minted; minting is one, too. Workers report uses every few
seconds; what was used before this life of control began, the ledger knows. Where the ledger lags, or cannot be asked,
nobody is said to be idle: that is then not known.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol

from chatvault.access.holder import Holder
from chatvault.core.clock import now_us
from chatvault.core.errors import ChatVaultError
from chatvault.ledger.state import RecorderState

Verdict = Literal["used", "expired", "unavailable"]

_MOST: Final = 100_000
"""Tokens whose last use is remembered; beyond them the longest unused is left to the ledger."""
_SILENT: Final = 30_000_000
"""Microseconds after which a recorder that says nothing does not run."""

_log = logging.getLogger(__name__)


class Record(Protocol):
    """Tells what is on record. Raises ChatVaultError where that cannot be asked."""

    async def last_uses(self, tokens: Sequence[str], since_us: int) -> dict[str, int]: ...

    async def lag(self) -> RecorderState | None: ...


class Family(Protocol):
    """Tells which tokens each of these has minted, itself or through others, and when. Raises OperatorError."""

    async def below(self, token_ids: Sequence[str]) -> dict[str, dict[str, int]]: ...


class Idleness:
    """`slack` is microseconds: so much later a use may be heard of."""

    def __init__(self, slack: int, now: Callable[[], int] = now_us) -> None:
        self._slack = slack
        self._now = now
        self._began = now()
        self._seen: dict[str, int] = {}
        self._record: Record | None = None
        self._family: Family | None = None

    def open(self, record: Record, family: Family) -> None:
        self._record, self._family = record, family

    def used(self, tokens: Iterable[str]) -> None:
        """A worker has said that these were used."""
        now = self._now()
        for token in tokens:
            self._see(token, now)

    async def judge(self, holders: Iterable[Holder]) -> list[Verdict]:
        """Whether each, or one that it was minted by, was idle for too long. Raises OperatorError."""
        unseen = [self._unseen(holder) for holder in holders]
        asked = dict(pair for pairs in unseen for pair in pairs)
        verdicts = await self._ask(asked) if asked else {}
        return [
            next((verdicts[token] for token, _ in pairs if verdicts[token] != "used"), "used")
            for pairs in unseen
        ]

    def _unseen(self, holder: Holder) -> list[tuple[str, int]]:
        """Those it stands on that may be idle for all that is known here, and since when they should have been used."""
        now = self._now() - self._slack
        found, made = [], 0
        for token in (holder.token, *holder.parents):
            made = max(made, token.created_at)
            if token.idle is not None and max(made, self._seen.get(token.id, 0)) <= now - token.idle:
                found.append((token.id, now - token.idle))
        return found

    async def _ask(self, since: dict[str, int]) -> dict[str, Verdict]:
        if self._record is None or self._family is None:
            return dict.fromkeys(since, "unavailable")
        below = await self._family.below(list(since))
        everyone = {*since, *(child for children in below.values() for child in children)}
        try:
            called = await self._record.last_uses(sorted(everyone), min(since.values()))
            level = self._level(await self._record.lag())
        except ChatVaultError as error:
            _log.warning("Which tokens were idle cannot be told: %s", error.message)
            return dict.fromkeys(since, "unavailable")
        verdicts: dict[str, Verdict] = {}
        for token, at in since.items():
            minted = below.get(token, {})
            last = max(
                called.get(token, 0), *(max(made, called.get(each, 0)) for each, made in minted.items()), 0
            )
            if last > at:
                self._see(token, last)
            verdicts[token] = "used" if last > at else "expired" if level else "unavailable"
        return verdicts

    def _level(self, state: RecorderState | None) -> bool:
        """Whether the ledger knows all that happened before this life of control."""
        return (
            state is not None
            and state.at > max(self._began, self._now() - _SILENT)
            and state.bytes_behind is not None
            and state.seconds_behind * 1e6 <= self._slack
        )

    def _see(self, token: str, at: int) -> None:
        seen = self._seen
        at = max(at, seen.pop(token, 0))
        if len(seen) >= _MOST:
            del seen[next(iter(seen))]
        seen[token] = at  # so that the longest unused is the first
