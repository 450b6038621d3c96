import asyncio
import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from chatvault.audit.lines import Admin
from chatvault.audit.segments import chains, lock_path, reserve_path, take_lock
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.core.errors import JournalError
from tests.audit.samples import SMALL, closed, open_writer, opened, raw_lines


class Disk:
    """A disk with `room` bytes, which takes what fits and then says that it is full."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.short = False

    def write(self, handle: int, data: bytes) -> int:
        if len(data) > self.room:
            if not self.short:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.room]
        self.room -= len(data)
        return os.write(handle, data)


def takes_calls(writer: ChainWriter) -> bool:
    return writer.healthy and writer.fault is None


def on_disk(tmp_path: Path, disk: Disk) -> ChainWriter:
    return ChainWriter.open(tmp_path / "journal", "worker0", SMALL, version="test", write=disk.write)


def test_lines_are_chained_by_sequence_and_digest(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.append(opened())
    writer.append_reserved(closed())
    head = writer.head
    lines = list(raw_lines(writer))
    previous = ""
    for number, raw in enumerate(lines, 1):
        line = json.loads(raw)
        text, tail = raw[:-78], raw[-78:]
        assert tail.endswith(b'"}\n')
        assert line["digest"] == hashlib.sha256(text + b"}").hexdigest()
        assert line["seq"] == number
        assert line.get("prev", "") == previous
        previous = line["digest"]
    assert [json.loads(raw)["type"] for raw in lines] == ["chain", "opened", "closed"]
    assert head == (3, previous)
    assert writer.lines == 3
    assert writer.bytes == sum(map(len, lines))
    writer.close()


def test_a_line_is_one_write_and_the_slowest_is_told(tmp_path: Path) -> None:
    writes: list[bytes] = []

    def slow(handle: int, data: bytes) -> int:
        writes.append(data)
        if data.startswith(b'{"type":"closed"'):
            time.sleep(0.02)
        return os.write(handle, data)

    writer = ChainWriter.open(tmp_path / "journal", "worker0", SMALL, version="test", write=slow)
    writer.append(opened())
    assert writer.slowest_us < 20_000
    writer.append_reserved(closed())
    assert writes == list(raw_lines(writer))
    assert writer.slowest_us >= 20_000
    assert writer.take_slowest() >= 20_000
    assert writer.slowest_us == 0
    writer.close()


def test_the_first_line_holds_the_heads_of_the_chains_before(tmp_path: Path) -> None:
    first = open_writer(tmp_path)
    first.append(
        Admin(at=1, who="me", what="x" * 200_000, subject="longer than the window that tails are read by")
    )
    torn = tmp_path / "journal" / "old-20200101T000000Z-00000000.000001.jsonl"
    torn.write_bytes(b'{"type":"chain","seq":1,"at":1,"chain":"old')
    second = open_writer(tmp_path, "worker1")
    with open(tmp_path / "journal" / f"{first.chain}.000001.jsonl", "ab") as file:
        file.write(b'{"type":"opened","seq":3,"torn')
    third = open_writer(tmp_path, "worker2")
    for writer in (second, third):
        line = json.loads(next(raw_lines(writer)))
        assert line["heads"][first.chain] == list(first.head)
        assert not any(chain.startswith("old") for chain in line["heads"])
    assert json.loads(next(raw_lines(third)))["heads"][second.chain] == list(second.head)


def test_the_lock_is_held_from_before_the_first_segment_until_the_end(tmp_path: Path) -> None:
    seen: list[int | None] = []
    folder = tmp_path / "journal"

    def watch(handle: int, data: bytes) -> int:
        seen.extend(take_lock(folder, chain) for chain in chains(folder))
        return os.write(handle, data)

    settings = AuditConfig(reserve=0, segment_size=2000)
    writer = ChainWriter.open(folder, "worker0", settings, version="test", write=watch)
    for number in range(10):
        writer.append(opened(str(number)))
    assert writer.segment > 2
    assert len(seen) == 11
    assert set(seen) == {None}
    writer.close()
    handle = take_lock(folder, writer.chain)
    assert handle is not None
    os.close(handle)


def test_a_short_write_is_cut_back_before_the_next_line(tmp_path: Path) -> None:
    disk = Disk()
    disk.short = True
    writer = on_disk(tmp_path, disk)
    writer.append(opened("a"))
    disk.room = 100
    with pytest.raises(JournalError, match="Free some disk space"):
        writer.append(opened("b"))
    disk.room = 1 << 20
    writer.tick()
    writer.append(opened("c"))
    lines = [json.loads(raw) for raw in raw_lines(writer)]
    assert [line.get("id") for line in lines] == [None, "a", "c"]
    assert [line["seq"] for line in lines] == [1, 2, 3]


def test_a_full_disk_refuses_new_calls_and_closes_open_ones_in_order(tmp_path: Path) -> None:
    disk = Disk()
    writer = on_disk(tmp_path, disk)
    for id in "abc":
        writer.append(opened(id))
    reserve = reserve_path(writer.folder, writer.chain)
    assert reserve.stat().st_blocks * 512 >= SMALL.reserve
    disk.room = 0
    with pytest.raises(JournalError):
        writer.append(opened("d"))
    assert reserve.exists(), "a new call never takes the reserve"
    writer.append_reserved(closed("a"))
    assert not reserve.exists()
    writer.append_reserved(closed("b"))
    assert not takes_calls(writer)
    disk.room = 1 << 20
    writer.append_reserved(closed("c"))
    writer.tick()
    assert takes_calls(writer)
    assert reserve.exists()
    writer.append(opened("e"))
    found = [(line["type"], line.get("id")) for line in map(json.loads, raw_lines(writer))]
    assert found[4:] == [("closed", "a"), ("closed", "b"), ("closed", "c"), ("opened", "e")]


def test_append_refuses_while_the_reserve_is_not_there(tmp_path: Path) -> None:
    disk = Disk()
    writer = on_disk(tmp_path, disk)
    writer.append(opened("a"))
    fails = [True]

    def once(handle: int, data: bytes) -> int:
        if fails.pop() if fails else False:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(handle, data)

    writer._write = once
    writer.append_reserved(closed("a"))
    assert json.loads(list(raw_lines(writer))[-1])["type"] == "closed", "written in the space of the reserve"
    assert not takes_calls(writer)
    writer._healed_at = time.monotonic()
    with pytest.raises(JournalError, match="Free some disk space"):
        writer.append(opened("b"))
    writer._healed_at = 0.0
    writer.append(opened("b"))
    assert takes_calls(writer)


def test_closing_with_lines_that_could_not_be_written_says_so(tmp_path: Path) -> None:
    disk = Disk()
    writer = on_disk(tmp_path, disk)
    writer.append(opened("a"))
    disk.room = 0
    writer.append_reserved(closed("a"))
    with pytest.raises(JournalError, match="Free some disk space"):
        writer.close()
    handle = take_lock(writer.folder, writer.chain)
    assert handle is not None, "the lock is given back all the same"
    os.close(handle)
    with pytest.raises(JournalError, match="closed"):
        writer.append_reserved(closed("a"))
    with pytest.raises(JournalError, match="closed"):
        writer.append(opened("a"))
    writer.tick()
    writer.close()


RLIMIT = """
import json, resource, sys
from pathlib import Path
from chatvault.config.schema import AuditConfig
from chatvault.core.errors import JournalError
from tests.audit.samples import closed, open_writer, opened, raw_lines

