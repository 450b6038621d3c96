"""What control needs of the journal's keeper. `audit.keeper.JournalKeeper` is it."""

from typing import Protocol

from chatvault.audit.lines import Event
from chatvault.core.errors import ChatVaultError, JournalError


class Journal(Protocol):
    """Where administrative changes go on record."""

    def admin(
        self,
        who: str,
        what: str,
        subject: str,
        before: dict[str, object] | None = None,
        after: dict[str, object] | None = None,
    ) -> None:
        """Put a change on record, before it is made. Values are public ids and settings, never secrets or
        names. Raises JournalError."""
        ...


class Keeper(Journal, Protocol):
    """Also tells how it is."""

    @property
    def fault(self) -> str | None: ...

    @property
    def fingerprint(self) -> str: ...


class Events(Protocol):
    """Where what happens goes on record."""

    def event(self, line: Event) -> None:
        """Raises JournalError, and then nothing was written."""
        ...

    async def harden(self) -> None:
        """Make durable what was written. Raises OSError."""
        ...


class Recorded:
    """`with Recorded(journal, ...)`: the change inside is on record before it is begun, and so is its
    failure.

    Entering raises JournalError (503 at the border) when it cannot be recorded; then nothing was changed.
    """

    def __init__(
        self,
        journal: Journal,
        who: str,
        what: str,
        subject: str,
        before: dict[str, object] | None = None,
        after: dict[str, object] | None = None,
    ) -> None:
        self._journal = journal
        self._who = who
        self._what = what
        self._subject = subject
        self._before = before
        self._after = after

    def __enter__(self) -> None:
        self._journal.admin(self._who, self._what, self._subject, self._before, self._after)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        code = error.code if isinstance(error, ChatVaultError) else type(error).__name__
        try:
            self._journal.admin(self._who, f"{self._what}.failed", self._subject, after={"code": code})
        except JournalError:
            pass  # the failure of the change itself is what the caller has to hear of
