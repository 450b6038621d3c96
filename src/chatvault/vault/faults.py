"""What can be wrong with the vault's database, in words that say what to do. The driver's errors are
translated here, by their codes.

Workers go on with the tokens they know; what they don't know they refuse with 503 until the fault is gone.
"""

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from chatvault.core.errors import OperatorError


class VaultError(OperatorError):
    """The vault cannot be used; `code` says why (docs/errors.md)."""


_ADVICE: Final = {
    "vault_locked": "is locked by another program. Close what has it open (a database browser, a backup).",
    "vault_corrupt": "is damaged, or no SQLite database. Put a backup in its place; or move it (with "
    "its -wal and -shm files) away to begin with a new vault, in which no token is known.",
    "vault_unwritable": "cannot be opened for writing. "
    "Check that the file and its folder belong to the user chatvault runs as.",
    "vault_full": "has no room: the disk is full. Make some.",
    "vault_disk": "cannot be read or written: the disk reports an error. Check the disk.",
    "vault_newer": "was made by a newer version of chatvault. "
    "Upgrade chatvault, or put a backup in its place.",
    "vault_foreign": "holds tables that are not chatvault's. Choose another folder with --data-dir.",
    "vault_failed": "cannot be used.",
}

_BY_CODE: Final = {
    sqlite3.SQLITE_BUSY: "vault_locked",
    sqlite3.SQLITE_LOCKED: "vault_locked",
    sqlite3.SQLITE_CORRUPT: "vault_corrupt",
    sqlite3.SQLITE_NOTADB: "vault_corrupt",
    sqlite3.SQLITE_READONLY: "vault_unwritable",
    sqlite3.SQLITE_PERM: "vault_unwritable",
    sqlite3.SQLITE_CANTOPEN: "vault_unwritable",
    sqlite3.SQLITE_FULL: "vault_full",
    sqlite3.SQLITE_IOERR: "vault_disk",
    sqlite3.SQLITE_ERROR: "vault_foreign",  # the statements are ours and tested, so it is the tables
}


def fault(path: Path, code: str, detail: str = "") -> VaultError:
    """The error `code` for the vault at `path`."""
    return VaultError(f"The vault {path} {_ADVICE[code]}{f' ({detail})' if detail else ''}", code=code)


def translated(path: Path, error: SQLAlchemyError | OSError) -> VaultError:
    """The driver's or the file system's error, as ours."""
    if isinstance(error, OSError):
        return fault(path, "vault_unwritable", error.strerror or "")
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code is not None:
            known = _BY_CODE.get(code & 0xFF)
            return fault(path, known or "vault_failed", "" if known else str(error.orig))
    return fault(path, "vault_failed", type(error).__name__)
