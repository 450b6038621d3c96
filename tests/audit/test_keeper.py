import asyncio
import errno
import gzip
import os
from pathlib import Path

import pytest

from chatvault.audit import sealing
from chatvault.audit.keeper import JournalKeeper
from chatvault.audit.lines import Admin, AnyLine, Closed, Sealed, Signed
from chatvault.audit.reader import ChainReader, chains, read_private
from chatvault.audit.segments import Segment, lock_path
from chatvault.audit.signing import head, read_head
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.core.errors import JournalError
from tests.audit.samples import aside, closed, open_writer, opened
from tests.audit.test_recovery import die

SETTINGS = AuditConfig(reserve=4096, segment_size=2000, sign_interval=0.05)


async def keep(data: Path, applied: sealing.Applied | None = None) -> JournalKeeper:
    return await JournalKeeper.open(data, SETTINGS, version="test", applied=applied)


def lines_of(writer: ChainWriter) -> list[AnyLine]:
    def read() -> list[AnyLine]:
        with ChainReader(writer.folder, writer.chain, check=True) as reader:
            return [entry[0] for entry in reader]

    return aside(read)


def listed(writer: ChainWriter) -> dict[str, list[Segment]]:
    return aside(chains, writer.folder)


def calls(writer: ChainWriter, first: int, last: int) -> None:
    for number in range(first, last):
        writer.append(opened(str(number)))
        writer.append_reserved(closed(str(number)))


async def test_a_start_closes_what_is_open_and_signs_all_heads(tmp_path: Path) -> None:
    worker = open_writer(tmp_path)
    line = opened("lost")
    line.client = worker.private("lost", "client", {"address": "192.0.2.1"})
    line.private = worker.private("lost", "request", {"metadata": {"team": "blue"}, "request": "{}"})
    worker.append(line)
    die(worker)
    living = open_writer(tmp_path, "worker1")
    keeper = await keep(tmp_path)
    found = lines_of(keeper.writer)
    row = next(line for line in found if isinstance(line, Closed))
    assert (row.id, row.state) == ("lost", "interrupted")
    assert row.client is not None
    kept = aside(read_private, keeper.writer.folder, keeper.writer.chain, 1, row.client)
    assert kept == {"address": "192.0.2.1"}, "where the closing line looks for it"
    assert row.private is not None
    kept = aside(read_private, keeper.writer.folder, keeper.writer.chain, 1, row.private)
    assert kept == {"metadata": {"team": "blue"}}
    signed = found[-1]
    assert isinstance(signed, Signed)
    assert signed.number == 1
    assert signed.heads[worker.chain] == worker.head
    assert signed.heads[living.chain] == living.head
    assert signed.heads[keeper.writer.chain] == (found[-2].seq, signed.prev)
    statement = aside(read_head, tmp_path)
    assert statement is not None
    assert (statement.number, statement.signature) == (1, signed.signature)
    await keeper.close()


async def test_only_what_moved_is_signed_and_numbers_go_on(tmp_path: Path) -> None:
    worker, idle = open_writer(tmp_path), open_writer(tmp_path, "worker1")
    keeper = await keep(tmp_path)
    assert await keeper.sign() is None, "its own signature is no movement"
    worker.append(opened())
    line = await keeper.sign()
    assert line is not None
    assert set(line.heads) == {worker.chain, keeper.writer.chain}
    keeper.admin("mgmt_1", "token.create", "tok_1", after={"name": "x"})
    line = await keeper.sign()
    assert line is not None
    assert set(line.heads) == {keeper.writer.chain}
    assert line.number == 3
    await keeper.close()
    await asyncio.sleep(0)
    again = await keep(tmp_path)
    newest = aside(head, tmp_path)
    assert newest is not None
    assert newest.number == 4
    assert {idle.chain, worker.chain, keeper.writer.chain, again.writer.chain} == set(newest.heads)
    (admin,) = (line for line in lines_of(keeper.writer) if isinstance(line, Admin))
    assert (admin.who, admin.what, admin.after) == ("mgmt_1", "token.create", {"name": "x"})
    await again.close()


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_running_signs_seals_and_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatvault.audit.keeper._SEAL_EVERY", 0.05)
    worker = open_writer(tmp_path, settings=SETTINGS)
    keeper = await keep(tmp_path)
    task = asyncio.create_task(keeper.run())
    calls(worker, 0, 10)
    worker.append(opened("lost"))
    die(worker)
    async with asyncio.timeout(5):
        while any(not segment.compressed for segment in listed(worker)[worker.chain]):
            await asyncio.sleep(0.02)
        while (newest := aside(read_head, tmp_path)) is None or newest.number == 1:
            await asyncio.sleep(0.02)
    await stop(task)
    assert keeper.fault is None
    assert [line.id for line in lines_of(keeper.writer) if isinstance(line, Closed)] == ["lost"]
    await keeper.close()


