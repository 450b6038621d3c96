"""The vault's schema: made at once or by migrations, it is the same."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from chatvault.vault.faults import VaultError
from chatvault.vault.schema import REVISIONS
from chatvault.vault.upgrade import migrate, prepare, transaction


def described(path: Path) -> dict[str, object]:
    """All there is to know of a database's tables, by name."""
    database = sqlite3.connect(path)
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found: dict[str, object] = {}
    for table in tables:
        indexes = database.execute(f"PRAGMA index_list({table})").fetchall()
        found[table] = (
            database.execute(f"PRAGMA table_info({table})").fetchall(),
            sorted(row[2:] for row in database.execute(f"PRAGMA foreign_key_list({table})")),
            sorted(
                (row[2:], database.execute(f"PRAGMA index_xinfo({row[1]})").fetchall()) for row in indexes
            ),
            sorted(row[1] for row in indexes),
        )
    database.close()
    return found


def test_made_at_once_and_migrated_it_is_the_same(tmp_path: Path) -> None:
    prepare(tmp_path / "made.db", 1)
    with transaction(tmp_path / "migrated.db") as connection:
        migrate(connection, "head")
    assert described(tmp_path / "made.db") == described(tmp_path / "migrated.db")


def test_migrations_go_up_and_down_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    steps = []
    for revision in REVISIONS:
        with transaction(path) as connection:
            migrate(connection, revision)
        steps.append(described(path))
    for revision, expected in zip(reversed(REVISIONS[:-1]), reversed(steps[:-1]), strict=True):
        with transaction(path) as connection:
            migrate(connection, revision)
        assert described(path) == expected
    with transaction(path) as connection:
        migrate(connection, "base")
    assert set(described(path)) == {"alembic_version"}
    prepare(path, 1)
    assert described(path) == steps[-1]


def test_a_migrated_and_a_made_vault_are_both_left_as_they_are(tmp_path: Path) -> None:
    prepare(tmp_path / "vault.db", 1)
    before = described(tmp_path / "vault.db")
    prepare(tmp_path / "vault.db", 1)
    assert described(tmp_path / "vault.db") == before


def test_a_new_vault_is_made_without_alembic(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from chatvault.vault.upgrade import prepare;"
        f"prepare(pathlib.Path({str(tmp_path / 'vault.db')!r}), 1);"
        "assert not any(name.split('.')[0] == 'alembic' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_vault_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    prepare(path, 1)
    with transaction(path) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(VaultError, match="newer version") as raised:
        prepare(path, 1)
    assert raised.value.code == "vault_newer"


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE tokens (mine)")
    database.close()
    with pytest.raises(VaultError, match="not chatvault's") as raised:
        prepare(path, 1)
    assert raised.value.code == "vault_foreign"
