"""Reading a chain: line by line, from any position, whether its segments are plain or sealed, while it is
being written or long after.

A position is (segment, offset): the segment's number and the offset in its uncompressed bytes. A reader at
the end of what is there returns nothing, and goes on when there is more. The bytes after the last newline are
torn (or a line that is being written just now): they are counted, never returned, and read again the next
time, since the writer may cut them back.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from hashlib import sha256
from io import FileIO
from pathlib import Path

import msgspec

from chatvault.audit.frame import TAIL, decode, digest_of
from chatvault.audit.lines import AnyLine, Private
from chatvault.audit.segments import Segment, chains, private_path, segment_path
from chatvault.core.errors import JournalError

__all__ = ["ChainReader", "Entry", "Segment", "chains", "read_private"]

Entry = tuple[AnyLine, bytes, int, int]
"""The line, its bytes with the newline, the segment it lies in, and the offset just after it."""


class ChainReader:
    """Reads from `segment` and `offset` on. With `check`, sequence, links and digests are checked as the
    lines come; the first line read is believed in what it says of the one before, unless `offset` is 0 in
    segment 1."""

    def __init__(
        self,
        folder: Path,
        chain: str,
        segment: int = 1,
        offset: int = 0,
        *,
        check: bool = False,
        lenient: bool = False,
    ) -> None:
        self.folder = folder
        self.chain = chain
        self.segment = segment
        self.offset = offset
        """Just after the last line that was returned."""
        self.torn = 0
        """Bytes after the last whole line, where reading stopped."""
        self.skipped = 0
        """Lines that could not be read, where that is let pass."""
        self._check = check
        self._lenient = lenient
        self._file: FileIO | gzip.GzipFile | None = None
        self._compressed = False
        self._rest = b""
        self._seq: int | None = 0 if (segment, offset) == (1, 0) else None
        self._prev = ""

    def __enter__(self) -> "ChainReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Entry]:
        """All lines that are there now."""
        while entries := self.read():
            yield from entries

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, limit: int = 1 << 20) -> list[Entry]:
        """The next whole lines, about `limit` bytes of them (at least one line); empty if there are none now.

        Raises JournalError where the journal is damaged, naming the file and the offset, and OSError.
        """
        while True:
            if self._file is None and not self._open():
                return []
            # Whether the writer has moved on is asked before the rest is read: what was there then is all
            # there will be.
            following = self._following()
            data = self._whole(limit)
            if data:
                entries = self._entries(data)
                if entries:
                    return entries
                continue
            if following is None:
                return []
            if self.torn and not self._lenient:
                raise self._damage("the segment ends in the middle of a line, yet there is a next one")
            self._enter(following)

    def _open(self) -> bool:
        for compressed in (False, True):
            path = segment_path(self.folder, self.chain, self.segment, compressed=compressed)
            try:
                file = gzip.GzipFile(path) if compressed else FileIO(path)
            except FileNotFoundError:
                continue
            if compressed:
                file.seek(self.offset)
            self._file = file
            self._compressed = compressed
            self._rest = b""
            return True
        later = [s.number for s in chains(self.folder).get(self.chain, []) if s.number > self.segment]
        if not later:
            return False
        self._enter(later[0])
        self._seq = None  # segments were removed: what comes first cannot be linked
        return self._open()

    def _enter(self, segment: int) -> None:
        self.close()
        self.segment = segment
        self.offset = 0

    def _following(self) -> int | None:
        number = self.segment + 1
        for compressed in (False, True):
            if os.path.exists(segment_path(self.folder, self.chain, number, compressed=compressed)):
                return number
        return None

    def _whole(self, limit: int) -> bytes:
        """Bytes up to a line's end, empty if there is no whole line; what follows them is kept only where it
        cannot change."""
        file = self._file
        assert file is not None
        if not self._compressed:
            file.seek(self.offset)
        data = self._rest
        self._rest = b""
        while True:
            try:
                more = file.read(limit)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise self._damage(f"the compressed file is broken ({error})") from error
            data += more
            end = data.rfind(b"\n") + 1
            if end or not more:
                break
        self.torn = 0 if more else len(data) - end
        if self._compressed:
            self._rest = data[end:]
        return data[:end]

    def _entries(self, data: bytes) -> list[Entry]:
        entries: list[Entry] = []
        segment, offset = self.segment, self.offset
        for raw in data.splitlines(keepends=True):
            try:
                line = decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                if self._lenient:
                    self.skipped += 1
                    offset += len(raw)
                    self.offset = offset
                    continue
                raise self._damage(f"a line cannot be read ({error})") from error
            if self._check:
                self._verify(line, raw)
            offset += len(raw)
            entries.append((line, raw, segment, offset))
            self.offset = offset
        return entries

    def _verify(self, line: AnyLine, raw: bytes) -> None:
        if self._seq is not None and (line.seq != self._seq + 1 or line.prev != self._prev):
            raise self._damage(f"line {line.seq} does not follow line {self._seq}")
        made = sha256(raw[: -TAIL - 1])
        made.update(b"}")
        digest = made.hexdigest()
        if digest_of(raw) != digest:
            raise self._damage(f"line {line.seq} is not as it was written")
        self._seq = line.seq
        self._prev = digest

    def _damage(self, what: str) -> JournalError:
        path = segment_path(self.folder, self.chain, self.segment, compressed=self._compressed)
        return JournalError(
            f"{path}, offset {self.offset}: {what}. `chatvault audit verify` shows what else is damaged.",
            code="journal_damaged",
        )


def read_private(folder: Path, chain: str, segment: int, private: Private) -> dict[str, object] | None:
    """What a line of that chain and segment refers to; None where it was erased, or is not what was written
    (verification tells the two apart). `folder` is the journal's. Raises OSError."""
    if private.size == 0:
        return None
    try:
        with open(private_path(folder, chain, segment), "rb", buffering=0) as file:
            raw = os.pread(file.fileno(), private.size, private.at)
    except FileNotFoundError:
        return None
    if sha256(raw).hexdigest() != private.digest:
        return None
    data: dict[str, object] = msgspec.json.decode(raw)["data"]
    return data
