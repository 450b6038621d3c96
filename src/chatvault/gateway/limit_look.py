"""What the store counts, for those who ask how full windows are."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from chatvault.access.limiter import MICRO
from chatvault.access.limits import SPANS
from chatvault.access.reading import Reading
from chatvault.gateway.limit_hold import key_of
from chatvault.gateway.limit_scripts import LOOK
from chatvault.net.commands import bulk

Looked = Callable[[Sequence[Reading], bool], None]
"""Gets the readings, and whether they are the store's."""
_MICROS: Final = {span: seconds * MICRO for span, seconds in SPANS.items()}


def look_command(lives: bytes, rows: Sequence[Reading]) -> bytes:
    keys = b"".join([bulk(key_of(row.scope, row.subject, row.limit)) for row in rows])
    spans = b"".join([bulk(b"%d" % _MICROS.get(row.limit.rpartition("_")[2], 0)) for row in rows])
    return LOOK.command(1 + len(rows), len(rows), lives + keys + spans)


def looked(rows: Sequence[Reading], told: Looked, reply: Any) -> None:
    """Calls under way are said once more beside each window of their subject."""
    if not isinstance(reply, list):
        told(rows, False)
        return
    running = {
        (row.scope, row.subject): reply[3 * number]
        for number, row in enumerate(rows)
        if row.limit == "concurrent"
    }
    told(
        [
            msgspec.structs.replace(
                row,
                used=reply[3 * number],
                frees=reply[3 * number + 1] / MICRO,
                reset=reply[3 * number + 2] / MICRO,
                running=running.get((row.scope, row.subject), row.running),
            )
            for number, row in enumerate(rows)
        ],
        True,
    )
