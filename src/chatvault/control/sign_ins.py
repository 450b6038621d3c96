"""Failed sign-ins at the control port: on record, and limited by where they come from."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from starlette.requests import Request

from chatvault.access.failures import Failures
from chatvault.access.limiter import MICRO
from chatvault.audit.floods import Floods
from chatvault.audit.lines import Line, Private, Refused
from chatvault.audit.redaction import redact
from chatvault.config.networks import client_address, parse_networks, place_of
from chatvault.config.snapshot import Snapshot
from chatvault.core.clock import now_us
from chatvault.core.errors import ChatVaultError, JournalError, RateLimited
from chatvault.core.ids import new_id

ENDPOINT: Final = "control"
"""What these refusals name as their endpoint."""

_log = logging.getLogger(__name__)


class Chain(Protocol):
    """Where they go on record: control's own chain."""

    def append(self, line: Line) -> None: ...

    def private(self, id: str, kind: str, data: dict[str, object]) -> Private: ...


class SignIns:
    """`snapshot` gives the configuration as it is now. `run` has to be kept running."""

    def __init__(self, chain: Chain, snapshot: Callable[[], Snapshot]) -> None:
        self._chain = chain
        self._snapshot = snapshot
        self._failures = Failures()
        self._floods = Floods(self._append)

    def place(self, request: Request) -> str:
        """Where a request comes from, as far as trusted proxies say."""
        return place_of(self._address(request))

    def attempt(self, place: str) -> int:
        """Somebody tries a credential. It counts as wrong, so that many at a time do not pass together, until `good`
        takes it back by what this answers. Raises RateLimited."""
        now = _now()
        self._failures.resize(self._snapshot().limits.failures_per_minute)
        wait = self._failures.wait(place, now)
        if wait is not None:
            raise RateLimited(
                f"Too many sign-ins from this address failed. Try again in {wait} s, or use the owner's socket.",
                code="too_many_failures",
                retry_after=wait,
            )
        return self._failures.failed(place, now)

    def good(self, place: str, at: int) -> None:
        self._failures.forgive(place, at)

    def refused(self, request: Request, error: ChatVaultError) -> None:
        """Put it on record; many from one address share a line."""
        line = Refused(at=now_us(), id=new_id(), status=error.http_status, code=error.code, endpoint=ENDPOINT)

        def dress(line: Refused) -> None:
            agent = request.headers.get("user-agent")
            who: dict[str, object] = {
                "address": self._address(request),
                "user_agent": None if agent is None else redact(agent[:256]),
            }
            line.client = self._chain.private(line.id, "client", who)

        self._floods.refused(self.place(request), line, dress)

    async def run(self) -> None:
        """Tend what was counted, until cancelled."""
        try:
            while True:
                await asyncio.sleep(1)
                self.tick()
        finally:
            self.tick()

    def tick(self) -> None:
        """Once a second."""
        self._floods.tick()
        self._failures.sweep(_now())

    def _address(self, request: Request) -> str:
        peer = request.client.host if request.client is not None else "unix"
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        trusted = parse_networks(self._snapshot().server.trusted_proxies)
        return client_address(peer, forwarded.encode("latin-1", "replace"), trusted)

    def _append(self, line: Refused) -> None:
        try:
            self._chain.append(line)
        except JournalError as error:
            _log.error("A failed sign-in could not be put on record: %s", error.message)


def _now() -> int:
    return int(time.monotonic() * MICRO)
