"""The vault, open: it implements `access.store.TokenStore`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from chatvault.access.budget import Budget
from chatvault.access.grant import Whose
from chatvault.access.holder import Holder, user_subject
from chatvault.access.limits import Limits
from chatvault.access.store import ALL_TOKENS, Place, TokenFilter
from chatvault.access.token import DEEPEST, DEFAULT_PROJECT, Kind, Token
from chatvault.core.clock import now_us
from chatvault.vault import statements
from chatvault.vault.budgets import Budgets
from chatvault.vault.database import Database, open_database
from chatvault.vault.events import Events
from chatvault.vault.keys import ProviderKeys
from chatvault.vault.people import People


class Vault:
    """Made by `open_vault`. Every method raises VaultError when the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self.path = database.path
        self._database = database
        self.budgets = Budgets(database)
        self.people = People(database)
        self.events = Events(database)
        self.keys = ProviderKeys(database)

    async def add(self, token: Token, digest: bytes) -> None:
        """Keep a new token, and its project and user if they are new."""
        async with self._database.change() as connection:
            await self._add_project(connection, token.project)
            if token.user is not None:
                user = {"project_id": token.project, "id": token.user, "name": token.user}
                await connection.execute(statements.ADD_USER, user)
            await connection.execute(statements.ADD_TOKEN, _values(token, digest))

    async def find(self, digests: Sequence[bytes], kind: Kind = "client") -> dict[bytes, Token]:
        """The tokens with these digests. Those of a project that was switched off count as revoked."""
        values = {"digests": list(digests), "kind": kind}
        async with self._database.read() as connection:
            rows = (await connection.execute(statements.FIND_TOKENS, values)).mappings().all()
        return {row["digest"]: _token(row, active=row["active"]) for row in rows}

    async def holders(self, digests: Sequence[bytes]) -> dict[bytes, Holder]:
        """Client tokens with these digests, or with ones that were theirs before they were rotated."""
        values = {"digests": list(digests)}
        async with self._database.read() as connection:
            found = {
                row["digest"]: row
                for row in (await connection.execute(statements.HOLDERS, values)).mappings()
            }
            if len(found) < len(digests):
                rows = (await connection.execute(statements.FORMER_HOLDERS, values)).mappings()
                found |= {row["former"]: row for row in rows if row["former"] not in found}
            parents = await self._parents(connection, list(found.values()))
        holders = {digest: _holder(row, parents.get(row["id"], ())) for digest, row in found.items()}
        subjects = sorted({subject for holder in holders.values() for subject in holder.subjects()})
        budgets = await self.budgets.paying(subjects) if holders else []
        return {digest: _with_budgets(holder, budgets) for digest, holder in holders.items()}

    async def holder(self, token_id: str) -> Holder | None:
        """A client token by its id."""
        async with self._database.read() as connection:
            row = (await connection.execute(statements.HOLDER, {"token": token_id})).mappings().first()
            if row is None:
                return None
            parents = await self._parents(connection, [row])
        holder = _holder(row, parents.get(token_id, ()))
        return _with_budgets(holder, await self.budgets.paying(holder.subjects()))

    async def live_below(self, token_id: str, at_us: int, most: int) -> int:
        """How many tokens this one has minted, itself or through others, that hold at this time; `most` at most."""
        values = {"tops": [token_id], "at": at_us, "most": most}
        async with self._database.read() as connection:
            return int((await connection.execute(statements.LIVE_BELOW, values)).scalar_one())

    async def below(self, token_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """All tokens that each of these has minted, itself or through others, and when; one that minted none is
        absent."""
        async with self._database.read() as connection:
            rows = (await connection.execute(statements.BELOW, {"tops": list(token_ids)})).all()
        found: dict[str, dict[str, int]] = {}
        for row in rows:
            found.setdefault(row.top, {})[row.id] = row.created_at
        return found

    async def _parents(
        self, connection: AsyncConnection, rows: Sequence[RowMapping]
    ) -> dict[str, tuple[Token, ...]]:
        ids = [row["id"] for row in rows if row["parent_id"]]
        if not ids:
            return {}
        values = {"ids": ids, "deepest": DEEPEST}
        found: dict[str, tuple[Token, ...]] = {}
        for row in (await connection.execute(statements.PARENTS, values)).mappings():
            found[row["child"]] = (*found.get(row["child"], ()), _token(row))
        return found

    async def minted(self, token_ids: Sequence[str]) -> dict[str, list[str]]:
        """By each of these tokens: those that it minted, and those that they did, all the way down."""
        found: dict[str, list[str]] = {}
        async with self._database.read() as connection:
            values = {"ids": list(token_ids), "deepest": DEEPEST}
            for ancestor, child in await connection.execute(statements.MINTED, values):
                found.setdefault(ancestor, []).append(child)
        return found

    async def get(self, token_id: str) -> Token | None:
        async with self._database.read() as connection:
            row = (await connection.execute(statements.GET_TOKEN, {"id": token_id})).mappings().first()
        return None if row is None else _token(row)

    async def page(
        self, limit: int, after: Place | None = None, which: TokenFilter = ALL_TOKENS
    ) -> list[Token]:
        """Tokens, the newest first: those older than `after`."""
        values: dict[str, Any] = {"limit": limit, **_which(which)}
        statement = statements.NEWEST_TOKENS
        if after is not None:
            statement = statements.OLDER_TOKENS
            values |= {"created_at": after[0], "before": after[1]}
        async with self._database.read() as connection:
            rows = (await connection.execute(statement, values)).mappings().all()
        return [_token(row) for row in rows]

    async def revoke(self, token_id: str, at_us: int) -> bool:
        """Whether it was this call that revoked it."""
        async with self._database.change() as connection:
            done = await connection.execute(statements.REVOKE_TOKEN, {"token": token_id, "at": at_us})
        return bool(done.rowcount)

    async def change(self, token: Token) -> None:
        """Keep what may change of it: name, expiry, what it may do and how much, tags and metadata."""
        values = _values(token, b"")
        changed = {f"new_{name}": values[name] for name in _CHANGEABLE}
        async with self._database.change() as connection:
            await connection.execute(statements.CHANGE_TOKEN, {"token": token.id, **changed})

    async def rotate(self, token_id: str, digest: bytes, until_us: int | None) -> None:
        """Another secret from now on; the one before holds until then, or, if that is None, no more. Those before it
        hold no more in any case."""
        async with self._database.change() as connection:
            await connection.execute(statements.DROP_FORMER, {"token": token_id})
            if until_us is not None:
                await connection.execute(statements.KEEP_FORMER, {"token": token_id, "until": until_us})
            await connection.execute(statements.SET_DIGEST, {"token": token_id, "new_digest": digest})

    async def revoke_all(self, which: TokenFilter, at_us: int) -> list[str]:
        """Ids of those that it was this call that revoked."""
        async with self._database.change() as connection:
            values = {"revoked": at_us, **_which(which)}
            return list((await connection.execute(statements.REVOKE_ALL, values)).scalars())

    async def expired(self, before_us: int, limit: int) -> list[str]:
        """Ids of tokens that expired before then, the longest expired first."""
        async with self._database.read() as connection:
            found = await connection.execute(statements.EXPIRED, {"before": before_us, "limit": limit})
            return list(found.scalars())

    async def drop_expired(self, token_ids: Sequence[str], before_us: int) -> None:
        """Remove those of these tokens that expired before then, and end their budgets; remove all former secrets whose
        grace was over by then."""
        values = {"ids": list(token_ids), "before": before_us}
        async with self._database.change() as connection:
            await connection.execute(statements.DROP_PAST_FORMER, {"before": before_us})
            if not token_ids:
                return
            await connection.execute(statements.DROP_FORMER_OF, values)
            dropped = list((await connection.execute(statements.DROP_TOKENS, values)).scalars())
            await self.budgets.end_of_tokens(connection, dropped, now_us())

    async def revoked_since(self, at_us: int) -> Whose:
        """The tokens that were revoked at this time or later, the earliest first, and the projects and users that are
        switched off."""
        async with self._database.read() as connection:
            tokens = (await connection.execute(statements.REVOKED_SINCE, {"at": at_us})).scalars().all()
            projects = (await connection.execute(statements.INACTIVE_PROJECTS)).scalars().all()
            users = (await connection.execute(statements.INACTIVE_USERS)).all()
        return Whose(tuple(tokens), tuple(projects), tuple(user_subject(*row) for row in users))

    async def count(self, kind: Kind = "client") -> int:
        """How many tokens of a kind there ever were."""
        async with self._database.read() as connection:
            return int((await connection.execute(statements.COUNT_TOKENS, {"kind": kind})).scalar_one())

    async def note(self, key: str) -> str | None:
        """What was noted under this key."""
        async with self._database.read() as connection:
            found = (await connection.execute(statements.GET_META, {"key": key})).scalar()
        return None if found is None else str(found)

    async def set_note(self, key: str, value: str) -> None:
        async with self._database.change() as connection:
            await connection.execute(statements.SET_META, {"key": key, "value": value})

    async def make_default_project(self) -> None:
        async with self._database.change() as connection:
            await self._add_project(connection, DEFAULT_PROJECT)

    async def _add_project(self, connection: AsyncConnection, project: str) -> None:
        row = {"id": project, "name": project, "created_at": now_us(), "active": True}
        await connection.execute(statements.ADD_PROJECT, row)


@asynccontextmanager
async def open_vault(path: Path, *, patience: float = 5.0) -> AsyncIterator[Vault]:
    """Open the vault; make it, or upgrade it, if need be. `patience`: seconds to wait for another program's
    lock. Raises VaultError."""
    async with open_database(path, patience=patience) as database:
        vault = Vault(database)
        await vault.make_default_project()
        yield vault


_CHANGEABLE = (
    "name", "expires_at", "models", "endpoints", "networks", "idle_us", "max_requests", "limits", "tags", "metadata",
)  # fmt: skip


def _which(which: TokenFilter) -> dict[str, Any]:
    values = msgspec.structs.asdict(which)
    moment = values.pop("at")
    return {"moment": moment, **{f"which_{name}": value for name, value in values.items()}}


def _values(token: Token, digest: bytes) -> dict[str, Any]:
    return {
        "id": token.id,
        "digest": digest,
        "name": token.name,
        "kind": token.kind,
        "project_id": token.project,
        "user_id": token.user,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "models": None if token.models is None else list(token.models),
        "endpoints": None if token.endpoints is None else list(token.endpoints),
        "networks": None if token.networks is None else list(token.networks),
        "parent_id": token.parent,
        "idle_us": token.idle,
        "max_requests": token.max_requests,
        "limits": None if token.limits is None else msgspec.to_builtins(token.limits),
        "tags": list(token.tags),
        "metadata": token.metadata,
    }


def _holder(row: RowMapping, parents: tuple[Token, ...]) -> Holder:
    """One whose line of parents is not whole (one was removed) holds no more: what bound it is not known."""
    token = _token(row)
    return Holder(
        token=token,
        active=bool(row["active"]) and (parents[-1] if parents else token).parent is None,
        parents=parents,
        user_limits=_limits(row["user_limits"]),
        project_limits=_limits(row["project_limits"]),
        until=row.get("until"),
    )


def _with_budgets(holder: Holder, budgets: Sequence[Budget]) -> Holder:
    subjects = set(holder.subjects())
    paying = tuple(
        each for each in budgets if each.scope == "model" or (each.scope, each.subject) in subjects
    )
    return msgspec.structs.replace(holder, budgets=paying)


def _limits(value: object) -> Limits | None:
    return None if value is None else msgspec.convert(value, Limits)


def _token(row: RowMapping, *, active: bool = True) -> Token:
    revoked_at = row["revoked_at"]
    return Token(
        id=row["id"],
        name=row["name"],
        project=row["project_id"],
        user=row["user_id"],
        kind=row["kind"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=revoked_at if active or revoked_at is not None else row["created_at"],
        models=None if row["models"] is None else tuple(row["models"]),
        endpoints=None if row["endpoints"] is None else tuple(row["endpoints"]),
        networks=None if row["networks"] is None else tuple(row["networks"]),
        parent=row["parent_id"],
        idle=row["idle_us"],
        max_requests=row["max_requests"],
        limits=_limits(row["limits"]),
        tags=tuple(row["tags"]),
        metadata=row["metadata"],
    )