writer = open_writer(Path(sys.argv[1]), settings=AuditConfig(reserve=4096))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
taken = []
try:
    for number in range(1000):
        writer.append(opened(str(number)))
        taken.append(str(number))
except JournalError as error:
    print("refused", error.message)
for id in taken:
    writer.append_reserved(closed(id))
assert not writer.healthy
whole = Path(writer.folder, writer.chain + ".000001.jsonl").read_bytes()
assert whole.endswith(b"}\\n") and len(whole) <= 20_000, "cut back to the last whole line"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.tick()
assert writer.healthy
writer.append(opened("after"))
writer.close()
lines = [json.loads(raw) for raw in raw_lines(writer)]
assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
assert [line["id"] for line in lines if line["type"] == "closed"] == taken
"""


def test_a_real_limit_on_the_file_refuses_and_heals(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RLIMIT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused The journal in ")


def test_segments_roll_by_size_and_by_age_at_a_lines_border(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, settings=AuditConfig(reserve=0, segment_size=2000, segment_age=100))
    for number in range(20):
        writer.append(opened(str(number)))
    segments = chains(writer.folder)[writer.chain]
    assert [segment.number for segment in segments] == list(range(1, writer.segment + 1))
    assert all(2000 <= segment.path.stat().st_size < 3000 for segment in segments[:-1])
    sequence = [json.loads(raw)["seq"] for raw in raw_lines(writer)]
    assert sequence == list(range(1, 22))
    before = writer.segment
    writer.append(opened("x"))
    writer.roll_if_due(time.time())
    assert writer.segment == before
    writer.roll_if_due(time.time() + 101)
    assert writer.segment == before + 1
    writer.roll_if_due(time.time() + 1000)
    assert writer.segment == before + 1, "an empty segment is not rolled"
    writer.append_reserved(closed("x"))
    assert json.loads(list(raw_lines(writer))[-1])["seq"] == 23
    writer.close()


def test_a_private_part_lies_beside_its_segment(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, settings=AuditConfig(reserve=0, segment_age=10))
    first = writer.private("call-1", "client", {"b": 1, "address": "192.0.2.1"})
    second = writer.private("call-1", "client", {"b": 1, "address": "192.0.2.1"})
    writer.roll_if_due(time.time() + 11)
    third = writer.private("call-2", "error", {"text": "é"})
    folder = tmp_path / "private" / writer.chain
    for name, reference in (("000001", first), ("000001", second), ("000002", third)):
        whole = (folder / f"{name}.jsonl").read_bytes()
        raw = whole[reference.at : reference.at + reference.size]
        assert hashlib.sha256(raw).hexdigest() == reference.digest
        assert whole[reference.at + reference.size :].startswith(b"\n")
    assert first.digest != second.digest, "salted"
    assert len(json.loads((folder / "000001.jsonl").read_bytes().splitlines()[0])["salt"]) == 32
    assert (folder / "000001.jsonl").stat().st_mode & 0o077 == 0


def test_private_text_is_kept_while_the_disk_is_full_up_to_a_bound(tmp_path: Path) -> None:
    disk = Disk()
    writer = on_disk(tmp_path, disk)
    writer.append(opened("a"))
    written = writer.private("a", "client", {"address": "192.0.2.1"})
    disk.room = 10
    disk.short = True
    kept = writer.private("a", "error", {"text": "no room"})
    assert not takes_calls(writer)
    given_up = writer.private("a", "error", {"text": "x" * SMALL.reserve})
    assert given_up.size == 0
    disk.room = 1 << 20
    writer.tick()
    assert takes_calls(writer)
    raw = (tmp_path / "private" / writer.chain / "000001.jsonl").read_bytes()
    for reference in (written, kept):
        assert hashlib.sha256(raw[reference.at :][: reference.size]).hexdigest() == reference.digest
    assert len(raw.splitlines()) == 2


def test_what_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("not a folder")
    with pytest.raises(JournalError, match="Check the disk"):
        open_writer(tmp_path)
    with pytest.raises(JournalError, match="cannot name"):
        open_writer(tmp_path, "../x")


def test_a_start_without_room_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="Free some disk space"):
        on_disk(tmp_path, Disk(room=10))
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_journal_that_somebody_else_touches_takes_no_calls(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.tick()
    assert takes_calls(writer)
    (tmp_path / "journal" / f"{writer.chain}.000001.jsonl").unlink()
    writer.tick()
    with pytest.raises(JournalError, match="removed or changed"):
        writer.append(opened())
    writer.tick()
    assert not takes_calls(writer)


def test_process_durability_calls_back_at_once(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    called: list[int] = []
    writer.when_durable(lambda: called.append(1))
    assert called == [1]


POWER = AuditConfig(reserve=0, durability="power")


async def test_power_durability_never_calls_back_before_the_sync(tmp_path: Path) -> None:
    durable: dict[int, int] = {}

    def sync(handle: int) -> None:
        size = os.fstat(handle).st_size
        time.sleep(0.002)
        durable[os.fstat(handle).st_ino] = size

    writer = ChainWriter.open(tmp_path / "journal", "worker0", POWER, version="test", sync=sync)
    rolled = writer.segment
    answered: list[int] = []
    finished = asyncio.Event()

    def check(number: int, inode: int, size: int) -> None:
        assert durable.get(inode, 0) >= size
        answered.append(number)
        if len(answered) == 60:
            finished.set()

    for number in range(60):
        writer.private(str(number), "client", {"n": number})
        writer.append(opened(str(number)))
        seen = os.stat(writer.folder / f"{writer.chain}.{writer.segment:06d}.jsonl")
        writer.when_durable(partial(check, number, seen.st_ino, seen.st_size))
        if number == 30:
            writer.roll_if_due(time.time() + 7200)
        if number % 7 == 0:
            await asyncio.sleep(0.001)
    await asyncio.wait_for(finished.wait(), 10)
    assert answered == list(range(60))
    assert writer.segment == rolled + 1
    assert len(durable) == 4, "chain and private part of both segments"
    writer.append_reserved(closed("1"))
    writer.tick()
    writer.close()
    last = writer.folder / f"{writer.chain}.{writer.segment:06d}.jsonl"
    assert durable[last.stat().st_ino] == last.stat().st_size


async def test_a_failed_sync_is_never_called_durable(tmp_path: Path) -> None:
    fail = [False]

    def sync(handle: int) -> None:
        if fail[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    writer = ChainWriter.open(tmp_path / "journal", "worker0", POWER, version="test", sync=sync)
    loop = asyncio.get_running_loop()
    good: asyncio.Future[str] = loop.create_future()
    writer.append(opened("a"))
    writer.when_durable(lambda: good.set_result("durable"))
    assert await asyncio.wait_for(good, 5) == "durable"
    fail[0] = True
    bad: asyncio.Future[str] = loop.create_future()
    writer.append(opened("b"))
    writer.when_durable(lambda: bad.set_result("durable"), lambda error: bad.set_result(error.message))
    writer.when_durable(lambda: pytest.fail("called durable"))
    assert "could not be made durable" in await asyncio.wait_for(bad, 5)
    fail[0] = False
    again: asyncio.Future[str] = loop.create_future()
    writer.when_durable(lambda: again.set_result("durable"), lambda error: again.set_result("failed"))
    assert await asyncio.wait_for(again, 5) == "failed", "a later sync that succeeds proves nothing"
    writer.tick()
    with pytest.raises(JournalError, match="Check the disk, then restart"):
        writer.append(opened("c"))
    writer.append_reserved(closed("a"))
    assert json.loads(list(raw_lines(writer))[-1])["type"] == "closed"
    writer.close()


async def test_one_failing_callback_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    writer = ChainWriter.open(tmp_path / "journal", "worker0", POWER, version="test")
    loop = asyncio.get_running_loop()
    reported: list[str] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
    good: asyncio.Future[None] = loop.create_future()
    writer.when_durable(lambda: 1 // 0)  # type: ignore[arg-type]
    writer.when_durable(lambda: good.set_result(None))
    await asyncio.wait_for(good, 5)
    assert reported == ["a call failed after its record was durable"]
    writer.close()
    late: asyncio.Future[str] = loop.create_future()
    writer.when_durable(lambda: pytest.fail("called durable"), lambda error: late.set_result(error.message))
    assert "closed" in await asyncio.wait_for(late, 5)
    writer.when_durable(lambda: pytest.fail("called durable"))


def test_an_ended_chain_leaves_no_reserve_and_says_that_it_ended(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.close()
    assert json.loads(list(raw_lines(writer))[-1])["type"] == "end"
    assert not reserve_path(writer.folder, writer.chain).exists()
    assert lock_path(writer.folder, writer.chain).exists()
