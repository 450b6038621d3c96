"""A count holds over an estimate, in whatever order the two are read, and a ledger made again is the same."""

import sqlite3
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from chatvault.audit.lines import Closed, Counted, Refused
from chatvault.core.usage import Usage
from chatvault.ledger.batch import Batch, Entry, Position
from chatvault.ledger.place import ledger_place
from chatvault.ledger.store import Ledger
from chatvault.recorder.options import RecorderOptions
from chatvault.recorder.recorder import Recorder
from tests.recorder.journals import START, closed, opened, writer


def count(id: str, **changes: Any) -> Counted:
    values: dict[str, Any] = {
        "at": START, "id": id, "usage": Usage(input=7, output=5), "cost": 70, "cost_source": "counted",
        "tokenizer": "words 1 o200k_base", "seq": 1,
    }  # fmt: skip
    return Counted(**values | changes)


def estimated(id: str, **changes: Any) -> Closed:
    return closed(1, id, **{"usage_source": "estimated", "cost_source": "estimated", "seq": 1} | changes)


def batch(*lines: Closed | Counted | Refused) -> Batch:
    entries = [Entry("w0", line) for line in lines if not isinstance(line, Counted)]
    counts = [("control", line) for line in lines if isinstance(line, Counted)]
    return Batch(entries, [], [Position("w0", 1, 100, 1, "d")], len(lines), 100, counts)


def row(tmp_path: Path, id: str) -> tuple[Any, ...]:
    with sqlite3.connect(tmp_path / "chatvault.db") as connection:
        found: tuple[Any, ...] = connection.execute(
            "SELECT usage_source, input_tokens, output_tokens, cost, cost_source FROM usage_logs WHERE id = ?",
            (id,),
        ).fetchone()
    return found


COUNTED = ("counted", 7, 5, 70, "counted")


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
def test_the_order_does_not_matter(tmp_path: Path, order: tuple[int, ...], together: bool) -> None:
    """Two counts of a call there cannot be; of a folder that was put together from two, the first holds."""
    lines: list[Closed | Counted] = [
        estimated("a"),
        count("a"),
        count("a", usage=Usage(input=9, output=9), seq=2),
    ]
    ordered = [lines[at] for at in order]
    ledger = Ledger.open(ledger_place(tmp_path))
    try:
        for part in [ordered] if together else [[line] for line in ordered]:
            ledger.apply(batch(*part))
            ledger.apply(batch(*part))  # again, as after a crash
    finally:
        ledger.close()
    assert row(tmp_path, "a") == COUNTED


@pytest.mark.parametrize("source", ["provider", "unknown"])
def test_a_providers_own_figures_are_never_written_over(tmp_path: Path, source: str) -> None:
    ledger = Ledger.open(ledger_place(tmp_path))
    try:
        ledger.apply(batch(closed(1, "a", usage_source=source, seq=1), count("a"), count("nobody")))
    finally:
        ledger.close()
    assert row(tmp_path, "a")[:3] == (source, 12, 30)


def test_a_count_without_a_cost_has_none(tmp_path: Path) -> None:
    ledger = Ledger.open(ledger_place(tmp_path))
    try:
        huge = Usage(input=2**70, output=5)
        ledger.apply(batch(estimated("a"), count("a", cost=None, cost_source="unknown")))
        ledger.apply(batch(estimated("b"), count("b", cost=2**70, usage=huge)))
    finally:
        ledger.close()
    assert row(tmp_path, "a") == ("counted", 7, 5, None, "unknown")
    assert row(tmp_path, "b") == ("counted", None, 5, None, "unknown")


def ledger_of(data: Path) -> list[tuple[Any, ...]]:
    recorder = Recorder(RecorderOptions(data_dir=data))
    try:
        while recorder.step():
            pass
    finally:
        recorder.close()
    with sqlite3.connect(data / "chatvault.db") as connection:
        return [
            *connection.execute("SELECT * FROM usage_logs ORDER BY id"),
            *connection.execute("SELECT * FROM counts ORDER BY id"),
        ]


@pytest.mark.parametrize("first", ["worker0", "control"])
def test_a_journal_gives_the_same_ledger_again(tmp_path: Path, first: str) -> None:
    chains = {name: writer(tmp_path, name) for name in (first, *({"worker0", "control"} - {first}))}
    for id in ("a", "b"):
        chains["worker0"].append(opened(1, id))
        line = estimated(id)
        line.seq = 0
        chains["worker0"].append(line)
    before = ledger_of(tmp_path)
    counted = count("a")
    counted.seq = 0
    chains["control"].append(counted)
    after = ledger_of(tmp_path)
    for chain in chains.values():
        chain.close()
    assert before != after
    for file in tmp_path.glob("chatvault.db*"):
        file.unlink()
    assert ledger_of(tmp_path) == after
    assert row(tmp_path, "a") == COUNTED
    assert row(tmp_path, "b")[0] == "estimated"
