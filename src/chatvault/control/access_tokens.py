"""The access tokens that calls to some providers are signed with: got ahead of time, handed to the workers, got again.

One that could not be got is tried for again, ever more slowly, while the one before still holds; that it fails is said
in the log and in `/health/details`.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from chatvault.config.snapshot import AccessToken
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError
from chatvault.providers.google_account import GoogleAccount

PART: Final = 0.8
"""Of a token's life, after which there is to be another."""
_JITTER: Final = 0.1
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_STEP: Final = 30.0
"""Seconds slept at a time: a machine that was suspended finds at once that its token is old."""

_log = logging.getLogger(__name__)


class TokenState(msgspec.Struct):
    """How one provider's tokens are. Times are in microseconds since the epoch."""

    got_at: int | None = None
    expires_at: int | None = None
    fault: str | None = None
    """Why the last try got none."""


class AccessTokens:
    """`lend` hears all present tokens, by provider, whenever one is new or gone. `run` gets them."""

    def __init__(
        self,
        lend: Callable[[dict[str, AccessToken]], None],
        exchange: Callable[[GoogleAccount], Awaitable[AccessToken]],
        accounts: Mapping[str, GoogleAccount],
    ) -> None:
        self._lend = lend
        self._exchange = exchange
        self._accounts = dict(accounts)
        self._tokens: dict[str, AccessToken] = {}
        self._states: dict[str, TokenState] = {name: TokenState() for name in accounts}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def states(self) -> Mapping[str, TokenState]:
        return self._states

    def configure(self, accounts: Mapping[str, GoogleAccount]) -> None:
        """Get tokens for these from now on. Those of accounts that have not changed are kept."""
        old, self._accounts = self._accounts, dict(accounts)
        gone = [name for name, account in old.items() if accounts.get(name) != account]
        for name in gone:
            self._tokens.pop(name, None)
            self._states.pop(name, None)
            task = self._tasks.pop(name, None)
            if task is not None:
                task.cancel()
        if gone:
            self._lend(dict(self._tokens))
        self._start()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start()
            await asyncio.Event().wait()

    def _start(self) -> None:
        if self._group is None:
            return
        for name, account in self._accounts.items():
            if name not in self._tasks:
                state = self._states[name] = TokenState()
                self._tasks[name] = self._group.create_task(self._keep(name, account, state))

    async def _keep(self, name: str, account: GoogleAccount, state: TokenState) -> None:
        failures = 0
        while True:
            try:
                token = await self._exchange(account)
            except OperatorError as error:
                failures += 1
                pause = min(_FIRST_PAUSE * 2 ** min(failures - 1, 10), _LONGEST_PAUSE)
                pause *= random.uniform(1 - _JITTER, 1 + _JITTER)
                state.fault = error.message
                _log.error(
                    "No new access token for the provider %s: %s Trying again in %.0f s.",
                    name,
                    error.message,
                    pause,
                )
            else:
                failures, state.fault = 0, None
                state.got_at, state.expires_at = now_us(), token.expires_at
                self._tokens[name] = token
                self._lend(dict(self._tokens))
                life = (token.expires_at - state.got_at) / 1e6
                pause = max(life, 0) * (PART - random.uniform(0, _JITTER))
            await _until(now_us() + int(pause * 1e6))


async def _until(moment: int) -> None:
    """Sleep until a time on the clock on the wall, in microseconds since the epoch."""
    while (left := (moment - now_us()) / 1e6) > 0:  # noqa: ASYNC110  the clock sets no event
        await asyncio.sleep(min(left, _STEP))
