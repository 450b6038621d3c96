"""What can be wrong with the ledger's database, in words that say what to do. The driver's errors are
translated here, by their codes.

Nothing of it concerns a call: the journal is written all the same, and the ledger catches up when the fault
is gone.
"""

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from chatvault.core.errors import OperatorError, Unavailable


class LedgerError(OperatorError):
    """The ledger cannot be used; `code` says why (docs/errors.md)."""


_LATER: Final = (
    "Calls go on and are on record in the journal; the ledger catches up by itself when the fault is gone."
)

_ADVICE: Final = {
    "ledger_locked": "is locked by another program. Close what has it open (a database browser, a backup).",
    "ledger_corrupt": "is damaged, or no SQLite database. Move or delete it (with its -wal and -shm files): "
    "it is rebuilt from the journal.",
    "ledger_unwritable": "cannot be opened for writing. Check that the file and its folder belong to the "
    "user chatvault runs as.",
    "ledger_full": "has no room: the disk is full. Make some.",
    "ledger_disk": "cannot be read or written: the disk reports an error. Check the disk.",
    "ledger_missing": "is not there yet: the recorder has not made it. Is chatvault serving?",
    "ledger_newer": "was made by a newer version of chatvault. Upgrade, or move it away: it is rebuilt from "
    "the journal.",
    "ledger_foreign": "holds tables that are not chatvault's. Move it away: a new one is built from the "
    "journal.",
    "ledger_failed": "cannot be used.",
}

_BY_CODE: Final = {
    sqlite3.SQLITE_BUSY: "ledger_locked",
    sqlite3.SQLITE_LOCKED: "ledger_locked",
    sqlite3.SQLITE_CORRUPT: "ledger_corrupt",
    sqlite3.SQLITE_NOTADB: "ledger_corrupt",
    sqlite3.SQLITE_READONLY: "ledger_unwritable",
    sqlite3.SQLITE_PERM: "ledger_unwritable",
    sqlite3.SQLITE_CANTOPEN: "ledger_unwritable",
    sqlite3.SQLITE_FULL: "ledger_full",
    sqlite3.SQLITE_IOERR: "ledger_disk",
    sqlite3.SQLITE_ERROR: "ledger_foreign",  # the statements are tested: the tables are not ours
}


def fault(name: str, code: str, detail: str = "") -> LedgerError:
    """The error `code` for the database that is called `name`."""
    detail = f" ({detail})" if detail else ""
    return LedgerError(f"The ledger {name} {_ADVICE[code]}{detail} {_LATER}", code=code)


def translated(name: str, error: SQLAlchemyError | OSError) -> LedgerError:
    """The driver's or the file system's error, as ours."""
    if isinstance(error, OSError):
        return fault(name, "ledger_unwritable", error.strerror or "")
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code is not None:
            known = _BY_CODE.get(code & 0xFF)
            return fault(name, known or "ledger_failed", "" if known else str(error.orig))
    return fault(name, "ledger_failed", type(error).__name__)


def unavailable(name: str, error: SQLAlchemyError) -> Unavailable:
    """The same, for whoever asks the ledger a question: 503."""
    known = translated(name, error)
    code = (
        "ledger_missing" if known.code == "ledger_unwritable" else known.code
    )  # read-only: it cannot be opened
    return Unavailable(fault(name, code).message, code=code, retry_after=1)
