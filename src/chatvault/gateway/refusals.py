"""Refused calls on record, each with who asked and why; floods of them share lines."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatvault.audit.floods import Floods
from chatvault.audit.lines import Private, Refused
from chatvault.audit.redaction import redact
from chatvault.config.networks import place_of
from chatvault.core.clock import now_us
from chatvault.core.errors import ChatVaultError, JournalError, Unavailable
from chatvault.core.ids import new_id

if TYPE_CHECKING:
    from chatvault.gateway.call import Call
    from chatvault.gateway.connection import ClientConnection
    from chatvault.gateway.worker import Worker


class Refusals:
    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._floods = Floods(self._append)

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
        self._record(call.connection.address, line, call.client, error)

    def unreadable(self, connection: "ClientConnection", error: ChatVaultError) -> str:
        """Put on record what never became a call; its id."""
        line = Refused(
            at=now_us(), id=new_id(), status=error.http_status, code=error.code, endpoint="unreadable"
        )
        self._record(connection.address, line, lambda: self._worker.client_of(connection), error)
        return line.id

    def tick(self) -> None:
        """Once a second: write what was counted, forget who is quiet."""
        self._floods.tick()

    def no_journal(self, error: JournalError) -> Unavailable:
        return Unavailable(
            f"The gateway cannot put calls on record, so it takes none. {error.message}",
            code="journal_unavailable",
            retry_after=5,
        )

    def _record(
        self, address: str, line: Refused, client: Callable[[], Private | None], error: ChatVaultError
    ) -> None:
        def dress(line: Refused) -> None:
            line.client = client()
            line.private = self._private(line.id, error)

        self._floods.refused(place_of(address), line, dress)

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
