"""What control has to know of a segment before it may close, seal or compress anything: one pass over its
lines."""

import msgspec

from chatvault.audit.lines import Attempted, Closed, Line, Opened, Sealed


class Pending(msgspec.Struct, frozen=True):
    """A call that was opened and not closed: the lines there are of it, and the segment it was opened in."""

    opened: Opened
    segment: int
    attempts: tuple[Attempted, ...] = ()


class Calls:
    """The calls of a chain that are open after the lines seen so far."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open: dict[str, Pending] = {}

    def see(self, line: Line, segment: int) -> None:
        if isinstance(line, Opened):
            self.open[line.id] = Pending(line, segment)
        elif isinstance(line, Closed):
            self.open.pop(line.id, None)
        elif isinstance(line, Attempted):
            pending = self.open.get(line.id)
            if pending is not None:
                self.open[line.id] = msgspec.structs.replace(pending, attempts=(*pending.attempts, line))


class Settled:
    """What control has already written about other chains: kept from its own lines, as far as they are not
    compressed."""

    __slots__ = ("ended", "interrupted", "sealed")

    def __init__(self) -> None:
        self.interrupted: set[tuple[str, str]] = set()
        """(chain, call) of calls that were closed as interrupted."""
        self.sealed: set[tuple[str, int]] = set()
        self.ended: set[str] = set()
        """Chains whose writer is dead, and whose calls are all closed."""

    def see(self, line: Line) -> None:
        if isinstance(line, Closed):
            if line.chain is not None:
                self.interrupted.add((line.chain, line.id))
        elif isinstance(line, Sealed):
            self.sealed.add((line.chain, line.segment))
            if line.ended:
                self.ended.add(line.chain)
