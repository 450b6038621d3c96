"""Sealing: a finished segment is described by a line in control's chain, then compressed, and never written
again.

A segment is finished when its chain has a later one, or its writer is dead and its calls are closed. It is
compressed when, besides, it is described; the recorder has gone past it; every call that was opened in it is
closed; and, for control's own, all that it says about other chains concerns compressed segments (recovery.py
says why). Segments of a chain are compressed in order.

The order of the steps makes a crash harmless: the compressed file is complete and durable before it gets its
name, and has its name before the plain one goes. Where both are there the plain one counts, and it is
compressed once more.
"""

import gzip
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chatvault.audit.lines import Closed, Line, Sealed
from chatvault.audit.reader import ChainReader
from chatvault.audit.scan import Calls, Settled
from chatvault.audit.segments import Segment, chains, lock_path, reserve_path, sync_folder, take_lock
from chatvault.core.clock import now_us

Applied = Callable[[str], tuple[int, int] | None]
"""How far the recorder has come in a chain: (segment, offset); None if it has not begun."""

_STALE = 60.0
"""Seconds after which a lock that no chain belongs to is left from a start that failed."""


class _Finished:
    """What one pass over a finished segment tells."""

    __slots__ = ("about", "described", "digest", "first", "last", "open", "reader", "size")

    def __init__(self, folder: Path, segment: Segment) -> None:
        self.first = 0
        self.last = 0
        self.digest = ""
        self.size = 0
        """Of its whole lines."""
        self.about: set[str] = set()
        """Chains of which calls were closed here."""
        self.described: set[tuple[str, int]] = set()
        calls = Calls()
        with ChainReader(folder, segment.chain, segment.number, lenient=True) as reader:
            for line, raw, number, offset in reader:
                if number != segment.number:
                    break
                calls.see(line, number)
                self._see(line)
                self.first = self.first or line.seq
                self.last, self.digest = line.seq, raw[-67:-3].decode("ascii", "replace")
                self.size = offset
        self.open = set(calls.open)
        self.reader = ChainReader(folder, segment.chain, segment.number + 1, lenient=True)
        """Looks for the closings of the calls that are open at the segment's end."""

    def _see(self, line: Line) -> None:
        if isinstance(line, Closed) and line.chain is not None:
            self.about.add(line.chain)
        elif isinstance(line, Sealed):
            self.described.add((line.chain, line.segment))

    def calls_closed(self) -> bool:
        """Whether later segments close all calls that were opened here; only what is new is read."""
        if self.open:
            for line, *_ in self.reader:
                if isinstance(line, Closed):
                    self.open.discard(line.id)
            self.reader.close()
        return not self.open


class Sealer:
    """Blocking, for a thread. With `applied` None, nobody has to have read a segment before it is
    compressed."""

    def __init__(self, folder: Path, applied: Applied | None = None) -> None:
        self._folder = folder
        self._applied = applied
        self._finished: dict[tuple[str, int], _Finished] = {}

    def due(self, settled: Settled) -> list[Sealed]:
        """The lines to append for finished segments that no line describes yet. Raises JournalError and
        OSError."""
        lines: list[Sealed] = []
        for segments in chains(self._folder).values():
            for segment in _finished(segments, settled):
                if (segment.chain, segment.number) in settled.sealed:
                    continue
                seen = self._scan(segment)
                lines.append(
                    Sealed(
                        at=now_us(),
                        chain=segment.chain,
                        segment=segment.number,
                        first=seen.first,
                        last=seen.last,
                        digest=seen.digest,
                    )
                )
        return lines

    def compress(self, settled: Settled) -> list[Path]:
        """Compress what may be; the lines that describe it must be durable. The new files. Raises
        JournalError and OSError."""
        made: list[Path] = []
        listed = chains(self._folder)
        plain = {(s.chain, s.number) for segments in listed.values() for s in segments if not s.compressed}
        for segments in listed.values():
            for segment in _finished(segments, settled):
                if not self._may_compress(segment, settled, plain):
                    break
                made.append(pack(segment))
                plain.discard((segment.chain, segment.number))
                del self._finished[segment.chain, segment.number]
        self._clear(listed)
        return made

    def _scan(self, segment: Segment) -> _Finished:
        key = segment.chain, segment.number
        if key not in self._finished:
            self._finished[key] = _Finished(self._folder, segment)
        return self._finished[key]

    def _may_compress(self, segment: Segment, settled: Settled, plain: set[tuple[str, int]]) -> bool:
        if (segment.chain, segment.number) not in settled.sealed:
            return False
        seen = self._scan(segment)
        if self._applied is not None and (self._applied(segment.chain) or (0, 0)) < (
            segment.number,
            seen.size,
        ):
            return False
        if segment.chain not in settled.ended and not seen.calls_closed():
            return False
        return not (seen.described & plain) and not any(chain in seen.about for chain, _ in plain)

    def _clear(self, listed: dict[str, list[Segment]]) -> None:
        """Remove what is left of chains that are compressed to their end, of starts that failed, and of cut
        compressions."""
        for path in [*self._folder.glob(".lock-*"), *self._folder.glob(".part-*")]:
            with suppress(OSError):
                if time.time() - path.stat().st_mtime < _STALE:
                    continue
                if path.name.startswith(".part-"):
                    path.unlink()
                    continue
                chain = path.name.removeprefix(".lock-")
                if any(not segment.compressed for segment in listed.get(chain, [])):
                    continue
                handle = take_lock(self._folder, chain)
                if handle is not None:
                    reserve_path(self._folder, chain).unlink(missing_ok=True)
                    lock_path(self._folder, chain).unlink(missing_ok=True)
                    os.close(handle)


def _finished(segments: list[Segment], settled: Settled) -> list[Segment]:
    finished = segments if segments[-1].chain in settled.ended else segments[:-1]
    return [segment for segment in finished if not segment.compressed]


def pack(segment: Segment) -> Path:
    """Replace a plain segment by its compressed file, byte for byte the same inside. Raises OSError."""
    plain = segment.path
    packed = plain.with_name(plain.name + ".gz")
    part = plain.with_name(f".part-{packed.name}")
    with open(plain, "rb") as source, open(part, "wb", opener=_private_opener) as target:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=target, mtime=0) as press:
            shutil.copyfileobj(source, press, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    os.replace(part, packed)
    sync_folder(plain.parent)
    plain.unlink()
    return packed


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
