"""What a chain holds of budgets, by its own record: the last line that names a budget and period says it.

Read once, when the chain's writer is dead. Lines that name no budget are passed over without being decoded, and
segments are read from the last one back only until everything that was asked for has been found.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from chatvault.audit.segments import Segment, chains, damaged, raw_lines, take_lock
from chatvault.core.charge import Charge

Key = tuple[str, int]
"""A budget's id and the start of a period."""

_NAMED = b'"budgets":'


class _Line(msgspec.Struct):
    budgets: tuple[Charge, ...] = ()


_decode = msgspec.json.Decoder(_Line).decode


def chain_holds(folder: Path, chain: str, wanted: Iterable[Key]) -> dict[Key, int] | None:
    """What the chain holds of these; those it never named are absent. None: it is no chain of this journal. `folder`
    is the journal's. Raises JournalError, OSError."""
    segments = chains(folder).get(chain)
    if not segments:
        return None
    missing = set(wanted)
    found: dict[Key, int] = {}
    for segment in reversed(segments):
        if not missing:
            break
        last = _last(segment, missing)
        found |= last
        missing -= last.keys()
    return found


def dead_chain_holds(folder: Path, chain: str, wanted: Iterable[Key]) -> dict[Key, int] | None:
    """`chain_holds` of a chain whose writer is dead; None, too, while it lives. Raises JournalError, OSError."""
    if chain not in chains(folder):
        return None
    handle = take_lock(folder, chain)
    if handle is None:
        return None
    try:
        return chain_holds(folder, chain, wanted)
    finally:
        os.close(handle)


def _last(segment: Segment, wanted: set[Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for raw in raw_lines(segment):
        if _NAMED not in raw or not raw.endswith(b"\n"):
            continue  # a torn last line was never acted on
        try:
            line = _decode(raw)
        except msgspec.MsgspecError as error:
            raise damaged(segment, error) from error
        for charge in line.budgets:
            key = (charge.budget, charge.start)
            if key in wanted:
                found[key] = charge.held
    return found
