"""What control keeps: the vault, the journal, and a view of the ledger."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from chatvault.audit.keeper import JournalKeeper
from chatvault.config.schema import AuditConfig
from chatvault.core.errors import ChatVaultError, JournalError
from chatvault.ledger.queries import LedgerQueries
from chatvault.vault.store import FILE, Vault, open_vault

_log = logging.getLogger(__name__)


class Stores(msgspec.Struct, frozen=True):
    vault: Vault
    keeper: JournalKeeper
    queries: LedgerQueries


@asynccontextmanager
async def open_stores(data_dir: Path, audit: AuditConfig, version: str) -> AsyncIterator[Stores]:
    """All three, open. Raises OperatorError."""
    loop = asyncio.get_running_loop()
    queries = await asyncio.to_thread(LedgerQueries, data_dir)

    def applied(chain: str) -> tuple[int, int] | None:
        """How far the recorder has come; called by the keeper, in a thread."""
        try:
            positions = asyncio.run_coroutine_threadsafe(queries.positions(), loop).result(10)
        except (ChatVaultError, TimeoutError):
            return None
        position = positions.get(chain)
        return None if position is None else (position.segment, position.offset)

    try:
        async with open_vault(data_dir / FILE) as vault:
            keeper = await JournalKeeper.open(data_dir, audit, version=version, applied=applied)
            try:
                yield Stores(vault, keeper, queries)
            finally:
                try:
                    await keeper.close()
                except JournalError as error:
                    _log.error("The journal of control could not be ended in order: %s", error.message)
    finally:
        await queries.close()
