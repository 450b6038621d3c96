import gzip
import logging
import os
import shutil
from pathlib import Path

import pytest

from chatvault.audit.frame import frame
from chatvault.audit.lines import Sealed
from chatvault.audit.sealing import pack
from chatvault.audit.segments import chains
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.ledger.batch import Batch, Position
from chatvault.recorder import tail as tails
from chatvault.recorder.journal import Journal
from tests.recorder.journals import ROLLING, call, calls, closed, priced, refused, writer


class Follower:
    """A journal, and what was read of it so far."""

    def __init__(self, data: Path, positions: dict[str, Position] | None = None) -> None:
        self.journal = Journal(data / "journal", positions or {})
        self.batches: list[Batch] = []

    def ids(self) -> list[str]:
        """What the next reads find, until there is nothing more."""
        found: list[str] = []
        while (batch := self.journal.read()) is not None:
            self.batches.append(batch)
            found += [entry.line.id for entry in batch.entries]
        return found

    def mend(self) -> None:
        self.journal._mended_at = -1e9

    @property
    def positions(self) -> dict[str, Position]:
        return {at.chain: at for batch in self.batches for at in batch.positions}

    @property
    def why(self) -> list[tuple[str, int, str]]:
        return [(broken.file, broken.line, broken.why) for broken in self.journal.broken]


def segments(data: Path, chain: ChainWriter) -> list[Path]:
    return [segment.path for segment in chains(data / "journal")[chain.chain]]


