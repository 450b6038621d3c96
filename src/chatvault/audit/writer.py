"""The writer of a chain: one life of one process, line by line, each written whole before anybody acts on it.

Three rules make the promise. A line is one `write`; if the disk takes less, the file is cut back to the last
whole line before anything else is written. A new call needs `append` to succeed, and `append` refuses while
the reserve of disk space is not held, so that there is always room to close what was opened. And a closing
line is never lost while the process lives: what the disk cannot take even with the reserve given up is kept
in memory, in order, and written when the disk allows.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter_ns
from typing import NoReturn

from chatvault.audit.advice import FULL, advice
from chatvault.audit.durable import Failed, GroupSync, sync_data
from chatvault.audit.frame import frame
from chatvault.audit.heads import plain_heads
from chatvault.audit.lines import ChainEnded, ChainStarted, Line, Private
from chatvault.audit.private import PrivateFile
from chatvault.audit.reserve import Reserve
from chatvault.audit.segments import lock_path, private_path, reserve_path, segment_path, sync_folder
from chatvault.config.schema import AuditConfig
from chatvault.core.clock import now_us
from chatvault.core.errors import JournalError

Write = Callable[[int, bytes], int]

_HEAL_EVERY = 0.1
"""Seconds between two tries to heal that calls cause; `tick` always tries."""
_ROOM = 1 << 20
"""Bytes that have to be free, beside the reserve, before calls are taken again on a disk that was full."""


class ChainWriter:
    """Not for several threads: all methods are called from the thread that owns the writer."""

    __slots__ = (
        "_broken", "_file", "_head", "_healed_at", "_kept", "_lock", "_opened_at", "_private", "_reserve",
        "_rolled", "_segment_limit", "_seq", "_settings", "_size", "_slowest", "_syncs", "_torn", "_unsynced",
        "_write", "at_once", "chain", "fault", "folder", "segment", "writer",
    )  # fmt: skip

    def __init__(
        self, folder: Path, writer: str, settings: AuditConfig, write: Write, sync: Callable[[int], None]
    ) -> None:
        self.folder = folder
        self.writer = writer
        self.chain = f"{writer}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{os.urandom(4).hex()}"
        """Sorts by start among the chains of a writer; safe in a file's name."""
        self.segment = 1
        self.fault: str | None = None
        """Why no new call can be taken, and what to do; None while all is well."""
        self._settings = settings
        self._segment_limit = settings.segment_size
        self._write = write
        self._seq = 0
        self._head = ""
        self._slowest = 0
        self._kept: list[Line] = []
        self._broken = False
        self._torn = False
        self._unsynced = False
        self._healed_at = 0.0
        self._file = -1
        self._size = self._rolled = 0
        self._opened_at = 0.0
        lock = lock_path(folder, self.chain)
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._reserve = Reserve(reserve_path(folder, self.chain), settings.reserve)
        self._syncs = GroupSync(self._sync_failed, sync) if settings.durability == "power" else None
        self.at_once = self._syncs is None
        """A line is as durable as the settings ask as soon as it is written."""
        self._private = self._private_file()

    @classmethod
    def open(
        cls, folder: Path, writer: str, settings: AuditConfig, *, version: str, write: Write = os.write,
        sync: Callable[[int], None] = sync_data,
    ) -> "ChainWriter":  # fmt: skip
        """Start a chain in `folder` (`<data>/journal`, made if need be) and write its first line.

        `writer` is letters, digits, `_` and `-`. `write` and `sync` are the two calls that touch the disk.
        Raises JournalError.
        """
        if not re.fullmatch(r"[A-Za-z0-9_-]+", writer):
            raise JournalError(f"{writer!r} cannot name a journal writer: use letters, digits, `_` and `-`.")
        chain: ChainWriter | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            chain = cls(folder, writer, settings, write, sync)
            chain._begin(version)
        except OSError as error:
            if chain is not None:
                chain._let_go()
            raise JournalError(advice(folder, error)) from error
        return chain

    def _begin(self, version: str) -> None:
        # The lock comes before the first segment: a chain that can be seen is a chain that is locked.
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        heads = plain_heads(self.folder)
        self._reserve.take()
        self._file = self._new_segment(1)
        self._put(
            ChainStarted(at=now_us(), chain=self.chain, writer=self.writer, version=version, heads=heads)
        )

    @property
    def lines(self) -> int:
        """Lines of the chain so far."""
        return self._seq

    @property
    def bytes(self) -> int:
        """Bytes of the chain so far."""
        return self._rolled + self._size

    @property
    def healthy(self) -> bool:
        return self.fault is None

    @property
    def head(self) -> tuple[int, str]:
        """Sequence number and digest of the last line."""
        return self._seq, self._head

    @property
    def slowest_us(self) -> int:
        """Microseconds of the slowest write since the last `take_slowest`."""
        return self._slowest // 1000

    def take_slowest(self) -> int:
        slowest, self._slowest = self._slowest // 1000, 0
        return slowest

    def append(self, line: Line) -> None:
        """Write a line; it survives the death of the process when this returns. Raises JournalError, and then
        nothing was written."""
        if self.fault is not None:
            self._heal_sometimes()
        try:
            self._put(line)
        except OSError as error:
            self._fail(error)
        if self._size >= self._segment_limit:
            self._roll()

    def append_reserved(self, line: Line) -> None:
        """Write a line that must not be lost, at the cost of the reserve if need be; what still cannot be
        written is kept and written later, in order. Raises JournalError only when the writer is closed."""
        if self._file < 0:
            raise JournalError(f"The journal's chain {self.chain} is closed.")
        if not self._kept and not self._private.waiting:
            try:
                self._put(line)
            except OSError as error:
                self._kept.append(line)
                self._make_way(error)
        else:
            self._kept.append(line)
            if time.monotonic() - self._healed_at >= _HEAL_EVERY:
                try:
                    self._flush_kept()
                except OSError as error:
                    self._make_way(error)
        if self._size >= self._segment_limit:
            self._roll()

    def private(self, id: str, kind: str, data: dict[str, object]) -> Private:
        """Keep `data` in the erasable part and get the reference that a chained line holds. Never fails for
        want of space: what cannot be written is kept for a while, and given up (it then reads as erased) when
        that grows too large."""
        reference, error = self._private.add(id, kind, data)
        if error is not None:
            self._reserve.give_up()
            try:
                self._private.flush()
            except OSError as still:
                error = still
            self.fault = advice(self.folder, error)
        return reference

    def when_durable(self, done: Callable[[], None], failed: Failed | None = None) -> None:
        """Call `done` when all lines so far are as durable as the settings ask: at once with `process`; with
        `power` on the running event loop, after a sync that began after this call. If that fails `failed` is
        called instead, and the writer takes no more."""
        if self._syncs is None:
            done()
        else:
            self._unsynced = False
            self._syncs.ask(done, failed)

    def roll_if_due(self, now: float) -> None:
        """Start the next segment if this one is large or old enough; `now` is in seconds since the epoch."""
        size = max(self._size, self._private.size)
        old = now - self._opened_at >= self._settings.segment_age
        if size >= self._segment_limit or (size > 0 and old):
            self._roll()

    def tick(self) -> None:
        """What has to be done about once a second: write what is kept, get the reserve back, roll, sync what
        nobody waits for."""
        if self._file < 0:
            return
        self._look_at_file()
        if self.fault is not None or self._kept or not self._reserve.held:
            self._heal()
        self.roll_if_due(time.time())
        if self._syncs is not None and self._unsynced:
            self._unsynced = False
            self._syncs.nudge()

    def close(self) -> None:
        """End the chain in order, make it durable, give the lock back. Raises JournalError if lines had to be
        left unwritten: their calls are closed as interrupted at the next start."""
        if self._file < 0:
            return
        fault: OSError | None = None
        try:
            self._flush_reserved()
            self._put(ChainEnded(at=now_us()))
            os.fsync(self._file)
            if self._private.handle is not None:
                os.fsync(self._private.handle)
            sync_folder(self.folder)
        except OSError as error:
            fault = error
        self._let_go()
        if fault is not None:
            raise JournalError(advice(self.folder, fault)) from fault

    # --- the file

    def _put(self, line: Line) -> None:
        """One line, one write. Raises OSError; then the file ends with the last whole line, or is known to be
        torn."""
        if self._torn:
            self._cut_back()
        line.seq = seq = self._seq + 1
        line.prev = self._head
        raw, digest = frame(line)
        start = perf_counter_ns()
        try:
            written = self._write(self._file, raw)
        except OSError:
            self._cut_back()
            raise
        took = perf_counter_ns() - start
        if took > self._slowest:
            self._slowest = took
        if written != len(raw):
            self._cut_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._seq = seq
        self._head = digest
        self._size += written
        self._unsynced = True

    def _cut_back(self) -> None:
        self._torn = True
        os.ftruncate(self._file, self._size)
        self._torn = False

    def _new_segment(self, number: int) -> int:
        path = segment_path(self.folder, self.chain, number)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._opened_at = time.time()
        if self._syncs is not None:
            self._syncs.add(handle, self.folder)
        return handle

    def _private_file(self) -> PrivateFile:
        path = private_path(self.folder, self.chain, self.segment)
        keep = max(self._settings.reserve, 1 << 16)
        return PrivateFile(path, keep, self._write, self._private_opened)

    def _private_opened(self, handle: int) -> None:
        if self._syncs is not None:
            private = private_path(self.folder, self.chain, self.segment).parent
            self._syncs.add(handle, private, private.parent, private.parent.parent)

    def _roll(self) -> None:
        """The next segment, at a line's border. While anything is amiss the old one goes on; so it does if no
        new one can be made."""
        if self._kept or self._torn or self._private.waiting or self.fault is not None:
            return
        try:
            handle = self._new_segment(self.segment + 1)
        except OSError:
            self._segment_limit = self._size + self._settings.segment_size // 8
            return
        self._retire()
        self.segment += 1
        self._file = handle
        self._rolled += self._size
        self._size = 0
        self._segment_limit = self._settings.segment_size
        self._private = self._private_file()

    def _retire(self) -> None:
        for handle in (self._file, self._private.handle):
            if handle is None or handle < 0:
                continue
            if self._syncs is not None:
                self._syncs.retire(handle)
            else:
                os.close(handle)

    def _let_go(self) -> None:
        self._retire()
        self._file = -1
        self._private.handle = None
        if self._syncs is not None:
            self._syncs.close()
        self._reserve.give_up()
        self.fault = f"The journal's chain {self.chain} is closed."
        os.close(self._lock)
        # Without a segment there is no chain, and nobody else will ever look at the lock.
        if self._seq == 0:
            with suppress(OSError):
                segment_path(self.folder, self.chain, 1).unlink(missing_ok=True)
                lock_path(self.folder, self.chain).unlink(missing_ok=True)

    # --- when something is amiss

    def _make_way(self, error: OSError) -> None:
        """The lines that are kept could not be written. On a full disk the reserve is given up for them, and they are
        tried once more; what is kept even then waits."""
        try:
            self._give_up_for(error)
        except OSError as still:
            self._healed_at = time.monotonic()
            self.fault = advice(self.folder, still)

    def _give_up_for(self, error: OSError) -> None:
        if error.errno not in FULL or not self._reserve.held:
            raise error
        self._reserve.give_up()
        self.fault = advice(self.folder, error)
        self._flush_kept()

    def _flush_reserved(self) -> None:
        """Write the lines that are kept; give up the reserve when the disk is full, and try once more. Raises
        OSError."""
        try:
            self._flush_kept()
        except OSError as error:
            self._give_up_for(error)

    def _flush_kept(self) -> None:
        self._private.flush()
        done = 0
        try:
            for line in self._kept:
                self._put(line)
                done += 1
        finally:
            del self._kept[:done]

    def _fail(self, error: OSError) -> NoReturn:
        self.fault = advice(self.folder, error)
        self._healed_at = time.monotonic()
        raise JournalError(self.fault) from error

    def _heal_sometimes(self) -> None:
        """Before a new call: heal if it was not tried just now. Raises JournalError while the fault lasts."""
        now = time.monotonic()
        if self._file >= 0 and now - self._healed_at >= _HEAL_EVERY:
            self._heal()
        if self.fault is not None:
            raise JournalError(self.fault)

    def _heal(self) -> None:
        self._healed_at = time.monotonic()
        if self._broken:
            return
        try:
            if self._torn:
                self._cut_back()
            self._flush_kept()
            self._reserve.take()
            self._look_for_space()
        except OSError as error:
            self.fault = advice(self.folder, error)
            return
        self.fault = None

    def _look_for_space(self) -> None:
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _look_at_file(self) -> None:
        """Somebody may have removed or changed the file that is being written: what goes there now is on no
        record."""
        path = segment_path(self.folder, self.chain, self.segment)
        try:
            seen = os.stat(path)
            same = seen.st_ino == os.fstat(self._file).st_ino and (self._torn or seen.st_size == self._size)
        except FileNotFoundError:
            same = False
        if not same:
            self._broken = True
            self.fault = (
                f"The journal's file {path} was removed or changed by somebody else while in use. "
                "Find out by whom, then restart: a new chain is begun."
            )

    def _sync_failed(self, error: OSError) -> None:
        self._broken = True
        self.fault = (
            f"The journal in {self.folder} could not be made durable ({error.strerror}). "
            "Check the disk, then restart: after a failed sync nothing that is written is sure to stay."
        )
