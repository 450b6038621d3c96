"""What the recorder hands to a view of the journal: lines that are verified and durable, and how far they
reach."""

import msgspec

from chatvault.audit.lines import Closed, Counted, Priced, Refused


class Position(msgspec.Struct, frozen=True, gc=False):
    """How far a chain is applied: up to byte `offset` (uncompressed) of `segment`; `seq` and `digest` are
    those of the last line."""

    chain: str
    segment: int = 1
    offset: int = 0
    seq: int = 0
    digest: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A line that ends a call. `error` and `metadata` (JSON text) come from the erasable part; None:
    nothing there, or erased."""

    chain: str
    line: Closed | Refused
    error: str | None = None
    metadata: str | None = None


class Batch(msgspec.Struct, frozen=True):
    """To be applied as one: all of it or nothing. `positions` are those of the chains that moved, after
    the batch; within a chain entries are in order. `lines` and `bytes` count all lines, also those that no
    view is interested in."""

    entries: list[Entry]
    prices: list[Priced]
    positions: list[Position]
    lines: int
    bytes: int
    counts: list[tuple[str, Counted]] = []
    """With the chain each lies in. The call it is of may have come before, or be yet to come."""
