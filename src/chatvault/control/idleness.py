"""Whether a token that expires when it is idle has been idle for too long.

A token's use is a call with it, or with one that it has minted; minting is one, too. Workers report uses every few
seconds; what was used before this life of control began, the ledger knows. Where the ledger lags, or cannot be asked,
nobody is said to be idle: that is then not known.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol

from chatvault.access.holder import Holder
from chatvault.access.token import Token
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

    async def last_use(self, tokens: Sequence[str], since_us: int) -> int | None: ...

    async def lag(self) -> RecorderState | None: ...


class Family(Protocol):
    """Tells which tokens one has minted, itself or through others, and when the last was. Raises OperatorError."""

    async def below(self, token_id: str) -> tuple[list[str], int]: ...


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

    async def judge(self, holder: Holder) -> Verdict:
        """Whether it, or one that it was minted by, was idle for too long. Raises OperatorError."""
        line = (holder.token, *holder.parents)
        for place, token in enumerate(line):
            if token.idle is None:
                continue
            since = self._now() - token.idle - self._slack
            made = max(each.created_at for each in line[: place + 1])
            if max(made, self._seen.get(token.id, 0)) <= since:
                verdict = await self._ask(token, since)
                if verdict != "used":
                    return verdict
        return "used"

    async def _ask(self, token: Token, since: int) -> Verdict:
        if self._record is None or self._family is None:
            return "unavailable"
        below, minted = await self._family.below(token.id)
        try:
            called = await self._record.last_use([token.id, *below], since)
            level = self._level(await self._record.lag())
        except ChatVaultError as error:
            _log.warning("Whether %s was idle cannot be told: %s", token.id, error.message)
            return "unavailable"
        last = max(minted, called or 0)
        if last > since:
            self._see(token.id, last)
            return "used"
        return "expired" if level else "unavailable"

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
