"""The lines of one call are found wherever they lie: in one segment or several, sealed or not, in two chains."""

from pathlib import Path

import pytest

from chatvault.audit.lines import Attempted, Closed, Opened, Refused
from chatvault.audit.sealing import pack
from chatvault.audit.segments import chains
from chatvault.audit.trail import trail
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.core.errors import JournalError
from tests.audit.samples import closed, open_writer, opened

TINY = AuditConfig(reserve=4096, segment_size=900)


def again(id: str) -> Attempted:
    return Attempted(at=5, id=id, number=2, provider="fake", after="reset")


def kinds(writer: ChainWriter, seq: int, call: str) -> list[type]:
    return [type(step.line) for step in trail(writer.folder, writer.chain, seq, call)]


def test_a_call_among_others_of_a_segment(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    for id in ("a", "b"):
        writer.append(opened(id))
    writer.append(again("a"))
    last = closed("a")
    writer.append(last)
    digest = writer.head[1]
    writer.append(closed("b"))
    steps = trail(writer.folder, writer.chain, last.seq, "a")
    assert [type(step.line) for step in steps] == [Opened, Attempted, Closed]
    assert [(step.chain, step.segment) for step in steps] == [(writer.chain, 1)] * 3
    assert steps[-1].digest == digest
    assert steps[-1].line == last
    assert trail(writer.folder, writer.chain, last.seq + 1, "a") == []
    assert trail(writer.folder, writer.chain, last.seq + 9, "a") == []
    assert trail(writer.folder, "nobody", 1, "a") == []


@pytest.mark.parametrize("sealed", [False, True])
def test_a_call_over_many_segments(tmp_path: Path, sealed: bool) -> None:
    writer = open_writer(tmp_path, settings=TINY)
    first, last = opened("long"), closed("long")
    writer.append(first)
    for number in range(40):
        writer.append(opened(f"c{number}"))
        writer.append(closed(f"c{number}"))
        writer.tick()
        if number == 20:
            writer.append(again("long"))
    writer.append(last)
    writer.append(closed("after"))
    segments = chains(writer.folder)[writer.chain]
    assert len(segments) > 5
    if sealed:
        for segment in segments[:-1]:
            pack(segment)
    assert kinds(writer, last.seq, "long") == [Opened, Attempted, Closed]
    assert [type(s.line) for s in trail(writer.folder, writer.chain, first.seq, "long")] == [Opened]


def test_a_call_that_was_closed_for_a_dead_writer(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.append(opened("a"))
    writer.append(again("a"))
    writer.close()
    keeper = open_writer(tmp_path, "control")
    end = closed("a")
    end.chain, end.state = writer.chain, "interrupted"
    keeper.append(end)
    steps = trail(keeper.folder, keeper.chain, end.seq, "a")
    assert [(step.chain, type(step.line)) for step in steps] == [
        (writer.chain, Opened),
        (writer.chain, Attempted),
        (keeper.chain, Closed),
    ]


def test_a_refusal_stands_alone_and_a_removed_beginning_is_missing(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, settings=TINY)
    line = Refused(at=1, id="no", status=429, code="rate_limited", endpoint="chat.completions", count=3)
    writer.append(line)
    assert kinds(writer, line.seq, "no") == [Refused]
    writer.append(opened("a"))
    for number in range(10):
        writer.append(opened(f"c{number}"))
        writer.tick()
    last = closed("a")
    writer.append(last)
    for segment in chains(writer.folder)[writer.chain][:-1]:
        segment.path.unlink()
    assert kinds(writer, last.seq, "a") == [Closed]
    assert kinds(writer, line.seq, "no") == []


def test_damage_is_named(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    last = closed("a")
    writer.append(last)
    (segment,) = chains(writer.folder)[writer.chain]
    text = segment.path.read_bytes().replace(b'"status":200', b'"status":{}')
    segment.path.write_bytes(text)
    with pytest.raises(JournalError, match=segment.path.name):
        trail(writer.folder, writer.chain, last.seq, "a")
    segment.path.write_bytes(b"{}\n" + text)
    with pytest.raises(JournalError):
        trail(writer.folder, writer.chain, last.seq, "a")
