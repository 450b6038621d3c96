"""The schema of a database, brought to what this version needs. A new one is made at once, without
alembic, which takes longer to import than all else the recorder does at its start."""

from pathlib import Path

from sqlalchemy import Connection, inspect

from chatvault.ledger.faults import fault
from chatvault.ledger.schema import REVISIONS, metadata


def prepare(connection: Connection, name: str) -> None:
    """Create or upgrade the tables in the transaction that is under way. `name` is what messages call the
    database.

    Raises LedgerError for a database of a newer version or of somebody else, and SQLAlchemyError.
    """
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        if tables & set(metadata.tables):
            raise fault(name, "ledger_foreign")
        metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (REVISIONS[-1],))
        return
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found == REVISIONS[-1]:
        return
    if found is not None and found not in REVISIONS:
        raise fault(name, "ledger_newer")
    migrate(connection, REVISIONS[-1])


def migrate(connection: Connection, revision: str) -> None:
    """Run the migrations up or down to `revision` (`base`: an empty database) in the transaction that is
    under way."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    found = connection.exec_driver_sql(
        "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
    ).scalar()
    at = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if found else None
    down = revision == "base" or (at is not None and REVISIONS.index(revision) < REVISIONS.index(at))
    (command.downgrade if down else command.upgrade)(config, revision)
