"""The schema of a vault, brought to what this version needs. A new one is made at once, without alembic,
which takes longer to import than all else control does before it is ready."""

import os
from pathlib import Path

from sqlalchemy import Connection, create_engine, event, inspect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from chatvault.vault.faults import fault, translated
from chatvault.vault.schema import REVISIONS, metadata


def prepare(path: Path, patience: float) -> None:
    """Make the vault, or upgrade it. `patience`: seconds to wait for another program's lock. Raises
    VaultError."""
    try:
        _touch(path)
        with transaction(path, patience) as connection:
            _bring_up(connection, path)
    except (SQLAlchemyError, OSError) as error:
        raise translated(path, error) from error


class transaction:
    """One transaction on a connection of its own, in which tables may be made and changed too."""

    def __init__(self, path: Path, patience: float = 5.0) -> None:
        self._engine = create_engine(
            f"sqlite:///{path}", poolclass=NullPool, hide_parameters=True, connect_args={"timeout": patience}
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._begun = self._engine.begin()

    def __enter__(self) -> Connection:
        return self._begun.__enter__()

    def __exit__(self, *raised: object) -> None:
        try:
            self._begun.__exit__(*raised)  # type: ignore[arg-type]
        finally:
            self._engine.dispose()


def migrate(connection: Connection, revision: str) -> None:
    """Run the migrations up or down to `revision` (`base`: an empty database)."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    at = _revision(connection)
    down = revision == "base" or (at is not None and REVISIONS.index(revision) < REVISIONS.index(at))
    (command.downgrade if down else command.upgrade)(config, revision)


def _bring_up(connection: Connection, path: Path) -> None:
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        if tables & set(metadata.tables):
            raise fault(path, "vault_foreign")
        metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (REVISIONS[-1],))
        return
    found = _revision(connection)
    if found is not None and found not in REVISIONS:
        raise fault(path, "vault_newer")
    if found != REVISIONS[-1]:
        migrate(connection, REVISIONS[-1])


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def _touch(path: Path) -> None:
    """Make the file, if need be, for its owner alone; SQLite gives its side files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver begins transactions when it sees fit, and not at all before DDL; so it is told not to, and
    # `_begin` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
