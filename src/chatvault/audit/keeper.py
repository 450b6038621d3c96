"""The keeper of the journal, in control: closes what the dead left open, signs how far the chains have come,
seals what is finished.

It may be killed anywhere. Closing is repeatable (recovery.py), compressing is (sealing.py), and a signature
that was written but not kept in `head.json` only leaves that file older than the journal, which is no sign of
anything.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from chatvault.audit.heads import plain_heads
from chatvault.audit.keys import signing_key
from chatvault.audit.lines import Admin, Event, Heads, Signed
from chatvault.audit.recovery import Recovery
from chatvault.audit.scan import Settled
from chatvault.audit.sealing import Applied, Sealer
from chatvault.audit.segments import chains, sync_folder
from chatvault.audit.signing import Signer, head, write_head
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.core.clock import now_us
from chatvault.core.errors import JournalError

_log = logging.getLogger(__name__)
_RETRY_AFTER = 3.0
_SEAL_EVERY = 30.0
"""Seconds between two looks for chains that died unnoticed and segments to seal."""


class JournalKeeper:
    """Made by `open`. All methods belong to the event loop; what blocks runs in threads, one thing at a
    time."""

    def __init__(
        self, data: Path, settings: AuditConfig, writer: ChainWriter, signer: Signer, number: int,
        applied: Applied | None,
    ) -> None:  # fmt: skip
        self.writer = writer
        """Control's own chain."""
        self._data = data
        self._settings = settings
        self._signer = signer
        self._number = number
        self._sealer = Sealer(writer.folder, applied)
        self._settled: Settled | None = None
        self._signed: Heads = {}
        self._synced: dict[str, int] = {}
        self._busy = asyncio.Lock()
        self._faults: dict[str, str] = {}
        self._alarm: str | None = None

    @classmethod
    async def open(
        cls, data: Path, settings: AuditConfig, *, version: str, applied: Applied | None = None
    ) -> "JournalKeeper":
        """Start control's chain, close what the dead left open, and sign the heads of all chains.

        `applied` tells how far the recorder has come in a chain; without it segments are compressed unread.
        It is called from a thread. Raises JournalError.
        """

        def start() -> tuple[ChainWriter, Signer, int]:
            signer = Signer(signing_key(data))
            newest = head(data)
            writer = ChainWriter.open(data / "journal", "control", settings, version=version)
            return writer, signer, newest.number if newest is not None else 0

        try:
            writer, signer, number = await asyncio.to_thread(start)
        except OSError as error:
            what = f"The journal in {data / 'journal'} cannot be read: {error.strerror or error}."
            raise JournalError(f"{what} Make it readable for this user.") from error
        keeper = cls(data, settings, writer, signer, number, applied)
        await keeper._guarded("recover", keeper.recover)
        await keeper._guarded("sign", keeper.sign)
        return keeper

    @property
    def fingerprint(self) -> str:
        """Of the key that signs, for `audit verify --key`."""
        return self._signer.fingerprint

    @property
    def fault(self) -> str | None:
        """What is amiss with the journal as control sees it; None while all is well."""
        return self.writer.fault or self._alarm or next(iter(self._faults.values()), None)

    def admin(
        self, who: str, what: str, subject: str, before: dict[str, object] | None = None,
        after: dict[str, object] | None = None,
    ) -> None:  # fmt: skip
        """Put an administrative change on record, before it is made. Raises JournalError."""
        self.writer.append(
            Admin(at=now_us(), who=who, what=what, subject=subject, before=before, after=after)
        )

    def event(self, line: Event) -> None:
        """Put on record that something happened. Raises JournalError, and then nothing was written."""
        self.writer.append(line)

    async def harden(self) -> None:
        """Make control's own chain durable, as far as it is written. Raises OSError."""
        async with self._busy:
            await asyncio.to_thread(self._sync, {self.writer.chain})

    async def recover(self) -> int:
        """Close as interrupted what dead writers left open; also called when a worker has died. The number of
        calls closed.

        Raises JournalError and OSError; what was closed by then stays closed, and the next call goes on.
        """
        async with self._busy:
            recovery = Recovery(self.writer.folder, self.writer.chain, self._settled)
            await asyncio.to_thread(recovery.look)
            try:
                return self._close(recovery)
            finally:
                recovery.release()

    def _close(self, recovery: Recovery) -> int:
        closed = 0
        self._settled = settled = recovery.settled
        for dead in recovery.dead:
            for found in dead.interrupted:
                if found.client is not None:
                    found.closed.client = self.writer.private(found.closed.id, "client", found.client)
                if found.metadata is not None:
                    kept = {"metadata": found.metadata}
                    found.closed.private = self.writer.private(found.closed.id, "call", kept)
                self.writer.append(found.closed)
                settled.see(found.closed)
                closed += 1
            self.writer.append(dead.seal)
            settled.see(dead.seal)
        return closed

    async def sign(self) -> Signed | None:
        """Sign the heads that moved since the last signature of this life (at first: all that are not
        compressed); None if none did.

        What is signed is durable first, so that a power cut cannot make an honest journal look cut back.
        Raises JournalError, OSError.
        """
        async with self._busy:
            moved = await asyncio.to_thread(self._moved)
            own = self.writer.head
            if not moved and self._signed.get(self.writer.chain) == own:
                return None
            heads = {**moved, self.writer.chain: own}
            line = self._signer.sign(heads, now_us(), self._number + 1)
            self.writer.append(line)
            self._number += 1
            self._signed.update(moved)
            # Its own signature moves the head of this chain; that alone is no reason for the next one.
            self._signed[self.writer.chain] = self.writer.head
            await asyncio.to_thread(self._publish, line)
            return line

    def _moved(self) -> Heads:
        moved: Heads = {}
        for chain, seen in plain_heads(self.writer.folder).items():
            if chain == self.writer.chain or self._signed.get(chain) == seen:
                continue
            if seen[0] < self._signed.get(chain, (0, ""))[0]:
                self._alarm = (
                    f"The journal's chain {chain} was cut back to line {seen[0]} by somebody else. "
                    "Run `chatvault audit verify`."
                )
                _log.error("%s", self._alarm)
                continue
            moved[chain] = seen
        self._sync(set(moved))
        return moved

    def _sync(self, names: set[str]) -> None:
        """Make chains durable, as far as they are written."""
        for chain, segments in chains(self.writer.folder).items():
            if chain not in names:
                continue
            for segment in segments:
                if segment.compressed or segment.number < self._synced.get(chain, 0):
                    continue
                handle = os.open(segment.path, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
            self._synced[chain] = segments[-1].number
        sync_folder(self.writer.folder)

    def _publish(self, line: Signed) -> None:
        self._sync({self.writer.chain})
        write_head(self._data, line)

    async def seal(self) -> list[Path]:
        """Describe and compress finished segments. The files made. Raises JournalError and OSError."""
        async with self._busy:
            settled = self._settled
            if settled is None:
                return []
            for line in await asyncio.to_thread(self._sealer.due, settled):
                self.writer.append(line)
                settled.see(line)

            def compress() -> list[Path]:
                self._sync({self.writer.chain})
                return self._sealer.compress(settled)

            return await asyncio.to_thread(compress)

    async def run(self) -> None:
        """Tend the journal until cancelled. What goes wrong is logged, shown as `fault`, and tried again."""
        sign_at = time.monotonic() + self._settings.sign_interval
        seal_at = time.monotonic() + _SEAL_EVERY
        while True:
            await asyncio.sleep(min(1.0, self._settings.sign_interval))
            self.writer.tick()
            now = time.monotonic()
            if now >= seal_at:
                well = await self._guarded("recover", self.recover) and await self._guarded("seal", self.seal)
                seal_at = now + (_SEAL_EVERY if well else _RETRY_AFTER)
            if now >= sign_at:
                sign_at = now + self._settings.sign_interval
                await self._guarded("sign", self.sign)

    async def close(self) -> None:
        """Sign a last time and end the chain. Raises JournalError if the end could not be written."""
        await self._guarded("sign", self.sign)
        self.writer.close()

    async def _guarded(self, name: str, act: Callable[[], Awaitable[object]]) -> bool:
        try:
            await act()
        except (OSError, JournalError) as error:
            fault = f"The journal could not be tended ({name}): {error}"
            if self._faults.get(name) != fault:
                _log.warning("%s", fault)
            self._faults[name] = fault
            return False
        self._faults.pop(name, None)
        return True
