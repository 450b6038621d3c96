import logging
import sqlite3
import threading
from pathlib import Path

import pytest

from chatvault.audit.sealing import pack
from chatvault.audit.segments import chains
from chatvault.core.errors import OperatorError
from chatvault.ledger.batch import Batch
from chatvault.ledger.faults import LedgerError
from chatvault.ledger.state import RecorderState, read_state
from chatvault.recorder import recorder as recorders
from chatvault.recorder.recorder import Recorder
from tests.recorder.journals import (
    ROLLING,
    call,
    calls,
    dump,
    forget,
    ids,
    options,
    priced,
    rebuilt,
    record,
    refused,
    writer,
)


class Running:
    """A recorder in a thread."""

    def __init__(self, data: Path) -> None:
        self.errors: list[OperatorError | None] = []
        self.heard = threading.Event()
        self.stop = threading.Event()
        self.begun = threading.Event()
        self.recorder = Recorder(options(data), self._told)
        self.thread = threading.Thread(target=self.recorder.run, args=(self.stop, self.begun.set))

    def _told(self, error: OperatorError | None) -> None:
        self.errors.append(error)
        self.heard.set()

    def __enter__(self) -> "Running":
        self.thread.start()
        assert self.begun.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def hear(self) -> OperatorError | None:
        assert self.heard.wait(5)
        self.heard.clear()
        return self.errors[-1]


def state(data: Path) -> RecorderState:
    found = read_state(data)
    assert found is not None
    return found


