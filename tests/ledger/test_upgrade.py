import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

import chatvault.ledger
from chatvault.ledger import store
from chatvault.ledger.faults import LedgerError
from chatvault.ledger.schema import REVISIONS, metadata
from chatvault.ledger.upgrade import migrate, prepare


def connect(path: Path) -> Connection:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    event.listen(engine, "connect", store._configure)
    event.listen(engine, "begin", store._begin)
    return engine.connect()


def shape(connection: Connection) -> list[tuple[object, ...]]:
    """All tables, columns and indexes, as SQLite sees them."""
    tables = (
        connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        .scalars()
        .all()
    )
    found: list[tuple[object, ...]] = []
    for table in tables:
        found += [(table, *row) for row in connection.exec_driver_sql(f"PRAGMA table_xinfo({table})")]
    indexes = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' ORDER BY 1"
    return found + [tuple(row) for row in connection.exec_driver_sql(indexes)]


def test_the_schema_is_what_the_migrations_make(tmp_path: Path) -> None:
    with connect(tmp_path / "made.db") as made, connect(tmp_path / "migrated.db") as migrated:
        with made.begin():
            prepare(made, "made")
            assert shape(made)
            expected = shape(made)
        with migrated.begin():
            migrate(migrated, REVISIONS[-1])
            assert shape(migrated) == expected
            assert compare_metadata(MigrationContext.configure(migrated), metadata) == []


def test_migrations_go_down_to_nothing_and_up_again(tmp_path: Path) -> None:
    with connect(tmp_path / "ledger.db") as connection:
        with connection.begin():
            prepare(connection, "ledger")
            before = shape(connection)
            migrate(connection, "base")
        with connection.begin():
            assert {row[0] for row in shape(connection)} == {
                "alembic_version",
                "sqlite_autoindex_alembic_version_1",
            }
            prepare(connection, "ledger")
            assert shape(connection) == before


def test_the_revisions_named_are_those_there_are() -> None:
    scripts = ScriptDirectory(str(Path(chatvault.ledger.__file__).with_name("migrations")))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


def test_a_new_database_is_made_without_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from chatvault.ledger.place import ledger_place;"
        "from chatvault.ledger.store import Ledger;"
        "place = ledger_place(Path(sys.argv[1])); Ledger.open(place).close(); Ledger.open(place).close();"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60).returncode == 0


def test_a_newer_database_and_a_foreign_one_are_left_alone(tmp_path: Path) -> None:
    with connect(tmp_path / "newer.db") as connection, connection.begin():
        prepare(connection, "newer")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(LedgerError, match="newer version") as caught:
            prepare(connection, "newer")
        assert caught.value.code == "ledger_newer"
    with connect(tmp_path / "foreign.db") as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE prices (id INTEGER)")
        with pytest.raises(LedgerError, match="Move it away") as caught:
            prepare(connection, "foreign")
        assert caught.value.code == "ledger_foreign"
