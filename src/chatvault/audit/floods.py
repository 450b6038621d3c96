"""Refusals on record, without letting floods of them fill the disk.

A place (an address) may write a line a second, and a few at once if it has been quiet: while its refusals are few,
each is on record as it comes, and further ones of the same kind share a line that is written at the end of the second.
A place that goes on is down to that one line, and where it holds more than one kind, `kinds` says how many of each.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from chatvault.audit.lines import Refused

BURST: Final = 16
"""Lines that a quiet place may write at once."""
KINDS: Final = 16
"""Kinds of refusal that one line tells apart."""
PLACES: Final = 1000
"""Places told apart within a second; beyond them they are one, `*`."""
SEVERAL: Final = "several"
"""Stands where the refusals that share a line differ."""

Dress = Callable[[Refused], None]
"""Puts the parts into a line that lie in the erasable part. Called once for each line that is written at once."""

_Kind = tuple[str, str, str | None]


class _Place(msgspec.Struct, gc=False):
    credit: int = BURST
    seen: set[_Kind] = msgspec.field(default_factory=set)
    """Kinds that have had a line within this second."""
    held: dict[_Kind, Refused] = msgspec.field(default_factory=dict)
    """What waits for the end of the second."""


class Floods:
    """`write` puts a line on record, and never raises."""

    def __init__(self, write: Callable[[Refused], None]) -> None:
        self._write = write
        self._places: dict[str, _Place] = {}

    def refused(self, name: str, line: Refused, dress: Dress) -> None:
        place = self._places.get(name)
        if place is None:
            if len(self._places) >= PLACES:
                name = "*"
            place = self._places.setdefault(name, _Place())
        kind = (line.code, line.endpoint, line.token)
        if kind not in place.seen and place.credit > 1 and name != "*":
            place.seen.add(kind)
            place.credit -= 1
            dress(line)
            self._write(line)
            return
        held = place.held.get(kind)
        if held is not None:
            held.count += line.count
        elif len(place.held) < KINDS:
            place.held[kind] = line
        else:
            others = place.held.setdefault((SEVERAL, SEVERAL, None), _unnamed(line))
            others.count += line.count

    def tick(self) -> None:
        """Once a second: write what is held, and forget who is quiet."""
        for name, place in [*self._places.items()]:
            place.credit = min(place.credit + 1, BURST)
            place.seen.clear()
            held, place.held = [*place.held.values()], {}
            lines = held if len(held) <= place.credit else [_together(held)]
            for line in lines:
                self._write(line)
            place.credit -= len(lines)
            if not held and place.credit == BURST:
                del self._places[name]


def _unnamed(line: Refused) -> Refused:
    """A line that counts what differs in all but its place; nothing yet."""
    return Refused(at=line.at, id=line.id, status=0, code=SEVERAL, endpoint=SEVERAL, count=0)


def _together(lines: list[Refused]) -> Refused:
    """One line for several kinds: what they have in common, and how many there were of each."""
    first = lines[0]
    return Refused(
        at=first.at,
        id=first.id,
        status=first.status if len({line.status for line in lines}) == 1 else 0,
        code=first.code if len({line.code for line in lines}) == 1 else SEVERAL,
        endpoint=first.endpoint if len({line.endpoint for line in lines}) == 1 else SEVERAL,
        count=sum(line.count for line in lines),
        token=_common([line.token for line in lines]),
        project=_common([line.project for line in lines]),
        user=_common([line.user for line in lines]),
        kinds=[(line.code, line.endpoint, line.token, line.count) for line in lines],
    )


def _common(values: list[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None
