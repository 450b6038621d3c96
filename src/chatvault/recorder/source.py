"""The bytes of a segment, by their offset in the uncompressed text, whether control has compressed the
file meanwhile or not."""

import gzip
import os
import zlib
from pathlib import Path
from typing import Protocol

from chatvault.audit.durable import sync_data
from chatvault.audit.segments import Segment


class Source(Protocol):
    """Raises OSError in all its methods; ValueError where a compressed file is damaged."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end. Offsets never go back."""

    def size(self) -> int: ...

    def sync(self) -> None:
        """Make what was read durable."""

    def close(self) -> None: ...


def open_source(segment: Segment) -> Source:
    """Raises OSError; FileNotFoundError when the segment was compressed or removed since it was listed."""
    return _Packed(segment.path) if segment.compressed else _Plain(segment.path)


class _Plain:
    """A file that may still be written. It is read anew from the offset each time: its writer may cut a
    torn line back."""

    __slots__ = ("_handle",)

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._handle, size, offset)

    def size(self) -> int:
        return os.fstat(self._handle).st_size

    def sync(self) -> None:
        sync_data(self._handle)

    def close(self) -> None:
        os.close(self._handle)


class _Packed:
    """A file that is never written again. What was unpacked and not taken is kept: unpacking starts at the
    beginning only."""

    __slots__ = ("_at", "_file", "_kept", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = gzip.GzipFile(path)
        self._at = 0
        self._kept = b""

    def read(self, offset: int, size: int) -> bytes:
        try:
            while self._at < offset:
                skipped = self._kept or self._file.read(min(offset - self._at, 1 << 20))
                if not skipped:
                    return b""
                used = min(len(skipped), offset - self._at)
                self._kept = skipped[used:]
                self._at += used
            if len(self._kept) < size:
                self._kept += self._file.read(size - len(self._kept))
            return self._kept[:size]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"it cannot be unpacked: {error}") from error

    def size(self) -> int:
        """From the file's last four bytes, which have the length modulo 2^32; segments are far shorter."""
        with open(self._path, "rb") as file:
            file.seek(-4, os.SEEK_END)
            return int.from_bytes(file.read(4), "little")

    def sync(self) -> None:
        sync_data(self._file.fileno())

    def close(self) -> None:
        self._file.close()