def test_the_journal_becomes_the_ledger(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    priced(chain)
    expected = [*calls(chain, 10), refused(chain, 11, 7)]
    record(tmp_path)
    found = dump(tmp_path)
    assert [row[0] for row in found["usage_logs"]] == expected
    assert [row[0] for row in found["prices"]] == ["p1"]
    assert [row[0] for row in found["positions"]] == [chain.chain]
    chain.close()


def test_recording_again_changes_nothing_and_a_rebuild_makes_the_same(tmp_path: Path) -> None:
    written = [writer(tmp_path, f"worker{number}", ROLLING) for number in range(3)]
    for round in range(4):
        for number, chain in enumerate(written):
            calls(chain, 6, 1000 * number + 10 * round)
        record(tmp_path)
    for segments in chains(tmp_path / "journal").values():
        for segment in segments[:-1]:
            pack(segment)
    before = dump(tmp_path)
    assert len(before["usage_logs"]) == 72
    record(tmp_path)
    assert dump(tmp_path) == before
    assert rebuilt(tmp_path) == before
    for chain in written:
        chain.close()


def test_two_recorders_at_a_time_still_record_each_call_once(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    calls(chain, 5)
    one, two = Recorder(options(tmp_path)), Recorder(options(tmp_path))
    one.step()
    two.step()
    expected = [*ids(tmp_path), *calls(chain, 5, 10)]
    two.step()
    two.step()
    one.step()
    for recorder in (one, two):
        recorder.close()
    assert ids(tmp_path) == expected
    before = dump(tmp_path)
    assert rebuilt(tmp_path) == before
    chain.close()


def test_a_ledger_deleted_while_it_is_in_use_is_built_anew(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    calls(chain, 5)
    recorder = Recorder(options(tmp_path))
    recorder.step()
    before = dump(tmp_path)
    forget(tmp_path)
    recorder.step()
    assert dump(tmp_path) == before
    expected = [*ids(tmp_path), *calls(chain, 5, 10)]
    (tmp_path / "chatvault.db-wal").unlink()
    while recorder.step():
        pass
    assert ids(tmp_path) == expected
    recorder.close()
    chain.close()


def test_a_view_that_fails_gets_the_same_lines_again_and_the_ledger_waits(tmp_path: Path) -> None:
    class View:
        def __init__(self) -> None:
            self.fails = True
            self.seen: list[str] = []

        def apply(self, batch: Batch) -> None:
            if self.fails:
                raise OperatorError("The sink is full.")
            self.seen += [entry.line.id for entry in batch.entries]

    chain = writer(tmp_path)
    expected = calls(chain, 3)
    view = View()
    recorder = Recorder(options(tmp_path), views=[view])
    with pytest.raises(OperatorError, match="sink is full"):
        recorder.step()
    recorder.close()
    assert ids(tmp_path) == []
    view.fails = False
    recorder.step()
    recorder.close()
    assert view.seen == ids(tmp_path) == expected
    chain.close()


def test_stopping_brings_the_ledger_level(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    with Running(tmp_path):
        expected = calls(chain, 50)
    assert ids(tmp_path) == expected
    found = state(tmp_path)
    assert (found.bytes_behind, found.lines_behind, found.seconds_behind, found.rows) == (0, 0, 0.0, 50)
    assert found.lines == 101
    chain.close()


def test_a_corrupt_ledger_is_said_to_be_deletable_and_is_built_when_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chain = writer(tmp_path)
    expected = calls(chain, 3)
    journal = {path: path.read_bytes() for path in (tmp_path / "journal").glob("*.jsonl")}
    (tmp_path / "chatvault.db").write_bytes(b"garbage" * 1000)
    with caplog.at_level(logging.ERROR), Running(tmp_path) as running:
        error = running.hear()
        assert isinstance(error, LedgerError)
        assert error.code == "ledger_corrupt"
        assert "Move or delete it" in error.message
        forget(tmp_path)
        while running.hear() is not None:
            pass  # it may look in between, when not all files are deleted yet
    assert ids(tmp_path) == expected
    assert {path: path.read_bytes() for path in journal} == journal
    assert caplog.text.count("Move or delete it") == 1
    chain.close()


def test_a_ledger_that_becomes_corrupt_is_noticed(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    calls(chain, 3)
    record(tmp_path)
    with sqlite3.connect(tmp_path / "chatvault.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray((tmp_path / "chatvault.db").read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    (tmp_path / "chatvault.db").write_bytes(data)
    recorder = Recorder(options(tmp_path))
    with pytest.raises(LedgerError) as caught:
        recorder.step()
    assert caught.value.code == "ledger_corrupt"
    recorder.close()
    chain.close()


def test_a_locked_ledger_catches_up_when_it_is_free(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    expected = calls(chain, 3)
    record(tmp_path)
    other = sqlite3.connect(tmp_path / "chatvault.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Running(tmp_path) as running:
        expected += calls(chain, 3, 10)
        error = running.hear()
        assert error is not None
        assert error.code == "ledger_locked"
        recorder = running.recorder
        assert recorder.error is error
        found = recorder.state()
        assert (found.error_code, found.bytes_behind, found.lines_behind) == ("ledger_locked", None, None)
        assert found.seconds_behind > 0
        other.execute("ROLLBACK")
        assert running.hear() is None
    other.close()
    assert ids(tmp_path) == expected
    assert state(tmp_path).error is None
    chain.close()


def test_a_journal_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("no folder")
    with Running(tmp_path) as running:
        error = running.hear()
        assert error is not None
        assert error.code == "journal_unreadable"
        (tmp_path / "journal").unlink()
        assert running.hear() is None


def test_a_broken_chain_is_in_the_state_and_others_go_on(tmp_path: Path) -> None:
    chain, other = writer(tmp_path), writer(tmp_path, "worker1")
    calls(chain, 3)
    chain.close()
    (path,) = (tmp_path / "journal").glob(f"{chain.chain}*")
    path.write_bytes(path.read_bytes().replace(b'"cost":1001', b'"cost":9991'))
    with Running(tmp_path):
        expected = calls(other, 3, 100)
    assert set(expected) < set(ids(tmp_path))
    (broken,) = state(tmp_path).broken
    assert (broken.chain, broken.file, broken.line) == (chain.chain, path.name, 5)
    other.close()


def test_the_state_is_written_seldom_and_its_failure_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = writer(tmp_path)
    recorder = Recorder(options(tmp_path))
    call(chain, 1)
    recorder.step()
    recorder._tell()
    first = state(tmp_path)
    call(chain, 2)
    recorder.step()
    recorder._tell()
    assert state(tmp_path) == first
    monkeypatch.setattr(recorders, "_TELL_EVERY", 0.0)
    recorder._tell()
    second = state(tmp_path)
    assert second.rows == 2
    recorder._tell()
    assert state(tmp_path) == second
    (tmp_path / "recorder.json").unlink()
    (tmp_path / "recorder.json").mkdir()
    call(chain, 3)
    recorder.step()
    recorder._tell()
    recorder.close()
    assert len(ids(tmp_path)) == 3
    chain.close()


def test_what_is_behind_is_estimated_in_lines_and_seconds(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    calls(chain, 10)
    recorder = Recorder(options(tmp_path))
    recorder.step()
    calls(chain, 10, 20)
    found = recorder.state()
    assert found.lines_behind is not None
    assert 15 <= found.lines_behind <= 25
    assert found.seconds_behind > 1000  # the lines say that they were written in 2023
    recorder.close()
    chain.close()
