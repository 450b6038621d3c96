"""Group commit: one thread that makes files durable for everybody who waits at the time.

Whoever asks has written before; the thread takes all that wait, syncs every open file (and the folders of new
ones), and only then calls them back, on their own event loop. What arrives meanwhile waits for the next
round. So a callback never comes before the sync of its line, and a hundred calls share one sync.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from chatvault.audit.segments import sync_folder
from chatvault.core.errors import JournalError

Failed = Callable[[JournalError], None]
_Waiting = tuple[asyncio.AbstractEventLoop, Callable[[], None], Failed | None]


def sync_data(handle: int) -> None:
    """Make the bytes of a file durable (and its length, but not its other times)."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(handle)
    else:
        os.fsync(handle)


class GroupSync:
    """`broke` is told, on the thread, of the first sync that fails. From then on nothing is called durable:
    after a failed fsync the kernel may have dropped the pages, so that a later one that succeeds proves
    nothing."""

    def __init__(self, broke: Callable[[OSError], None], sync: Callable[[int], None] = sync_data) -> None:
        self._sync = sync
        self._broke = broke
        self._broken: OSError | None = None
        self._turn = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._files: list[int] = []
        self._retired: list[int] = []
        self._folders: set[Path] = set()
        self._wanted = False
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def add(self, handle: int, *folders: Path) -> None:
        """A new file is written to from now on; its folder's entry has to be made durable too."""
        with self._turn:
            self._files.append(handle)
            self._folders.update(folders)

    def retire(self, handle: int) -> None:
        """Nothing more is written to this file: sync it a last time, then close it."""
        with self._turn:
            self._files.remove(handle)
            self._retired.append(handle)
            self._wanted = True
            self._turn.notify()

    def ask(self, done: Callable[[], None], failed: Failed | None = None) -> None:
        """Call `done` on the running event loop when all that was written before this call is durable;
        `failed` if it cannot be."""
        loop = asyncio.get_running_loop()
        with self._turn:
            if not self._stop:
                self._waiting.append((loop, done, failed))
                self._turn.notify()
            elif failed is not None:
                loop.call_soon(failed, JournalError("The journal was closed before this was durable."))

    def nudge(self) -> None:
        """Sync soon, though nobody waits for it."""
        with self._turn:
            self._wanted = True
            self._turn.notify()

    def close(self) -> None:
        """Sync what is open a last time, answer everybody, end the thread. The files themselves stay open,
        but for retired ones."""
        with self._turn:
            self._stop = True
            self._turn.notify()
        self._thread.join()

    def _run(self) -> None:
        stop = False
        while not stop:
            with self._turn:
                while not (self._waiting or self._wanted or self._stop):
                    self._turn.wait()
                waiting, self._waiting = self._waiting, []
                retired, self._retired = self._retired, []
                folders, self._folders = self._folders, set()
                files = [*retired, *self._files]
                self._wanted = False
                stop = self._stop
            self._round(files, folders)
            for handle in retired:
                with suppress(OSError):  # it was synced: nothing that close may still say matters
                    os.close(handle)
            self._answer(waiting)

    def _round(self, files: list[int], folders: set[Path]) -> None:
        if self._broken is not None:
            return
        try:
            for handle in files:
                self._sync(handle)
            for folder in sorted(folders):
                sync_folder(folder)
        except OSError as error:
            self._broken = error
            self._broke(error)

    def _answer(self, waiting: list[_Waiting]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
        for loop, done, failed in waiting:
            if self._broken is None:
                by_loop.setdefault(loop, []).append(done)
            elif failed is not None:
                fault = JournalError(f"The journal could not be made durable: {self._broken.strerror}.")
                by_loop.setdefault(loop, []).append(partial(failed, fault))
        for loop, calls in by_loop.items():
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                loop.call_soon_threadsafe(_call_all, calls)


def _call_all(calls: list[Callable[[], None]]) -> None:
    loop = asyncio.get_running_loop()
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001  border: one call's failure, not the others'
            loop.call_exception_handler(
                {"message": "a call failed after its record was durable", "exception": error}
            )
