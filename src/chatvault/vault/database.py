"""The vault's database, open: transactions for those who keep something in it.

A change is durable when the transaction that made it ends (`synchronous=FULL`): a revocation is not undone by a power
cut, nor is a lease given twice.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from chatvault.vault.faults import translated
from chatvault.vault.upgrade import prepare

FILE = "vault.db"
"""Its name in the data folder."""


class Database:
    """Made by `open_database`. Both methods raise VaultError when the database cannot be used."""

    def __init__(self, path: Path, engine: AsyncEngine) -> None:
        self.path = path
        self._engine = engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise translated(self.path, error) from error

    @asynccontextmanager
    async def change(self) -> AsyncIterator[AsyncConnection]:
        """One transaction. Its first statement should write: one that reads first may find that what it read has been
        changed by the time it writes."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise translated(self.path, error) from error


@asynccontextmanager
async def open_database(path: Path, *, patience: float = 5.0) -> AsyncIterator[Database]:
    """Open the database; make it, or upgrade it, if need be. `patience`: seconds to wait for another program's
    lock. Raises VaultError."""
    engine = await asyncio.to_thread(_engine, path, patience)
    try:
        yield Database(path, engine)
    finally:
        await engine.dispose()


def _engine(path: Path, patience: float) -> AsyncEngine:
    prepare(path, patience)
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", hide_parameters=True, connect_args={"timeout": patience}
    )
    event.listen(engine.sync_engine, "connect", _configure)
    return engine


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=FULL")
    finally:
        cursor.close()
