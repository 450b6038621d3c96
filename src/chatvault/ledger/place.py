"""Where the ledger lies: by default `chatvault.db` in the data folder."""

from pathlib import Path

import msgspec
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from chatvault.core.errors import OperatorError


class LedgerPlace(msgspec.Struct, frozen=True):
    path: Path

    @property
    def url(self) -> URL:
        """For the recorder, which writes."""
        return URL.create("sqlite+pysqlite", database=str(self.path))

    @property
    def read_url(self) -> URL:
        """For questions: the database opens read-only, and is not made where there is none."""
        return URL.create(
            "sqlite+pysqlite", database=self.path.absolute().as_uri(), query={"mode": "ro", "uri": "true"}
        )


def ledger_place(data_dir: Path, database_url: str | None = None) -> LedgerPlace:
    """The place that a `sqlite:///path` URL names; without one, the default. Raises OperatorError."""
    if database_url is None:
        return LedgerPlace(data_dir / "chatvault.db")
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise OperatorError(
            "The database URL of the ledger cannot be read; write it as sqlite:////folder/chatvault.db.",
            code="bad_database_url",
        ) from None
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        raise OperatorError(
            f"The ledger cannot be kept in {url.get_backend_name()}: this version writes SQLite files "
            "(sqlite:////folder/chatvault.db).",
            code="bad_database_url",
        )
    return LedgerPlace(Path(url.database))