def test_nothing_is_found_where_there_is_no_journal(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    assert follower.ids() == []
    chain = writer(tmp_path)
    expected = calls(chain, 3)
    assert follower.ids() == expected
    assert follower.journal.lag().bytes == 0
    chain.close()


def test_lines_are_found_as_they_come_in_all_chains(tmp_path: Path) -> None:
    one, two = writer(tmp_path, "worker0"), writer(tmp_path, "worker1")
    follower = Follower(tmp_path)
    first = calls(one, 2) + calls(two, 2, 50)
    assert sorted(follower.ids()) == sorted(first)
    assert follower.ids() == []
    second = [call(two, 60), refused(one, 61, 5)]
    three = writer(tmp_path, "worker2")
    second.append(call(three, 62))
    assert sorted(follower.ids()) == sorted(second)
    for chain in (one, two, three):
        chain.close()
    assert follower.ids() == []
    assert follower.journal.broken == []


def test_prices_and_the_erasable_part_come_with_the_lines(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    priced(chain)
    calls(chain, 8)
    refused(chain, 9)
    follower = Follower(tmp_path)
    follower.ids()
    (batch,) = follower.batches
    assert [price.version for price in batch.prices] == ["p1"]
    assert [entry.error for entry in batch.entries] == [
        *("failed 0", None, None, None, None, None, None, "failed 7"),
        "no such token",
    ]
    assert batch.entries[7].metadata == '{"user":7}'
    assert batch.lines == 19
    chain.close()


def test_what_was_erased_is_none(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    call(chain, 7)
    chain.close()
    shutil.rmtree(tmp_path / "private")
    follower = Follower(tmp_path)
    follower.ids()
    assert [(entry.error, entry.metadata) for entry in follower.batches[0].entries] == [(None, None)]


def test_an_error_that_is_no_text_is_kept_as_json(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    chain.append(closed(1, "c1", private=chain.private("c1", "call", {"error": {"b": 1, "a": 2}})))
    chain.close()
    follower = Follower(tmp_path)
    follower.ids()
    assert follower.batches[0].entries[0].error == '{"a":2,"b":1}'


def test_segments_follow_each_other_packed_or_not(tmp_path: Path) -> None:
    chain = writer(tmp_path, settings=ROLLING)
    follower = Follower(tmp_path)
    expected, found = [], []
    for number in range(60):
        expected.append(call(chain, number))
        if number % 5 == 0:
            found += follower.ids()
        if number % 20 == 10:
            for segment in chains(tmp_path / "journal")[chain.chain][:-1]:
                if not segment.compressed:
                    pack(segment)
    chain.close()
    found += follower.ids()
    assert found == expected
    assert len(segments(tmp_path, chain)) > 5
    assert Follower(tmp_path).ids() == expected
    for segment in chains(tmp_path / "journal")[chain.chain]:
        if not segment.compressed:
            pack(segment)
    assert Follower(tmp_path).ids() == expected
    assert Follower(tmp_path, follower.positions).ids() == []


def test_a_file_that_is_packed_while_it_is_open_is_read_to_its_end(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    follower = Follower(tmp_path)
    first = calls(chain, 3)
    assert follower.ids() == first
    rest = calls(chain, 3, 3)
    chain.close()
    pack(chains(tmp_path / "journal")[chain.chain][0])
    assert follower.ids() == rest
    before = {chain.chain: follower.batches[0].positions[0]}
    assert Follower(tmp_path, before).ids() == rest


def test_going_on_in_the_middle_of_a_packed_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "_CHUNK", 1500)
    chain = writer(tmp_path)
    first, rest = calls(chain, 4), []
    follower = Follower(tmp_path)
    assert follower.ids() == first
    rest = calls(chain, 20, 4)
    chain.close()
    pack(chains(tmp_path / "journal")[chain.chain][0])
    assert Follower(tmp_path, follower.positions).ids() == rest


def test_a_torn_line_waits_and_may_be_cut_back(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    call(chain, 1)
    path = segments(tmp_path, chain)[0]
    whole = path.read_bytes()
    raw, _ = frame(closed(2, "never", seq=99))
    follower = Follower(tmp_path)
    with open(path, "ab") as file:
        file.write(raw[:100])
    assert len(follower.ids()) == 1
    assert follower.journal.lag().bytes == 0
    os.truncate(path, len(whole))
    expected = call(chain, 3)
    assert follower.ids() == [expected]
    chain.close()
    assert follower.journal.broken == []


def test_the_torn_line_of_a_dead_writer_is_nothing_packed_or_not(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    expected = calls(chain, 2)
    with open(segments(tmp_path, chain)[0], "ab") as file:
        file.write(b'{"type":"opened","seq":')
    follower = Follower(tmp_path)
    assert follower.ids() == expected
    pack(chains(tmp_path / "journal")[chain.chain][0])
    for again in (follower, Follower(tmp_path, follower.positions), Follower(tmp_path)):
        again.ids()
        assert again.journal.broken == []
        assert again.journal.lag().bytes == 0
    chain.close()


def test_a_line_longer_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "_CHUNK", 64)
    chain = writer(tmp_path)
    expected = calls(chain, 5)
    chain.close()
    follower = Follower(tmp_path)
    assert follower.ids() == expected
    monkeypatch.setattr(tails, "_LONGEST", 256)
    other = Follower(tmp_path)
    other.ids()
    assert other.why == [(segments(tmp_path, chain)[0].name, 2, "the line has no end")]


@pytest.mark.parametrize("packed", [False, True])
def test_a_changed_line_breaks_its_chain_there_and_no_other(
    tmp_path: Path, packed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chain, other = writer(tmp_path), writer(tmp_path, "worker1")
    expected = calls(chain, 6)
    fine = calls(other, 2, 90)
    chain.close()
    path = segments(tmp_path, chain)[0]
    honest = path.read_bytes()
    path.write_bytes(honest.replace(b'"cost":1003', b'"cost":1002'))
    if packed:
        pack(chains(tmp_path / "journal")[chain.chain][0])
        path = path.with_name(path.name + ".gz")
    follower = Follower(tmp_path)
    with caplog.at_level(logging.ERROR):
        assert sorted(follower.ids()) == sorted(expected[:3] + fine)
        follower.mend()
        fine = [call(other, 95)]
        assert follower.ids() == fine
    # Line 1 begins the chain, then two lines a call: the ninth closes the fourth call.
    assert follower.why == [(path.name, 9, "the line was changed: its digest does not fit")]
    assert caplog.text.count(f"{path.name}:9") == 1
    assert follower.journal.lag().bytes == 0

    path.write_bytes(gzip.compress(honest) if packed else honest)
    follower.mend()
    assert follower.ids() == expected[3:]
    assert follower.journal.broken == []
    other.close()


def test_removed_swapped_and_added_lines_break_the_chain(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    calls(chain, 4)
    chain.close()
    path = segments(tmp_path, chain)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    for changed, why in (
        ([*lines[:3], *lines[4:]], "has number 5 where 4 is due"),
        ([*lines[:3], lines[4], lines[3], *lines[5:]], "has number 5 where 4 is due"),
        ([*lines[:3], lines[2], *lines[3:]], "has number 3 where 4 is due"),
        (lines[1:], "has number 2 where 1 is due"),
    ):
        path.write_bytes(b"".join(changed))
        follower = Follower(tmp_path)
        follower.ids()
        assert why in follower.why[0][2]


def test_a_file_cut_below_what_was_read_breaks_the_chain(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    calls(chain, 4)
    follower = Follower(tmp_path)
    follower.ids()
    path = segments(tmp_path, chain)[0]
    os.truncate(path, 1000)
    follower.ids()
    assert "shorter than it was" in follower.why[0][2]
    chain.close()
    packed = Follower(tmp_path, follower.positions)
    os.truncate(path, 1000)
    pack(chains(tmp_path / "journal")[chain.chain][0])
    packed.ids()
    assert "shorter than it was" in packed.why[0][2]


def test_a_packed_file_that_is_damaged_breaks_the_chain(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    calls(chain, 4)
    chain.close()
    packed = pack(chains(tmp_path / "journal")[chain.chain][0])
    honest = packed.read_bytes()
    for damaged in (honest[:-30], b"x" * 100, honest[:40] + bytes(50) + honest[90:]):
        packed.write_bytes(damaged)
        follower = Follower(tmp_path)
        follower.ids()
        assert follower.why[0][0] == packed.name


def test_a_chain_in_another_ones_place_is_broken(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    calls(chain, 2)
    chain.close()
    path = segments(tmp_path, chain)[0]
    path.rename(path.with_name("other-1.000001.jsonl"))
    follower = Follower(tmp_path)
    assert follower.ids() == []
    assert "begins another chain" in follower.why[0][2]


def test_a_segment_that_ends_torn_though_another_follows_breaks_the_chain(tmp_path: Path) -> None:
    chain = writer(tmp_path, settings=ROLLING)
    calls(chain, 12)
    chain.close()
    with open(segments(tmp_path, chain)[0], "ab") as file:
        file.write(b"{")
    follower = Follower(tmp_path)
    follower.ids()
    assert "another follows" in follower.why[0][2]


def test_a_missing_segment_breaks_the_chain_unless_retention_removed_it(tmp_path: Path) -> None:
    chain = writer(tmp_path, settings=ROLLING)
    calls(chain, 30)
    chain.close()
    paths = segments(tmp_path, chain)
    removed = [paths[0].read_bytes().splitlines(), paths[1].read_bytes().splitlines()]
    kept = Follower(tmp_path).ids()
    paths[0].unlink()
    paths[1].unlink()
    follower = Follower(tmp_path)
    assert follower.ids() == []
    assert "is missing" in follower.why[0][2]

    control = writer(tmp_path, "control")
    for number, lines in enumerate(removed, 1):
        last, digest = len(lines), lines[-1][-66:-2].decode()
        last += len(removed[0]) if number == 2 else 0
        control.append(
            Sealed(at=1, chain=chain.chain, segment=number, first=1, last=last, digest=digest, deleted=True)
        )
    follower.ids()
    follower.mend()
    found = follower.ids()
    assert found
    assert found == kept[-len(found) :]
    assert follower.journal.broken == []
    control.close()


def test_what_is_behind_and_since_when(tmp_path: Path) -> None:
    chain = writer(tmp_path, settings=AuditConfig(reserve=0))
    call(chain, 1)
    follower = Follower(tmp_path)
    follower.ids()
    size = segments(tmp_path, chain)[0].stat().st_size
    call(chain, 2)
    lag = follower.journal.lag()
    assert lag.bytes == segments(tmp_path, chain)[0].stat().st_size - size
    assert lag.since == 1_700_000_000_002_000
    follower.ids()
    assert (follower.journal.lag().bytes, follower.journal.lag().since) == (0, None)
    chain.close()


def test_quiet_files_are_closed_and_still_followed(tmp_path: Path) -> None:
    chain = writer(tmp_path)
    call(chain, 1)
    follower = Follower(tmp_path)
    follower.ids()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for _ in range(tails._DROWSY + 2):
        assert follower.ids() == []
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before - 1
    assert follower.journal.lag().bytes == 0
    expected = call(chain, 2)
    assert follower.ids() == [expected]
    for _ in range(tails._DROWSY + 2):
        assert follower.ids() == []
    chain.close()
    pack(chains(tmp_path / "journal")[chain.chain][0])
    assert follower.ids() == []
    assert follower.journal.broken == []


def test_chains_share_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatvault.recorder import journal

    monkeypatch.setattr(journal, "BATCH", 5000)
    monkeypatch.setattr(journal, "_SHARE", 1000)
    monkeypatch.setattr(tails, "_CHUNK", 1000)
    written = [writer(tmp_path, f"worker{number}") for number in range(3)]
    expected = sorted(id for number, chain in enumerate(written) for id in calls(chain, 20, number * 100))
    follower = Follower(tmp_path)
    assert sorted(follower.ids()) == expected
    assert len(follower.batches) > 3
    assert all(len(batch.positions) == 3 for batch in follower.batches[:3])
    assert not follower.journal.more
    for chain in written:
        chain.close()
