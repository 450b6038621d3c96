"""Where the journal lies on disk: the names of segments, locks, reserves and private parts, and the list of
chains.

A chain `C` has the segments `C.000001.jsonl`, `C.000002.jsonl`, ... in the journal's folder; a sealed one
ends in `.jsonl.gz`. The chain's lock, `.lock-C`, is taken before its first segment is made and held for the
writer's life: so whoever finds a segment and can take the lock (or finds none) knows that the writer is dead.
"""

import fcntl
import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from chatvault.core.errors import JournalError

_NAME = re.compile(r"([A-Za-z0-9_-]+)\.(\d{6,})\.jsonl(\.gz)?\Z")


class Segment(msgspec.Struct, frozen=True):
    chain: str
    number: int
    """From 1."""
    path: Path
    compressed: bool


def segment_path(folder: Path, chain: str, number: int, *, compressed: bool = False) -> Path:
    return folder / f"{chain}.{number:06d}.jsonl{'.gz' if compressed else ''}"


def private_path(folder: Path, chain: str, number: int) -> Path:
    """The private part of a segment; `folder` is the journal's."""
    return folder.parent / "private" / chain / f"{number:06d}.jsonl"


def lock_path(folder: Path, chain: str) -> Path:
    return folder / f".lock-{chain}"


def reserve_path(folder: Path, chain: str) -> Path:
    return folder / f".reserve-{chain}"


def chains(folder: Path) -> dict[str, list[Segment]]:
    """All chains on disk, by name, each with its segments in order. Where a segment is there both plain and
    compressed (sealing was cut short) the plain file counts. An absent folder has no chains. Raises
    OSError."""
    found: dict[str, dict[int, Segment]] = {}
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return {}
    for name in names:
        match = _NAME.match(name)
        if match is None:
            continue
        chain, number = match[1], int(match[2])
        # `.jsonl` sorts before `.jsonl.gz`, so the first of the two is the plain one.
        found.setdefault(chain, {}).setdefault(
            number, Segment(chain, number, folder / name, match[3] is not None)
        )
    return {chain: [segments[number] for number in sorted(segments)] for chain, segments in found.items()}


def raw_lines(segment: Segment) -> Iterator[bytes]:
    """Its lines as they lie there; a torn last one has no newline. Raises OSError."""
    with gzip.open(segment.path) if segment.compressed else open(segment.path, "rb") as file:
        yield from file


def damaged(segment: Segment, why: object) -> JournalError:
    return JournalError(
        f"{segment.path}: a line cannot be read ({why}). `chatvault audit verify` shows what is damaged.",
        code="journal_damaged",
    )


def take_lock(folder: Path, chain: str) -> int | None:
    """The handle of the chain's lock, now ours; None while a writer holds it. Close the handle to give it
    back.

    A chain whose lock file is gone is dead too, and gets a new one: two that recover at a time still exclude
    each other.
    """
    handle = os.open(lock_path(folder, chain), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
