"""`/manage/tokens`: tokens are made, listed, and revoked."""

import re
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from chatvault.access.credential import digest, new_token
from chatvault.access.grant import Whose
from chatvault.access.store import Place, TokenStore
from chatvault.access.token import DEFAULT_PROJECT, Token
from chatvault.control.answers import answer
from chatvault.control.auth import Caller, Gate, Permit
from chatvault.control.feed_server import FeedServer
from chatvault.control.ports import Journal, Recorded
from chatvault.control.when import moment
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import ClientError, NotFound
from chatvault.core.ids import short_id

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]
_CURSOR = re.compile(r"(\d{1,18})-(tok_[0-9a-f]{20})\Z")
_LONGEST_HOURS = 24 * 366 * 100


class NewToken(BaseModel):
    """What `POST /manage/tokens` takes. Without `duration_hours` or `expires_at` the token does not
    expire."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    kind: Literal["client", "management"] = "client"
    project_id: Identifier = DEFAULT_PROJECT
    user_id: Identifier | None = None
    duration_hours: Annotated[float, Field(gt=0, le=_LONGEST_HOURS, allow_inf_nan=False)] | None = None
    expires_at: str | None = None
    models: Annotated[list[Pattern], Field(min_length=1, max_length=1000)] | None = None
    endpoints: Annotated[list[Pattern], Field(min_length=1, max_length=1000)] | None = None
    tags: Annotated[list[Pattern], Field(max_length=50)] = []
    metadata: Annotated[dict[Pattern, Annotated[str, Field(max_length=1000)]], Field(max_length=50)] = {}


class Named(BaseModel):
    """What `DELETE /manage/tokens` takes: the token itself."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=500)]


class Tokens:
    """What can be done with tokens; the routes and the first start go through here."""

    def __init__(self, store: TokenStore, pepper: bytes, feed: FeedServer, journal: Journal) -> None:
        self._store = store
        self._pepper = pepper
        self._feed = feed
        self._journal = journal

    async def create(self, who: str, wanted: NewToken) -> tuple[str, Token]:
        """The token itself, which is never shown again, and what is kept of it. Raises ClientError,
        JournalError, OperatorError."""
        now = now_us()
        token = Token(
            id=short_id("tok"),
            name=wanted.name,
            kind=wanted.kind,
            project=wanted.project_id,
            user=wanted.user_id,
            created_at=now,
            expires_at=_expiry(wanted, now),
            models=None if wanted.models is None else tuple(wanted.models),
            endpoints=None if wanted.endpoints is None else tuple(wanted.endpoints),
            tags=tuple(wanted.tags),
            metadata=wanted.metadata,
        )
        secret = new_token()
        with Recorded(self._journal, who, "token.create", token.id, after=_recorded(token)):
            await self._store.add(token, digest(self._pepper, secret.encode()))
        return secret, token

    async def page(self, limit: int, cursor: str | None) -> tuple[list[Token], str | None]:
        """The newest tokens first, and the cursor of the next page. Raises ClientError."""
        found = await self._store.page(limit + 1, None if cursor is None else _place(cursor))
        if len(found) <= limit:
            return found, None
        last = found[limit - 1]
        return found[:limit], f"{last.created_at}-{last.id}"

    async def get(self, token_id: str) -> Token:
        """Raises NotFound."""
        token = await self._store.get(token_id)
        if token is None:
            raise NotFound(f"There is no token {token_id[:40]!r}.", code="token_not_found", param="token_id")
        return token

    async def named(self, secret: str) -> Token:
        """Raises NotFound."""
        key = digest(self._pepper, secret.encode())
        found = await self._store.find([key]) or await self._store.find([key], "management")
        if key not in found:
            raise NotFound("There is no such token.", code="token_not_found", param="token")
        return found[key]

    async def revoke(self, who: str, token: Token, *, push: bool = True) -> list[int]:
        """The workers that had not acknowledged it in time. A token that is revoked already is pushed
        again; without `push` none is, since no worker can know it."""
        if token.revoked_at is None:
            now = now_us()
            before: dict[str, object] = {"revoked_at": None}
            with Recorded(self._journal, who, "token.revoke", token.id, before, {"revoked_at": now}):
                await self._store.revoke(token.id, now)
        if not push or token.kind == "management":
            return []
        return await self._feed.revoke(Whose(tokens=(token.id,)))


