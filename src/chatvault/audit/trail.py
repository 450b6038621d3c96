"""All lines of one call, found fast: the segment by the first lines of a chain's segments, the lines by the call's id,
without decoding any other."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from chatvault.audit.frame import decode, digest_of
from chatvault.audit.lines import AnyLine, Closed, Opened
from chatvault.audit.segments import Segment, chains, damaged, raw_lines


class Step(msgspec.Struct, frozen=True):
    """A line, and where it lies."""

    chain: str
    segment: int
    line: AnyLine
    digest: str


class _Head(msgspec.Struct):
    seq: int
    at: int


_decode_head = msgspec.json.Decoder(_Head).decode


def trail(folder: Path, chain: str, seq: int, call: str) -> list[Step]:
    """What is on record of a call, in order, up to line `seq` of the chain, which ends it. Empty where that line is
    gone, with its segment; only the end where what opened it is. `folder` is the journal's. Raises JournalError,
    OSError."""
    segments = chains(folder).get(chain, [])
    place = _place(segments, lambda head: head.seq <= seq)
    if place is None:
        return []
    here = [step for step in _steps(segments[place], call) if step.line.seq <= seq]
    if not here or here[-1].line.seq != seq:
        return []
    end = here[-1].line
    if not isinstance(end, Closed) or any(isinstance(step.line, Opened) for step in here):
        return here
    if end.chain is not None:
        segments = chains(folder).get(end.chain, [])
        place = _place(segments, lambda head: head.at <= end.opened_at)
        return [step for segment in segments[place or 0 :] for step in _steps(segment, call)] + here
    for earlier in reversed(segments[:place]):
        here = _steps(earlier, call) + here
        head = _head(earlier)
        if isinstance(here[0].line, Opened) or (head is not None and head.at < end.opened_at):
            break
    return here


def _place(segments: list[Segment], before: Callable[[_Head], bool]) -> int | None:
    """The last segment that begins before; None if none does."""
    low, high = 0, len(segments)
    while low < high:
        middle = (low + high) // 2
        head = _head(segments[middle])
        if head is not None and before(head):
            low = middle + 1
        else:
            high = middle
    return low - 1 if low else None


def _head(segment: Segment) -> _Head | None:
    """Of its first line; None where it has no whole one."""
    raw = next(raw_lines(segment), b"")
    if not raw.endswith(b"\n"):
        return None
    try:
        return _decode_head(raw)
    except msgspec.MsgspecError as error:
        raise damaged(segment, error) from error


def _steps(segment: Segment, call: str) -> list[Step]:
    needle = b'"id":"%b"' % call.encode()
    found = []
    for raw in raw_lines(segment):
        if needle in raw and raw.endswith(b"\n"):
            try:
                line = decode(raw)
            except msgspec.MsgspecError as error:
                raise damaged(segment, error) from error
            if getattr(line, "id", None) == call:
                found.append(Step(segment.chain, segment.number, line, digest_of(raw) or ""))
    return found
