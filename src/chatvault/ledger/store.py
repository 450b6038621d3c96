"""The ledger as the recorder writes it: batches of lines in, each in one transaction with the positions they
reach to.

That transaction is what makes it exactly once. The database runs with `synchronous=NORMAL`: a power cut may
take back the last transactions, but whole ones, rows and positions together, so that the recorder just
applies those lines again. The journal is the truth, and was made durable before; waiting for the disk here as
well would buy nothing.
"""

import os
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.sql import text

from chatvault.audit.lines import Closed
from chatvault.ledger import rows
from chatvault.ledger.batch import Batch, Position
from chatvault.ledger.faults import translated
from chatvault.ledger.place import LedgerPlace
from chatvault.ledger.schema import counts, positions, prices, usage_logs
from chatvault.ledger.upgrade import prepare

_Identity = tuple[int, int] | None

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",  # readers never wait for the recorder, nor it for them
    "PRAGMA synchronous=NORMAL",
    "PRAGMA cache_size=-16000",  # 16 MB: the upper parts of all indexes of some ten million rows
    "PRAGMA wal_autocheckpoint=4000",  # pages; an often-written page is copied back less often
)


def _usage_insert() -> Insert:
    """A call that is closed twice (it cannot be, but a folder can be put together from two backups) has
    one row, and it is the same one in whatever order the chains are read: its own writer's word before
    that of a recovery, then the first."""
    statement = insert(usage_logs)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={column.name: new[column.name] for column in usage_logs.columns if not column.primary_key},
        where=text(
            "(excluded.state = 'interrupted', excluded.chain, excluded.seq)"
            " < (usage_logs.state = 'interrupted', usage_logs.chain, usage_logs.seq)"
        ),
    )


def _price_insert() -> Insert:
    """Each life of a writer states the prices it uses; what counts is when they were first seen."""
    statement = insert(prices)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["version", "provider", "model"],
        set_={name: new[name] for name in ("source", "rates", "tiers", "first_seen")},
        where=text(
            "(excluded.first_seen, excluded.source, excluded.rates, excluded.tiers)"
            " < (prices.first_seen, prices.source, prices.rates, prices.tiers)"
        ),
    )


def _count_insert() -> Insert:
    """A call is counted once; of two counts (of two folders put together) the first in order of chains holds."""
    statement = insert(counts)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={column.name: new[column.name] for column in counts.columns if not column.primary_key},
        where=text("(excluded.chain, excluded.seq) < (counts.chain, counts.seq)"),
    )


_COUNT: Final = """\
UPDATE usage_logs SET usage_source = 'counted', input_tokens = counts.input_tokens,
    output_tokens = counts.output_tokens, cost = counts.cost, cost_source = counts.cost_source
FROM counts
WHERE counts.id = usage_logs.id AND usage_logs.id = ? AND usage_logs.usage_source IN ('estimated', 'counted')"""
"""A call and its count come in whatever order the chains are read: whichever is last joins them."""


def _position_insert() -> Insert:
    statement = insert(positions)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["chain"],
        set_={name: new[name] for name in ("segment", "offset", "seq", "digest")},
    )


class Ledger:
    """Not for several threads. Any LedgerError leaves the database as it was before the call; close this
    ledger then, and open a new one when the fault may be gone."""

    def __init__(
        self, place: LedgerPlace, engine: Engine, connection: Connection, identity: _Identity
    ) -> None:
        self.name = str(place.path)
        self._path = place.path
        self._wal = place.path.with_name(place.path.name + "-wal")
        self._engine = engine
        self._connection = connection
        self._identity = identity, _identity(self._wal)
        # The statements are compiled once and get plain tuples: measured, that halves the time of a row
        # beside `connection.execute(statement, dicts)`.
        self._usage, self._price, self._position, self._count = (
            str(statement.compile(dialect=engine.dialect))
            for statement in (_usage_insert(), _price_insert(), _position_insert(), _count_insert())
        )

    @classmethod
    def open(cls, place: LedgerPlace, *, patience: float = 2.0) -> "Ledger":
        """Open the database, make it or upgrade it. `patience`: seconds to wait for another program's
        lock. Raises LedgerError."""
        name = str(place.path)
        try:
            identity = _touch(place.path)
        except OSError as error:
            raise translated(name, error) from error
        engine = create_engine(
            place.url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": patience}
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        try:
            connection = engine.connect()
            try:
                with connection.begin():
                    prepare(connection, name)
                return cls(place, engine, connection, identity)
            except BaseException:
                connection.close()
                raise
        except SQLAlchemyError as error:
            raise translated(name, error) from error

    def apply(self, batch: Batch) -> None:
        """All of the batch, or nothing. Applying a batch again changes nothing. Raises LedgerError."""
        run = self._connection.exec_driver_sql
        try:
            with self._connection.begin():
                if batch.entries:
                    run(self._usage, [rows.values(entry) for entry in batch.entries])
                if batch.prices:
                    run(self._price, [rows.price_values(line) for line in batch.prices])
                if batch.counts:
                    run(self._count, [rows.count_values(chain, line) for chain, line in batch.counts])
                if doubtful := _doubtful(batch):
                    run(_COUNT, doubtful)
                if batch.positions:
                    run(
                        self._position,
                        [(at.chain, at.segment, at.offset, at.seq, at.digest) for at in batch.positions],
                    )
        except SQLAlchemyError as error:
            raise translated(self.name, error) from error

    def positions(self) -> dict[str, Position]:
        """How far each chain is applied. Raises LedgerError."""
        try:
            with self._connection.begin():
                found = self._connection.execute(select(positions))
                return {row.chain: Position(*row) for row in found}
        except SQLAlchemyError as error:
            raise translated(self.name, error) from error

    def present(self) -> bool:
        """Whether the files are still those that were opened; not so when somebody deleted them, to have the
        ledger rebuilt. (Deleted one after the other, so that the `-wal` that goes may be a new one.)"""
        return (_identity(self._path), _identity(self._wal)) == self._identity

    def close(self) -> None:
        """Safe to call after an error."""
        try:
            self._connection.close()
        except SQLAlchemyError:
            self._connection.invalidate()
        self._engine.dispose()


def _doubtful(batch: Batch) -> list[tuple[str]]:
    """The calls of a batch that a count may be of."""
    estimated = [
        (entry.line.id,)
        for entry in batch.entries
        if isinstance(entry.line, Closed) and entry.line.usage_source == "estimated"
    ]
    return [*estimated, *((line.id,) for _, line in batch.counts)]


def _identity(path: Path) -> _Identity:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _touch(path: Path) -> _Identity:
    """Make the file, if need be, for its owner alone; SQLite gives its side files the same mode. A file
    that is there is not opened: closing it would drop the locks that SQLite holds on it in this process."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    return _identity(path)


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver begins transactions when it sees fit, and not at all before DDL; so it is told not to, and
    # `_begin` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
    except BaseException:
        connection.close()
        raise
    cursor.close()


def _begin(connection: Connection) -> None:
    # IMMEDIATE: the lock is waited for here, where nothing is lost, and not in the middle.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
