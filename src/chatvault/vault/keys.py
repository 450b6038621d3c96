"""Provider keys, in the vault: sealed, never in the clear."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, bindparam, insert, or_, select, update

from chatvault.vault.database import Database
from chatvault.vault.schema import provider_keys
from chatvault.vault.seal import Sealed, Seat

_C: Final = provider_keys.c

_ADD: Final = insert(provider_keys)
_GET: Final = select(provider_keys).where(_C.id == bindparam("of"))
_LIVE: Final = select(provider_keys).where(_C.revoked_at.is_(None)).order_by(_C.created_at, _C.id)
_PAGE: Final = (
    select(provider_keys)
    .where(
        or_(bindparam("provider").is_(None), _C.provider == bindparam("provider")),
        or_(bindparam("project").is_(None), _C.project_id == bindparam("project")),
        _C.id > bindparam("after"),
    )
    .order_by(_C.id)
    .limit(bindparam("limit"))
)
_REVOKE: Final = (
    update(provider_keys)
    .where(_C.id == bindparam("of"), _C.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"), nonce=b"", sealed=b"")
)
_RESEAL: Final = (
    update(provider_keys)
    .where(_C.id == bindparam("of"), _C.revoked_at.is_(None), _C.version == bindparam("former"))
    .values(
        version=bindparam("next"),
        master_id=bindparam("master"),
        nonce=bindparam("nonced"),
        sealed=bindparam("text"),
    )
)


class ProviderKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a provider account, but for the key itself. Times are in microseconds since the epoch."""

    id: str
    provider: str
    project: str | None
    """None: for all projects."""
    name: str
    last4: str
    """Its last four characters; empty for a key so short that they would say too much."""
    created_at: int
    revoked_at: int | None = None
    version: int = 1
    """Counts how often it was sealed."""

    @property
    def seat(self) -> Seat:
        return Seat(self.provider, self.project, self.id, self.version)


Kept = tuple[ProviderKey, Sealed]
"""A key and what is sealed of it; of a revoked one nothing is left."""


class ProviderKeys:
    """Every method raises VaultError when the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ProviderKey, sealed: Sealed) -> None:
        async with self._database.change() as connection:
            await connection.execute(_ADD, _values(key, sealed))

    async def get(self, key_id: str) -> Kept | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_GET, {"of": key_id})).mappings().first()
        return None if row is None else _kept(row)

    async def page(
        self, limit: int, *, provider: str | None = None, project: str | None = None, after: str = ""
    ) -> list[Kept]:
        """In the order of their ids, revoked ones included."""
        values = {"limit": limit, "provider": provider, "project": project, "after": after}
        async with self._database.read() as connection:
            return [_kept(row) for row in (await connection.execute(_PAGE, values)).mappings()]

    async def live(self) -> list[Kept]:
        """Those that were not revoked, the oldest first."""
        async with self._database.read() as connection:
            return [_kept(row) for row in (await connection.execute(_LIVE)).mappings()]

    async def revoke(self, key_id: str, at_us: int) -> None:
        """Its sealed text goes with it: nobody needs it any more."""
        async with self._database.change() as connection:
            await connection.execute(_REVOKE, {"of": key_id, "at": at_us})

    async def reseal(self, keys: Sequence[Kept]) -> bool:
        """Keep what was sealed anew, each with a version one higher; all of it or, where one of them has changed
        meanwhile (False), nothing."""
        async with self._database.change() as connection:
            for key, sealed in keys:
                done = await connection.execute(_RESEAL, _resealed(key, sealed))
                if not done.rowcount:
                    await connection.rollback()
                    return False
        return True


def _resealed(key: ProviderKey, sealed: Sealed) -> dict[str, Any]:
    return {
        "of": key.id,
        "former": key.version - 1,
        "next": key.version,
        "master": sealed.master_id,
        "nonced": sealed.nonce,
        "text": sealed.text,
    }


def _values(key: ProviderKey, sealed: Sealed) -> dict[str, Any]:
    return {
        "id": key.id,
        "provider": key.provider,
        "project_id": key.project,
        "name": key.name,
        "last4": key.last4,
        "version": key.version,
        "master_id": sealed.master_id,
        "nonce": sealed.nonce,
        "sealed": sealed.text,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _kept(row: RowMapping) -> Kept:
    key = ProviderKey(
        id=row["id"],
        provider=row["provider"],
        project=row["project_id"],
        name=row["name"],
        last4=row["last4"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        version=row["version"],
    )
    return key, Sealed(row["master_id"], row["nonce"], row["sealed"])
