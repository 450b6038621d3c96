"""Refused calls on record, without letting guessing fill the disk: the first of a kind has a line at once,
and all further ones of the same kind from the same address within a second share one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.audit.lines import Private, Refused
from chatvault.audit.redaction import redact
from chatvault.core.clock import now_us
from chatvault.core.errors import ChatVaultError, JournalError, Unavailable
from chatvault.core.ids import new_id

if TYPE_CHECKING:
    from chatvault.gateway.call import Call
    from chatvault.gateway.connection import ClientConnection
    from chatvault.gateway.worker import Worker

_MAX_KINDS: Final = 1000
"""Kinds of refusal told apart within a second; beyond that they share the address `*`."""


_MAX_KINDS_EACH: Final = 16
"""Kinds of one address; beyond that they share a line."""


class _Kind(msgspec.Struct, frozen=True, gc=False):
    address: str
    code: str
    endpoint: str
    token: str | None


class Refusals:
    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._seen: dict[_Kind, Refused | None] = {}
        """None: the line of this second is written, and nothing has come since."""
        self._kinds: dict[str, int] = {}

    def refused(self, call: "Call", error: ChatVaultError) -> None:
        """Put the refusal of a call on record."""
        grant = call.grant
        endpoint = call.endpoint.name if call.endpoint is not None else "unknown"
        line = Refused(
            at=call.at,
            id=call.id,
            status=error.http_status,
            code=error.code,
            endpoint=endpoint,
            trace=call.trace,
        )
        if grant is not None:
            line.token, line.project, line.user = grant.token, grant.project, grant.user
        self._record(
            _Kind(call.connection.address, error.code, endpoint, line.token), line, call.client, error
        )

    def unreadable(self, connection: "ClientConnection", error: ChatVaultError) -> str:
        """Put on record what never became a call; its id."""
        line = Refused(
            at=now_us(), id=new_id(), status=error.http_status, code=error.code, endpoint="unreadable"
        )
        self._record(
            _Kind(connection.address, error.code, "unreadable", None),
            line,
            lambda: self._worker.client_of(connection),
            error,
        )
        return line.id

    def tick(self) -> None:
        """Once a second: write what was counted, forget what is quiet."""
        seen, self._seen = self._seen, {}
        self._kinds.clear()
        for line in seen.values():
            if line is not None:
                self._append(line)

    def no_journal(self, error: JournalError) -> Unavailable:
        return Unavailable(
            f"The gateway cannot put calls on record, so it takes none. {error.message}",
            code="journal_unavailable",
            retry_after=5,
        )

    def _record(
        self, kind: _Kind, line: Refused, client: Callable[[], Private | None], error: ChatVaultError
    ) -> None:
        if kind not in self._seen:
            if len(self._seen) >= _MAX_KINDS:
                kind = _Kind("*", "*", "*", None)
            elif self._kinds.get(kind.address, 0) >= _MAX_KINDS_EACH:
                kind = _Kind(kind.address, "*", "*", None)
            self._kinds[kind.address] = self._kinds.get(kind.address, 0) + 1
        if kind not in self._seen:
            self._seen[kind] = None
            line.client = client()
            line.private = self._private(line.id, error)
            self._append(line)
            return
        counted = self._seen[kind]
        if counted is None:
            self._seen[kind] = line
        else:
            counted.count += 1

    def _private(self, id: str, error: ChatVaultError) -> Private | None:
        try:
            return self._worker.journal.private(id, "refusal", {"error": redact(error.message[:1024])})
        except JournalError:
            return None

    def _append(self, line: Refused) -> None:
        try:
            self._worker.journal.append(line)
        except JournalError as error:
            self._worker.journal_failed(error)
