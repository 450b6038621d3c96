import itertools
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatvault.audit.lines import Priced
from chatvault.core.errors import OperatorError
from chatvault.ledger.batch import Position
from chatvault.ledger.faults import LedgerError
from chatvault.ledger.place import ledger_place
from chatvault.ledger.store import Ledger
from tests.ledger.entries import batch, closed, refused


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger.open(ledger_place(tmp_path), patience=0.05)
    yield found
    found.close()


def ask(path: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(path / "chatvault.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def price(at: int, version: str = "p1") -> Priced:
    return Priced(
        at=at, version=version, provider="fake", model="m", source="test", rates={"output": 2, "input": 1}
    )


def test_rows_and_positions_are_kept_and_found_again(tmp_path: Path, ledger: Ledger) -> None:
    ledger.apply(batch(closed("a"), refused("b")))
    ledger.close()
    again = Ledger.open(ledger_place(tmp_path))
    assert again.positions() == {"w1": Position("w1", 1, 100, 2, "d")}
    again.close()
    assert ask(tmp_path, "SELECT id, state FROM usage_logs ORDER BY id") == [
        ("a", "completed"),
        ("b", "refused"),
    ]


def test_applying_twice_changes_nothing(tmp_path: Path, ledger: Ledger) -> None:
    def found() -> list[Any]:
        return [ask(tmp_path, f"SELECT * FROM {table}") for table in ("usage_logs", "prices", "positions")]

    ledger.apply(batch(closed("a"), prices=[price(5)]))
    once = found()
    ledger.apply(batch(closed("a"), prices=[price(5)]))
    assert found() == once
    assert [len(rows) for rows in once] == [1, 1, 1]


def test_a_call_closed_twice_has_the_same_row_in_any_order(tmp_path: Path) -> None:
    lines = [
        ("control", closed("a", state="interrupted", seq=1)),
        ("w2", closed("a", state="client_gone", seq=2)),
        ("w3", closed("a", state="completed", seq=3)),
    ]
    for number, order in enumerate(itertools.permutations(lines)):
        folder = tmp_path / str(number)
        ledger = Ledger.open(ledger_place(folder))
        for chain, line in order:
            ledger.apply(batch(line, chain=chain))
        ledger.close()
        assert ask(folder, "SELECT state, chain FROM usage_logs") == [("client_gone", "w2")]


def test_prices_keep_when_they_were_first_seen(tmp_path: Path, ledger: Ledger) -> None:
    ledger.apply(batch(prices=[price(9), price(5), price(7), price(8, "p2")]))
    found = ask(tmp_path, "SELECT version, rates, tiers, first_seen FROM prices ORDER BY version")
    assert found == [("p1", '{"input":1,"output":2}', "[]", 5), ("p2", '{"input":1,"output":2}', "[]", 8)]


def test_a_batch_that_fails_leaves_nothing_behind(tmp_path: Path, ledger: Ledger) -> None:
    broken = batch(closed("a"), prices=[price(1, version=None)])  # type: ignore[arg-type]
    with pytest.raises(LedgerError):
        ledger.apply(broken)
    assert ask(tmp_path, "SELECT count(*) FROM usage_logs") == [(0,)]
    assert ledger.positions() == {}


def test_only_the_owner_may_read_it(tmp_path: Path, ledger: Ledger) -> None:
    ledger.apply(batch(closed("a")))
    for name in ("chatvault.db", "chatvault.db-wal"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_locked_ledger_says_so_and_goes_on_when_it_is_free(tmp_path: Path, ledger: Ledger) -> None:
    other = sqlite3.connect(tmp_path / "chatvault.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked by another program") as caught:
        ledger.apply(batch(closed("a")))
    assert caught.value.code == "ledger_locked"
    with pytest.raises(LedgerError, match="locked"):
        ledger.positions()
    other.execute("ROLLBACK")
    other.close()
    ledger.apply(batch(closed("a")))
    assert ask(tmp_path, "SELECT count(*) FROM usage_logs") == [(1,)]


def test_a_file_that_is_no_database_says_that_it_may_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "chatvault.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(LedgerError, match=r"Move or delete it .* rebuilt from the journal") as caught:
        Ledger.open(ledger_place(tmp_path))
    assert caught.value.code == "ledger_corrupt"
    assert (tmp_path / "chatvault.db").read_bytes().startswith(b"not a database")


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be opened for writing") as caught:
        Ledger.open(ledger_place(tmp_path / "file"))
    assert caught.value.code == "ledger_unwritable"
    (tmp_path / "chatvault.db").mkdir()
    with pytest.raises(LedgerError, match="cannot be opened for writing"):
        Ledger.open(ledger_place(tmp_path))


def test_a_ledger_that_was_deleted_is_noticed(tmp_path: Path, ledger: Ledger) -> None:
    assert ledger.present()
    (tmp_path / "chatvault.db").unlink()
    assert not ledger.present()
    (tmp_path / "chatvault.db").touch()
    assert not ledger.present()


def test_the_database_url_may_name_another_file(tmp_path: Path) -> None:
    ledger = Ledger.open(ledger_place(tmp_path, f"sqlite:///{tmp_path}/elsewhere/l.db"))
    ledger.close()
    assert (tmp_path / "elsewhere" / "l.db").exists()


@pytest.mark.parametrize("url", ["postgresql://h/db", "sqlite://", "sqlite:///:memory:", "no url"])
def test_a_url_that_names_no_sqlite_file_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(OperatorError, match="sqlite:////") as caught:
        ledger_place(tmp_path, url)
    assert caught.value.code == "bad_database_url"


def test_a_disk_that_is_full_says_so(tmp_path: Path, ledger: Ledger) -> None:
    ledger._connection.exec_driver_sql("PRAGMA max_page_count=1")
    ledger._connection.rollback()
    with pytest.raises(LedgerError, match="disk is full") as caught:
        ledger.apply(batch(*(closed(f"{n:040d}" * 20) for n in range(500))))
    assert caught.value.code == "ledger_full"
