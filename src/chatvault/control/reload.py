"""Taking over a changed configuration, as a transaction: resolve, record, push; or nothing changes."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import Response

from chatvault.control.answers import answer
from chatvault.control.auth import Caller, Gate, Permit
from chatvault.control.feed_server import FeedServer
from chatvault.control.keyring import Keyring
from chatvault.control.options import Resolved
from chatvault.control.ports import Journal, Recorded
from chatvault.core.errors import ClientError, OperatorError

_FIXED = ("host", "port", "admin_host", "admin_port", "workers")
"""Settings of the server that hold for the life of the process."""


class Reloaded(msgspec.Struct, frozen=True):
    version: int
    unacknowledged: list[int]
    """Workers that had not acknowledged it in time; they will have it."""
    restart_needed: list[str]
    """Settings that were changed, and that only a restart takes over."""


class Reload:
    def __init__(
        self,
        resolve: Callable[[], Awaitable[Resolved]],
        feed: FeedServer,
        journal: Journal,
        take: Callable[[Resolved], None],
        keyring: Keyring,
    ) -> None:
        """`take`: what of it stays in control is handed to those who use it."""
        self._take = take
        self._keyring = keyring
        self._resolve = resolve
        self._feed = feed
        self._journal = journal
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, who: str) -> Reloaded:
        """Raises OperatorError for a configuration that is wrong, JournalError when the change cannot be
        recorded; then all is as it was."""
        async with self._one_at_a_time:
            old = self._feed.snapshot
            resolved = await self._resolve()
            new = msgspec.structs.replace(resolved.snapshot, version=old.version + 1)
            before: dict[str, object] = {"version": old.version}
            with Recorded(self._journal, who, "config.reload", "config", before, {"version": new.version}):
                missing = await self._feed.configure(self._keyring.attached(new))
            self._take(resolved)
            changed = [f"server.{n}" for n in _FIXED if getattr(old.server, n) != getattr(new.server, n)]
            return Reloaded(new.version, missing, changed)


def reload_router(reload: Reload, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/config", tags=["config"])
    permit = Permit(gate, "config:write")

    @router.post("/reload")
    async def again(caller: Caller = Depends(permit)) -> Response:
        """Read the configuration again and hand it to the workers."""
        try:
            return answer(await reload(caller.who))
        except OperatorError as error:
            if error.code != "bad_config":
                raise
            raise ClientError(
                f"The configuration is wrong, and nothing was changed: {error.message}", code="bad_config"
            ) from None

    return router
