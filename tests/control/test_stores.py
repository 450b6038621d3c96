"""How far the recorder has come, as the journal's keeper hears it."""

import asyncio
from pathlib import Path

from chatvault.control.stores import applied_by
from chatvault.ledger.batch import Batch, Position
from chatvault.ledger.place import ledger_place
from chatvault.ledger.queries import LedgerQueries
from chatvault.ledger.store import Ledger


async def test_the_ledgers_positions_are_known_to_the_keeper(tmp_path: Path) -> None:
    def write() -> None:
        ledger = Ledger.open(ledger_place(tmp_path))
        ledger.apply(Batch([], [], [Position("worker0-a", 2, 300, 7, "d")], 7, 300))
        ledger.close()

    queries = await asyncio.to_thread(LedgerQueries, tmp_path)
    applied = applied_by(queries, asyncio.get_running_loop())
    assert await asyncio.to_thread(applied, "worker0-a") is None, "no ledger yet"
    await asyncio.to_thread(write)
    assert await asyncio.to_thread(applied, "worker0-a") == (2, 300)
    assert await asyncio.to_thread(applied, "worker1-a") is None
    await queries.close()
