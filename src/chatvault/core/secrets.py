"""Secrets that cannot be shown by accident."""

import os
from pathlib import Path


class Secret:
    """A text that prints as `***`. Ask `reveal()` for it at the one place that sends it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all; once this returns, it survives a power cut
    under its name."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def private_random(path: Path, size: int = 32) -> bytes:
    """The random secret that lives in `path`, made at the first call. Raises OSError where it cannot be
    kept.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        write_private(path, os.urandom(size))
        return path.read_bytes()
