"""What control keeps: the vault, the journal, and a view of the ledger."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from chatvault.audit.keeper import JournalKeeper
from chatvault.audit.sealing import Applied
from chatvault.config.schema import AuditConfig
from chatvault.control.ledger_past import LedgerPast
from chatvault.core.errors import ChatVaultError, JournalError
from chatvault.ledger.queries import LedgerQueries
from chatvault.vault.database import FILE
from chatvault.vault.store import Vault, open_vault

_log = logging.getLogger(__name__)


class Stores(msgspec.Struct, frozen=True):
    vault: Vault
    keeper: JournalKeeper
    queries: LedgerQueries
    past: LedgerPast


def applied_by(queries: LedgerQueries, loop: asyncio.AbstractEventLoop) -> Applied:
    """How far the recorder has come, for the keeper, which asks in a thread: what is not in the ledger yet
    is not compressed. `queries` belong to `loop`."""

    def applied(chain: str) -> tuple[int, int] | None:
        try:
            positions = asyncio.run_coroutine_threadsafe(queries.positions(), loop).result(10)
        except (ChatVaultError, TimeoutError):
            return None
        position = positions.get(chain)
        return None if position is None else (position.segment, position.offset)

    return applied


@asynccontextmanager
async def open_stores(data_dir: Path, audit: AuditConfig, version: str) -> AsyncIterator[Stores]:
    """All of it, open. Raises OperatorError."""
    queries = await asyncio.to_thread(LedgerQueries, data_dir)
    applied = applied_by(queries, asyncio.get_running_loop())
    try:
        async with open_vault(data_dir / FILE) as vault:
            keeper = await JournalKeeper.open(data_dir, audit, version=version, applied=applied)
            try:
                yield Stores(vault, keeper, queries, LedgerPast(queries, vault))
            finally:
                try:
                    await keeper.close()
                except JournalError as error:
                    _log.error("The journal of control could not be ended in order: %s", error.message)
    finally:
        await queries.close()
