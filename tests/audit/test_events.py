"""Which events control's chains have: in segments plain and sealed, of this life and of those before."""

import gzip
import os
from pathlib import Path

import pytest

from chatvault.audit.events import on_record
from chatvault.audit.lines import Event
from chatvault.audit.segments import segment_path
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.core.clock import now_us
from chatvault.core.errors import JournalError
from tests.audit.samples import closed, open_writer


def event(id: str) -> Event:
    return Event(at=now_us(), id=id, what="budget.threshold", subject="bud_1", percent=50, spent=5, amount=10)


def control(data: Path, *ids: str, size: int = 1 << 20) -> ChainWriter:
    writer = open_writer(data, "control", AuditConfig(reserve=4096, segment_size=size))
    for id in ids:
        writer.append(event(id))
    return writer


def test_events_of_all_lives_are_found_and_of_control_alone(tmp_path: Path) -> None:
    control(tmp_path, "a", "b").close()
    control(tmp_path, "c")
    worker = open_writer(tmp_path)
    worker.append(event("d"))
    worker.append(closed("e"))
    assert on_record(worker.folder, ["a", "c", "d", "e", "f"], 0) == {"a", "c"}
    assert on_record(tmp_path / "nowhere", ["a"], 0) == set()


def test_what_was_written_before_the_time_is_not_looked_at(tmp_path: Path) -> None:
    writer = control(tmp_path, "a")
    path = segment_path(writer.folder, writer.chain, 1)
    for hours, found in ((0.9, {"a"}), (1.1, set())):
        then = now_us() / 1e6 - hours * 3600
        os.utime(path, (then, then))
        assert on_record(writer.folder, ["a"], now_us()) == found


def test_sealed_segments_are_read_and_a_torn_line_is_none(tmp_path: Path) -> None:
    writer = control(tmp_path, "a", "b", "c", size=300)
    assert writer.segment >= 3
    plain = segment_path(writer.folder, writer.chain, 1)
    segment_path(writer.folder, writer.chain, 1, compressed=True).write_bytes(
        gzip.compress(plain.read_bytes())
    )
    plain.unlink()
    assert on_record(writer.folder, ["a", "b", "c"], 0) == {"a", "b", "c"}
    last = segment_path(writer.folder, writer.chain, writer.segment)
    with open(last, "ab") as file:
        file.write(b'{"type":"event","seq":9,"at":1,"id":"torn"')
    assert on_record(writer.folder, ["torn", "c"], 0) == {"c"}
    with open(last, "ab") as file:
        file.write(b"}\n")
    with pytest.raises(JournalError, match="cannot be read"):
        on_record(writer.folder, ["torn"], 0)
