"""Disk space kept in hand, so that calls that are under way can still be closed when the disk is full."""

import os
from contextlib import suppress
from pathlib import Path

_BLOCK = bytes(1 << 16)


class Reserve:
    """A file of `size` allocated bytes. A size of 0 is a reserve that is always held and gives nothing."""

    __slots__ = ("_path", "_size", "held")

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self.held = False

    def take(self) -> None:
        """Allocate the space, if it is not held. Raises OSError, and then holds none."""
        if self.held:
            return
        if self._size:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _allocate(handle, self._size)
            except OSError:
                self._path.unlink(missing_ok=True)
                raise
            finally:
                os.close(handle)
        self.held = True

    def give_up(self) -> None:
        """Give the space back to the disk."""
        self.held = False
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _allocate(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    while size > 0:
        size -= os.write(handle, _BLOCK[:size])
