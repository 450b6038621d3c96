import gzip
import time
from pathlib import Path

import pytest

from chatvault.audit.lines import Opened
from chatvault.audit.reader import ChainReader, chains, read_private
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.core.errors import JournalError
from tests.audit.samples import closed, open_writer, opened, raw_lines

ROLLING = AuditConfig(reserve=0, segment_size=1500)


def compress(path: Path) -> None:
    Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def filled(data: Path, calls: int = 12, settings: AuditConfig = ROLLING) -> ChainWriter:
    writer = open_writer(data, settings=settings)
    for number in range(calls):
        writer.append(opened(str(number)))
        writer.append_reserved(closed(str(number)))
    return writer


@pytest.mark.parametrize("limit", [1, 700, 1 << 20])
def test_all_lines_come_in_order_through_plain_and_compressed_segments(tmp_path: Path, limit: int) -> None:
    writer = filled(tmp_path)
    raw = list(raw_lines(writer))
    segments = chains(writer.folder)[writer.chain]
    assert len(segments) > 3
    for segment in segments[:2]:
        compress(segment.path)
    with ChainReader(writer.folder, writer.chain, check=True) as reader:
        found = []
        while entries := reader.read(limit):
            found += entries
        assert [entry[1] for entry in found] == raw
        assert [entry[0].seq for entry in found] == list(range(1, len(raw) + 1))
        assert reader.torn == 0
        assert (reader.segment, reader.offset) in {found[-1][2:], (writer.segment, 0)}


def test_reading_goes_on_from_every_position(tmp_path: Path) -> None:
    writer = filled(tmp_path)
    compress(chains(writer.folder)[writer.chain][0].path)
    with ChainReader(writer.folder, writer.chain) as reader:
        entries = list(reader)
    for index, (_, _, segment, offset) in enumerate(entries):
        with ChainReader(writer.folder, writer.chain, segment, offset, check=True) as reader:
            assert list(reader) == entries[index + 1 :]


def test_a_reader_follows_a_writer_over_torn_writes_and_rolls(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, settings=ROLLING)
    path = chains(writer.folder)[writer.chain][0].path
    with ChainReader(writer.folder, writer.chain, check=True) as reader:
        assert len(reader.read()) == 1
        assert reader.read() == []
        size = path.stat().st_size
        with path.open("ab") as file:
            file.write(b'{"type":"opened"')
        assert reader.read() == []
        assert reader.torn == 16
        with path.open("r+b") as file:
            file.truncate(size)
        seen = 0
        for number in range(10):
            writer.append(opened(str(number)))
            seen += len(reader.read())
        assert seen == 10
        assert reader.segment == writer.segment
        assert reader.torn == 0


def test_a_chain_whose_first_segments_were_removed_begins_where_it_can(tmp_path: Path) -> None:
    writer = filled(tmp_path)
    chains(writer.folder)[writer.chain][0].path.unlink()
    with ChainReader(writer.folder, writer.chain, check=True) as reader:
        assert next(iter(reader))[2] == 2
    with ChainReader(writer.folder, "nobody-20260101T000000Z-00000000") as reader:
        assert reader.read() == []


def edit(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def test_damage_is_named_by_file_and_offset(tmp_path: Path) -> None:
    writer = filled(tmp_path, settings=AuditConfig(reserve=0))
    path = chains(writer.folder)[writer.chain][0].path
    first = len(next(raw_lines(writer)))
    edit(path, b'"reserved":1000', b'"reserved":1001')
    with ChainReader(writer.folder, writer.chain) as reader:
        assert len(list(reader)) == 25, "unchecked reading takes what it says"
    with ChainReader(writer.folder, writer.chain, check=True) as reader:
        with pytest.raises(
            JournalError, match=rf"{path}, offset {first}: line 2 is not as it was written"
        ) as caught:
            list(reader)
        assert caught.value.code == "journal_damaged"
        assert reader.offset == first
    edit(path, b'"reserved":1001', b'"reserved":1000')
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3] + lines[4:]))
    with (
        ChainReader(writer.folder, writer.chain, check=True) as reader,
        pytest.raises(JournalError, match="line 5 does not follow line 3"),
    ):
        list(reader)
    path.write_bytes(lines[0] + b"nonsense\n")
    with (
        ChainReader(writer.folder, writer.chain) as reader,
        pytest.raises(JournalError, match="cannot be read"),
    ):
        list(reader)


def test_a_segment_cut_in_the_middle_of_the_chain_is_damage(tmp_path: Path) -> None:
    writer = filled(tmp_path)
    path = chains(writer.folder)[writer.chain][1].path
    path.write_bytes(path.read_bytes()[:-10])
    with (
        ChainReader(writer.folder, writer.chain) as reader,
        pytest.raises(JournalError, match="middle of a line"),
    ):
        list(reader)


def test_a_broken_compressed_segment_is_damage(tmp_path: Path) -> None:
    writer = filled(tmp_path)
    path = chains(writer.folder)[writer.chain][0].path
    compress(path)
    packed = Path(f"{path}.gz")
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(JournalError, match="compressed"), ChainReader(writer.folder, writer.chain) as reader:
        list(reader)


def test_private_parts_are_read_and_erased_ones_are_none(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    one = writer.private("call-1", "client", {"address": "192.0.2.1"})
    two = writer.private("call-2", "client", {"address": "192.0.2.2"})
    folder = writer.folder
    assert read_private(folder, writer.chain, 1, one) == {"address": "192.0.2.1"}
    assert read_private(folder, writer.chain, 1, two) == {"address": "192.0.2.2"}
    path = tmp_path / "private" / writer.chain / "000001.jsonl"
    with path.open("r+b") as file:
        file.seek(one.at)
        file.write(b" " * one.size)
    assert read_private(folder, writer.chain, 1, one) is None
    assert read_private(folder, writer.chain, 1, two) == {"address": "192.0.2.2"}
    assert read_private(folder, writer.chain, 2, two) is None
    assert read_private(folder, writer.chain, 1, type(one)(one.digest, 0, 0)) is None


def test_reading_and_checking_keeps_its_budget(tmp_path: Path) -> None:
    writer = filled(tmp_path, calls=5000, settings=AuditConfig(reserve=0))
    started = time.process_time()
    with ChainReader(writer.folder, writer.chain, check=True) as reader:
        lines = sum(isinstance(entry[0], Opened) for entry in reader)
    spent = time.process_time() - started
    assert lines == 5000
    # The aim is 5 us a line; a test that shares its machine gets room to breathe.
    assert spent / 10_000 < 40e-6