async def test_segments_are_compressed_only_behind_the_recorder_and_when_their_calls_are_closed(
    tmp_path: Path,
) -> None:
    applied: dict[str, tuple[int, int]] = {}
    worker = open_writer(tmp_path, settings=SETTINGS)
    worker.append(opened("long"))
    calls(worker, 0, 10)
    keeper = await keep(tmp_path, applied.get)
    before = {s.number: s.path.read_bytes() for s in listed(worker)[worker.chain]}
    assert await keeper.seal() == []

    def sealed() -> list[Sealed]:
        found = [line for line in lines_of(keeper.writer) if isinstance(line, Sealed)]
        return [line for line in found if line.chain == worker.chain]

    described = sealed()
    assert [line.segment for line in described] == list(range(1, worker.segment))
    assert not any(line.ended for line in described)
    applied[worker.chain] = (worker.segment, 0)
    assert await keeper.seal() == [], "a call of the first segment is still open"
    worker.append_reserved(closed("long"))
    applied[worker.chain] = (1, len(before[1]) - 1)
    assert await keeper.seal() == []
    applied[worker.chain] = (2, len(before[2]))
    made = await keeper.seal()
    assert [path.name for path in made] == [f"{worker.chain}.{n:06d}.jsonl.gz" for n in (1, 2)]
    for number, path in enumerate(made, 1):
        assert gzip.decompress(path.read_bytes()) == before[number]
        assert not (worker.folder / f"{worker.chain}.{number:06d}.jsonl").exists()
        assert path.stat().st_mode & 0o077 == 0
    assert [line.seq for line in lines_of(worker)] == list(range(1, 24))
    assert sealed() == described, "once is enough"
    await keeper.close()


async def test_controls_own_segments_wait_for_what_they_speak_of(tmp_path: Path) -> None:
    applied: dict[str, tuple[int, int]] = {}
    worker = open_writer(tmp_path, settings=SETTINGS)
    worker.append(opened("lost"))
    die(worker)
    first = await keep(tmp_path, applied.get)
    for number in range(20):
        first.admin("me", "note", str(number))
    own = first.writer.chain
    applied[own] = (first.writer.segment, 0)
    assert first.writer.segment > 1
    assert await first.seal() == [], "the worker's closing lies here, and its chain is not compressed"
    die(first.writer)
    second = await keep(tmp_path, applied.get)
    assert not any(isinstance(line, Closed) for line in lines_of(second.writer)), "not closed twice"
    applied[worker.chain] = (2, 0)
    applied[own] = (99, 0)
    for _ in range(4):
        await second.seal()
    found = listed(worker)
    assert all(segment.compressed for segment in found[worker.chain] + found[own])
    assert any(not segment.compressed for segment in found[second.writer.chain])
    await second.close()