def tokens_router(tokens: Tokens, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/tokens", tags=["tokens"])
    read, write = Permit(gate, "tokens:read"), Permit(gate, "tokens:write")
    Writer = Annotated[Caller, Depends(write)]

    @router.post("", status_code=201)
    async def create(caller: Writer, wanted: NewToken) -> Response:
        """Make a token. The answer is the only place that ever shows it."""
        secret, token = await tokens.create(caller.who, wanted)
        return answer({"token": secret, **shown(token)}, 201)

    @router.get("", dependencies=[Depends(read)])
    async def page(limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: str | None = None) -> Response:
        """The newest tokens first, never their secrets."""
        found, following = await tokens.page(limit, cursor)
        return answer({"data": [shown(token) for token in found], "cursor": following})

    @router.get("/{token_id}", dependencies=[Depends(read)])
    async def get(token_id: str) -> Response:
        """One token, without its secret."""
        return answer(shown(await tokens.get(token_id)))

    @router.delete("/{token_id}", status_code=204)
    async def revoke(caller: Writer, token_id: str) -> Response:
        """Revoke a token by its id; answers when every worker has acknowledged it."""
        return _revoked(token_id, await tokens.revoke(caller.who, await tokens.get(token_id)))

    @router.delete("", status_code=204)
    async def revoke_named(caller: Writer, named: Named) -> Response:
        """Revoke the token given; answers when every worker has acknowledged it."""
        token = await tokens.named(named.token)
        return _revoked(token.id, await tokens.revoke(caller.who, token))

    return router


def shown(token: Token) -> dict[str, object]:
    """A token as the API shows it: times as ISO 8601."""
    return {
        "token_id": token.id,
        "name": token.name,
        "kind": token.kind,
        "project_id": token.project,
        "user_id": token.user,
        "created_at": iso(token.created_at),
        "expires_at": None if token.expires_at is None else iso(token.expires_at),
        "revoked_at": None if token.revoked_at is None else iso(token.revoked_at),
        "models": token.models,
        "endpoints": token.endpoints,
        "tags": token.tags,
        "metadata": token.metadata,
    }


def _recorded(token: Token) -> dict[str, object]:
    """What the journal says of a new token. Name, tags and metadata stay out: a chained line cannot be
    erased."""
    kept = ("kind", "project", "user", "expires_at", "models", "endpoints")
    return {name: value for name, value in msgspec.structs.asdict(token).items() if name in kept}


def _revoked(token_id: str, missing: list[int]) -> Response:
    """204; 202 if a worker is yet to be heard of. The token is revoked all the same, and the worker will be
    told."""
    if not missing:
        return Response(status_code=204)
    return answer({"token_id": token_id, "revoked": True, "unacknowledged": missing}, 202)


def _expiry(wanted: NewToken, now: int) -> int | None:
    if wanted.duration_hours is not None and wanted.expires_at is not None:
        raise ClientError(
            "Give duration_hours or expires_at, not both.", code="invalid_request", param="expires_at"
        )
    if wanted.duration_hours is not None:
        return now + int(wanted.duration_hours * 3_600_000_000)
    if wanted.expires_at is None:
        return None
    at = moment(wanted.expires_at, "expires_at")
    if at <= now:
        raise ClientError("expires_at has passed.", code="invalid_request", param="expires_at")
    return at


def _place(cursor: str) -> Place:
    found = _CURSOR.match(cursor)
    if found is None:
        raise ClientError("The cursor is none that this server gave.", code="bad_cursor", param="cursor")
    return int(found[1]), found[2]
