"""The erasable part of the journal: what may have to be forgotten, outside the chain that must not change.

A line is `{"id":...,"kind":...,"salt":"<32 hex>","data":{...}}` and a newline. The chain holds the SHA-256 of
the line (newline excluded); the salt, which is erased with the data, keeps anybody from guessing the data
from the digest that stays.
"""

import errno
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from chatvault.audit.lines import Private

_encode = msgspec.json.Encoder(order="deterministic").encode


class _PrivateLine(msgspec.Struct, gc=False):
    id: str
    kind: str
    salt: str
    data: dict[str, object]


class PrivateFile:
    """The private part of one segment, made when the first line is written. What the disk has no room for is
    kept in memory, at its place in the file, up to `keep` bytes; what is beyond that is given up, and reads
    as erased."""

    __slots__ = ("_keep", "_kept", "_opened", "_path", "_write", "handle", "size")

    def __init__(
        self, path: Path, keep: int, write: Callable[[int, bytes], int], opened: Callable[[int], None]
    ) -> None:
        self.handle: int | None = None
        self._path = path
        self._keep = keep
        self._write = write
        self._opened = opened
        self.size = 0
        self._kept = b""

    @property
    def waiting(self) -> bool:
        return bool(self._kept)

    def add(self, id: str, kind: str, data: dict[str, object]) -> tuple[Private, OSError | None]:
        """The reference to a new line, and why it could not be written yet, if it could not."""
        raw = _encode(_PrivateLine(id, kind, os.urandom(16).hex(), data)) + b"\n"
        digest = sha256(raw[:-1]).hexdigest()
        if self._kept and len(self._kept) + len(raw) > self._keep:
            return Private(digest, 0, 0), None
        at = self.size + len(self._kept)
        self._kept += raw
        fault: OSError | None = None
        try:
            self.flush()
        except OSError as error:
            fault = error
        return Private(digest, at, len(raw) - 1), fault

    def flush(self) -> None:
        """Write what is kept. Raises OSError; then the file is as it was before, and all is kept."""
        if not self._kept:
            return
        if self.handle is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._opened(self.handle)
        # Not O_APPEND: what a short write left behind is simply written over.
        os.lseek(self.handle, self.size, os.SEEK_SET)
        written = self._write(self.handle, self._kept)
        if written != len(self._kept):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written
        self._kept = b""
