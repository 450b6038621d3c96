"""Which events control's chains have on record already: asked at a start, for those of which it is not known."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from chatvault.audit.lines import Event
from chatvault.audit.segments import Segment, chains, damaged, raw_lines

_BEGINNING: Final = b'{"type":"event",'
_SLACK_US: Final = 3_600_000_000
"""A clock may have been put back by so much since."""

_decode = msgspec.json.Decoder(Event).decode


def on_record(folder: Path, wanted: Collection[str], since_us: int, writer: str = "control") -> set[str]:
    """Those of these ids that a line of this writer's chains has. Nothing is looked for in segments that were last
    written before `since_us`, less an hour. `folder` is the journal's. Raises JournalError, OSError."""
    found: set[str] = set()
    listed = chains(folder)
    for chain in sorted((name for name in listed if name.startswith(f"{writer}-")), reverse=True):
        for segment in reversed(listed[chain]):
            if len(found) == len(wanted):
                return found
            if segment.path.stat().st_mtime_ns // 1000 >= since_us - _SLACK_US:
                found |= _in(segment).intersection(wanted)
    return found


def _in(segment: Segment) -> set[str]:
    found: set[str] = set()
    for raw in raw_lines(segment):
        if not raw.startswith(_BEGINNING) or not raw.endswith(b"\n"):
            continue  # a torn last line counts as absent
        try:
            found.add(_decode(raw).id)
        except msgspec.MsgspecError as error:
            raise damaged(segment, error) from error
    return found