async def test_a_crash_between_the_steps_of_sealing_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = open_writer(tmp_path, settings=SETTINGS)
    calls(worker, 0, 5)
    worker.close()
    keeper = await keep(tmp_path)
    segments = listed(worker)[worker.chain]
    whole = b"".join(segment.path.read_bytes() for segment in segments)

    def dies(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "killed here")

    with monkeypatch.context() as context:
        context.setattr(os, "replace", dies)
        with pytest.raises(OSError, match="killed here"):
            await keeper.seal()
    part = next(worker.folder.glob(".part-*"))
    # After the rename, before the plain file went: half a file stands for anything.
    (worker.folder / f"{segments[0].path.name}.gz").write_bytes(part.read_bytes()[:10])
    assert await keeper.seal()
    packed = listed(worker)[worker.chain]
    assert all(segment.compressed for segment in packed)
    assert b"".join(gzip.decompress(segment.path.read_bytes()) for segment in packed) == whole
    monkeypatch.setattr(sealing, "_STALE", -1.0)
    (worker.folder / ".part-x.gz").write_text("left over")
    assert lock_path(worker.folder, worker.chain).exists()
    await keeper.seal()
    assert not list(worker.folder.glob(".part-*"))
    assert not lock_path(worker.folder, worker.chain).exists()
    assert lock_path(keeper.writer.folder, keeper.writer.chain).exists()
    await keeper.close()


async def test_a_full_disk_is_shown_and_tried_again(tmp_path: Path) -> None:
    keeper = await keep(tmp_path)
    worker = open_writer(tmp_path)
    worker.append(opened("lost"))
    die(worker)
    room = [False]

    def write(handle: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(handle, data)

    keeper.writer._write = write
    with pytest.raises(JournalError, match="Free some disk space"):
        await keeper.recover()
    with pytest.raises(JournalError):
        keeper.admin("me", "token.create", "tok_1")
    assert keeper.fault is not None
    room[0] = True
    keeper.writer.tick()
    assert await keeper.recover() == 1
    assert await keeper.recover() == 0
    await keeper.close()


async def test_a_chain_that_was_cut_back_while_we_watched_is_told_and_not_signed(tmp_path: Path) -> None:
    worker = open_writer(tmp_path)
    calls(worker, 0, 3)
    keeper = await keep(tmp_path)
    path = listed(worker)[worker.chain][0].path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    keeper.admin("me", "note", "x")
    line = await keeper.sign()
    assert line is not None
    assert worker.chain not in line.heads
    assert keeper.fault is not None
    assert "was cut back to line 3" in keeper.fault
    await keeper.close()


async def test_a_journal_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(JournalError):
        await keep(tmp_path)


async def test_what_goes_wrong_while_running_is_shown_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatvault.audit.keeper._SEAL_EVERY", 0.02)
    monkeypatch.setattr("chatvault.audit.keeper._RETRY_AFTER", 0.02)
    keeper = await keep(tmp_path)
    assert keeper.fingerprint.startswith("SHA256:")
    locks = keeper.writer.folder / ".lock-worker0-dead"
    (keeper.writer.folder / "worker0-dead.000001.jsonl").write_bytes(b"")
    locks.mkdir()
    task = asyncio.create_task(keeper.run())
    async with asyncio.timeout(5):
        while "could not be tended" not in (keeper.fault or ""):
            await asyncio.sleep(0.01)
        locks.rmdir()
        while any(not segment.compressed for segment in listed(keeper.writer)["worker0-dead"]):
            await asyncio.sleep(0.01)
    await stop(task)
    assert keeper.fault is None
    await keeper.close()


async def test_a_start_that_cannot_recover_seals_nothing_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / "worker0-dead.000001.jsonl").write_bytes(b"")
    (folder / ".lock-worker0-dead").mkdir()
    keeper = await keep(tmp_path)
    assert keeper.fault is not None
    assert await keeper.seal() == []
    (folder / ".lock-worker0-dead").rmdir()
    assert await keeper.recover() == 0
    assert [path.name for path in await keeper.seal()] == ["worker0-dead.000001.jsonl.gz"]
    await keeper.close()


async def test_a_head_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "head.json").mkdir()
    with pytest.raises(JournalError, match="cannot be read"):
        await keep(tmp_path)
