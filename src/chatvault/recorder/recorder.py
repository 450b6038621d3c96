"""The recorder's loop: read the journal, make what was read durable, apply it, say how far it got.

It is plain synchronous code for a thread or a process of its own: files and SQLite know no other way. When
anything fails, all it holds in memory is dropped and taken up again from the positions in the ledger; so
there is one way to start, and no other to go on.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError
from chatvault.ledger.place import ledger_place
from chatvault.ledger.state import RecorderState, write_state
from chatvault.ledger.store import Ledger
from chatvault.recorder.journal import Journal, Lag
from chatvault.recorder.options import RecorderOptions
from chatvault.recorder.view import View

_log = logging.getLogger("chatvault.recorder")

_TELL_EVERY: Final = 1.0
_HEARTBEAT: Final = 10.0
_LINE: Final = 600
"""Bytes of a line, while there is no average."""


class Recorder:
    """`told` hears of the fault that keeps the recorder from working, and None when it is gone. `views`
    are beside the ledger, which is applied last: its positions say what all have taken."""

    def __init__(
        self,
        options: RecorderOptions,
        told: Callable[[OperatorError | None], None] | None = None,
        views: Sequence[View] = (),
    ) -> None:
        self._options = options
        self._place = ledger_place(options.data_dir, options.database_url)
        self._told = told
        self._views = views
        self._ledger: Ledger | None = None
        self._journal: Journal | None = None
        self._error: OperatorError | None = None
        self._lines = 0
        self._rows = 0
        self._bytes = 0
        self._level_at = now_us()
        self._looked_at = self._told_at = -math.inf
        self._last: RecorderState | None = None

    @property
    def error(self) -> OperatorError | None:
        return self._error

    def run(self, stop: threading.Event, begun: Callable[[], None]) -> None:
        """Go on until `stop`, then bring the ledger level with the journal, within bounds. `begun` is
        called after the first try to open the ledger, whether it succeeded or not (see `error`)."""
        try:
            self._guarded(self._open)
            begun()
            while not stop.is_set():
                more = self._guarded(self.step)
                self._tell()
                if not more:
                    stop.wait(self._options.poll if self._error is None else self._options.retry)
            until = time.monotonic() + self._options.last_pass
            while self._guarded(self.step) and time.monotonic() < until:
                pass
            self._tell(now=True)
        finally:
            self.close()

    def step(self) -> bool:
        """One batch. True: there is more, at once. Raises OperatorError and OSError; call `close` then,
        and go on."""
        ledger, journal = self._open()
        if not ledger.present():
            # Somebody deleted it, as they may: what is held open is on no disk any more.
            self.close()
            ledger, journal = self._open()
        batch = journal.read()
        if batch is None:
            return False
        for view in self._views:
            view.apply(batch)
        ledger.apply(batch)
        self._lines += batch.lines
        self._bytes += batch.bytes
        self._rows += len(batch.entries)
        return journal.more

    def state(self) -> RecorderState:
        """How the recorder is, as of now. Raises OSError."""
        now = now_us()
        lag = self._journal.lag() if self._journal is not None else Lag(None, None)
        if lag.bytes == 0:
            self._level_at = now
        since = self._level_at if lag.since is None else lag.since
        line = self._bytes / self._lines if self._lines else _LINE
        return RecorderState(
            at=now,
            bytes_behind=lag.bytes,
            lines_behind=math.ceil(lag.bytes / line) if lag.bytes is not None else None,
            seconds_behind=max(0, now - since) / 1e6,
            lines=self._lines,
            rows=self._rows,
            broken=self._journal.broken if self._journal is not None else [],
            error=None if self._error is None else self._error.message,
            error_code=None if self._error is None else self._error.code,
        )

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
        if self._ledger is not None:
            self._ledger.close()
        self._journal = self._ledger = None

    def _open(self) -> tuple[Ledger, Journal]:
        if self._ledger is None or self._journal is None:
            self.close()
            self._ledger = Ledger.open(self._place, patience=self._options.patience)
            self._journal = Journal(self._options.data_dir / "journal", self._ledger.positions())
        return self._ledger, self._journal

    def _guarded(self, act: Callable[[], object]) -> bool:
        """Border: whatever the disk, the database or a view has to say is shown, and tried again later."""
        error: OperatorError | None = None
        result = False
        try:
            result = act() is True
        except OperatorError as found:
            error = found
        except OSError as found:
            error = OperatorError(
                f"The journal cannot be read ({found.strerror}: {found.filename}). Check the folder and the "
                "disk; the recorder goes on by itself.",
                code="journal_unreadable",
            )
        if error is not None:
            self.close()
        self._note(error)
        return result

    def _note(self, error: OperatorError | None) -> None:
        before, self._error = self._error, error
        if (before and before.message) == (error and error.message):
            return
        if error is not None:
            _log.error("%s", error.message)
        else:
            _log.info("The recorder goes on.")
        if self._told is not None:
            self._told(error)

    def _tell(self, *, now: bool = False) -> None:
        """Write the state, if it has changed or has not been written for long. That it cannot be written
        stops nothing."""
        at = time.monotonic()
        if not now and at - self._looked_at < _TELL_EVERY:
            return
        self._looked_at = at
        with suppress(OSError):
            state = self.state()
            last = self._last
            if not now and last is not None and at - self._told_at < _HEARTBEAT and _same(state, last):
                return
            write_state(self._options.data_dir, state)
            self._last, self._told_at = state, at


def _same(one: RecorderState, other: RecorderState) -> bool:
    return one.bytes_behind == other.bytes_behind == 0 and (one.lines, one.broken, one.error) == (
        other.lines,
        other.broken,
        other.error,
    )
