"""The end of one chain that is not applied yet: read, checked, and turned into entries.

What a chain says is believed as far as it holds together. A line that does not fit (its digest, its number,
its link to the line before) is not applied, and nothing after it: what follows hangs on a line that somebody
changed, and a row must not be made from a guess. Such a chain is broken: it is shown so, with file and line,
while all other chains go on; it is looked at again every few seconds, and goes on by itself once the file is
as it was written. `chatvault audit verify` says what else is wrong with it.

The same goes for a segment that is missing, unless control has put it on record that retention removed it.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from chatvault.audit.lines import Closed, Counted, Priced, Private, Refused, Sealed
from chatvault.audit.reader import read_private
from chatvault.audit.segments import Segment, segment_path
from chatvault.ledger.batch import Entry, Position
from chatvault.ledger.state import BrokenChain
from chatvault.recorder.check import Damage, Known, begins, check, time_of
from chatvault.recorder.source import Source, open_source

Stubs = Mapping[tuple[str, int], Sealed]
"""By chain and segment: segments that retention has removed."""

_CHUNK: Final = 1 << 18
_GLANCE: Final = 1 << 14
_LONGEST: Final = 64 << 20
"""Bytes of a line. Ours have a few thousand at most."""
_DROWSY: Final = 40
"""Reads in vain after which a file is closed and only its size is watched: chains of killed writers may be
many."""

_json = msgspec.json.Encoder(order="deterministic").encode


class Found(msgspec.Struct):
    """Where tails put what they read. Of a chain there is one position, that after its last line."""

    entries: list[Entry] = []
    prices: list[Priced] = []
    counts: list[tuple[str, Counted]] = []
    stubs: list[Sealed] = []
    lines: int = 0


class Tail:
    """`segments` are those on disk, in order, as listed before a read: a segment that another follows is
    finished."""

    def __init__(self, folder: Path, position: Position) -> None:
        self.chain = position.chain
        self.segments: list[Segment] = []
        self.broken: BrokenChain | None = None
        self._folder = folder
        self._segment = position.segment
        self._offset = position.offset
        self._seq = position.seq
        self._digest = position.digest.encode()
        self._source: Source | None = None
        self._packed = False
        self._unsynced = False
        self._torn = 0
        self._idle = 0
        self._resting = False

    @property
    def position(self) -> Position:
        return Position(self.chain, self._segment, self._offset, self._seq, self._digest.decode())

    def listed(self, segments: list[Segment]) -> None:
        """What the folder holds of this chain now."""
        if segments != self.segments:
            self.segments = segments
            self._resting = False

    def read(self, budget: int, found: Found, stubs: Stubs) -> int:
        """Put what is there, about `budget` bytes of it, into `found`. Returns the bytes taken; fewer than
        `budget`: there is no more now, or the chain is broken. Raises OSError, and must not be used any
        more then."""
        taken = 0
        if self._rests():
            return 0
        while taken < budget and self.broken is None:
            try:
                size = self._step(found, stubs)
            except FileNotFoundError:
                break  # compressed or removed since the folder was listed
            except (Damage, ValueError) as error:
                self._break(str(error))
                break
            if size is None:
                break
            taken += size
        self._idle = 0 if taken else self._idle + 1
        if self._idle >= _DROWSY and not self._torn:
            self.close()
        return taken

    def sync(self) -> None:
        """Make durable what was read: the ledger must never know more than the journal. Raises OSError."""
        if self._unsynced and self._source is not None:
            self._source.sync()
        self._unsynced = False

    def behind(self) -> int:
        """Bytes on disk that are not read yet, a torn last line left out. Raises OSError."""
        if self.broken is not None or self._resting:
            return 0
        total = -self._offset
        for segment in self.segments:
            if segment.number >= self._segment:
                with suppress(FileNotFoundError):
                    total += self._size(segment)
        return 0 if total <= self._torn else total

    def waiting_since(self) -> int | None:
        """When the next line that is not read yet was written; None if that is not known. Raises OSError."""
        if self._source is None or self._packed:
            return None
        text, newline, _ = self._source.read(self._offset, _GLANCE).partition(b"\n")
        return time_of(text) if newline else None

    def mend(self) -> None:
        """Look at a broken chain again."""
        self.broken = None
        self._resting = False
        self._idle = 0
        self.close()

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    def _rests(self) -> bool:
        """Nothing new can be there. A file that was closed, for nothing came for a while, is asked for its
        size."""
        if self._resting:
            self.close()
            return True
        if self._source is not None or self._idle < _DROWSY or not self.segments or self._torn:
            return False
        segment = self.segments[-1]
        if segment.number != self._segment or segment.compressed:
            return False
        try:
            return os.stat(segment.path).st_size == self._offset
        except FileNotFoundError:
            return False

    def _step(self, found: Found, stubs: Stubs) -> int | None:
        """One chunk, or one move to the next segment. None: there is no more for now."""
        if not self.segments:
            return None
        last = self.segments[-1].number
        if self._source is None and not self._open(stubs, last):
            return None
        assert self._source is not None
        size = _CHUNK
        data = self._source.read(self._offset, size)
        while (end := data.rfind(b"\n")) < 0 and len(data) == size:
            if size >= _LONGEST:
                raise Damage("the line has no end")
            size *= 4
            data = self._source.read(self._offset, size)
        self._torn = len(data) - end - 1 if len(data) < size else 0
        if end >= 0:
            self._lines(data[:end].split(b"\n"), found)
            return end + 1
        if not data and self._source.size() < self._offset:
            raise Damage("the file is shorter than it was: lines that are in the ledger were removed")
        if data and last > self._segment:
            raise Damage("the segment ends in the middle of a line, yet another follows")
        if last <= self._segment:
            # The torn last line of a killed writer is compressed with the rest, and is nothing.
            self._resting = self._packed
            return None
        self._leave()
        self._segment += 1
        self._offset = 0
        return 0

    def _lines(self, texts: list[bytes], found: Found) -> None:
        seq, digest, offset = self._seq, self._digest, self._offset
        try:
            for text in texts:
                made, line = check(text, seq + 1, digest)
                if line is not None:
                    self._take(line, found)
                seq += 1
                digest = made
                offset += len(text) + 1
        finally:
            found.lines += seq - self._seq
            self._unsynced = self._unsynced or seq > self._seq
            self._seq, self._digest, self._offset = seq, digest, offset

    def _take(self, line: Known, found: Found) -> None:
        if isinstance(line, (Closed, Refused)):
            entry = (
                Entry(self.chain, line) if line.private is None else self._with_private(line, line.private)
            )
            found.entries.append(entry)
        elif isinstance(line, Priced):
            found.prices.append(line)
        elif isinstance(line, Counted):
            found.counts.append((self.chain, line))
        elif isinstance(line, Sealed):
            if line.deleted:
                found.stubs.append(line)
        else:
            begins(line, self.chain)

    def _with_private(self, line: Closed | Refused, private: Private) -> Entry:
        """The error text and the metadata, unless they were erased: the chain says that there was
        something, no longer what."""
        data = read_private(self._folder, self.chain, self._segment, private) or {}
        error, metadata = data.get("error"), data.get("metadata")
        if error is not None and not isinstance(error, str):
            error = _json(error).decode()
        return Entry(self.chain, line, error, None if metadata is None else _json(metadata).decode())

    def _open(self, stubs: Stubs, last: int) -> bool:
        """Open the segment that is due. False: it is not there yet, or holds nothing new."""
        present = {segment.number: segment for segment in self.segments}
        while self._segment <= last:
            segment = present.get(self._segment)
            if segment is None:
                stub = stubs.get((self.chain, self._segment))
                if stub is None:
                    raise Damage("the segment is missing, and not on record as removed by retention")
                self._seq, self._digest = stub.last, stub.digest.encode()
            elif not segment.compressed or self._size(segment) != self._offset:
                self._source = open_source(segment)
                self._packed = segment.compressed
                return True
            elif self._segment == last:
                # So that thousands of chains that are long finished need not be unpacked.
                self._resting = True
                return False
            self._segment += 1
            self._offset = 0
        return False

    def _leave(self) -> None:
        self.sync()
        self.close()

    def _size(self, segment: Segment) -> int:
        if segment.number == self._segment and self._source is not None:
            return self._source.size()
        source = open_source(segment)
        try:
            return source.size()
        finally:
            source.close()

    def _break(self, why: str) -> None:
        path, line = segment_path(self._folder, self.chain, self._segment), 1
        for segment in self.segments:
            if segment.number == self._segment:
                path = segment.path
        with suppress(OSError, ValueError):
            line = self._line_number()
        self.broken = BrokenChain(self.chain, path.name, line, why)
        self._leave()

    def _line_number(self) -> int:
        """Of the line at the present offset, counted from the segment's beginning."""
        segment = next((found for found in self.segments if found.number == self._segment), None)
        if segment is None:
            return 1
        source, at, lines = open_source(segment), 0, 1
        try:
            while at < self._offset:
                data = source.read(at, min(1 << 20, self._offset - at))
                if not data:
                    break
                at += len(data)
                lines += data.count(b"\n")
        finally:
            source.close()
        return lines
