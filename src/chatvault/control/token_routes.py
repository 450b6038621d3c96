"""`/manage/tokens`."""

from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from chatvault.access.store import TokenFilter
from chatvault.access.token import Kind, Token
from chatvault.control.answers import answer
from chatvault.control.auth import Caller, Gate, Permit
from chatvault.control.forms import shown_limits
from chatvault.control.token_forms import ChangedToken, Named, NewToken, Revocation, Rotation
from chatvault.control.tokens import Tokens
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import Unavailable
from chatvault.ledger.queries import Use


class Uses(Protocol):
    """Tells how tokens were used. Raises Unavailable where that cannot be asked."""

    async def uses(self, tokens: list[str]) -> dict[str, Use]: ...


class Which:
    """The filters of a list of tokens, from its query string."""

    def __init__(
        self,
        project_id: str | None = None,
        user_id: str | None = None,
        parent_id: str | None = None,
        kind: Kind | None = None,
        tag: str | None = None,
        state: Literal["active", "expired", "revoked"] | None = None,
    ) -> None:
        self.filter = TokenFilter(
            project=project_id, user=user_id, parent=parent_id, kind=kind, tag=tag, state=state, at=now_us()
        )


def tokens_router(tokens: Tokens, uses: Uses, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/tokens", tags=["tokens"])
    read, write = Permit(gate, "tokens:read"), Permit(gate, "tokens:write")
    Writer = Annotated[Caller, Depends(write)]

    @router.post("", status_code=201)
    async def create(caller: Writer, wanted: NewToken) -> Response:
        """Make a token. The answer is the only place that ever shows it."""
        secret, token = await tokens.create(caller.who, wanted)
        return answer({"token": secret, **shown(token, Use())}, 201)

    @router.get("", dependencies=[Depends(read)])
    async def page(
        which: Annotated[Which, Depends(Which)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: str | None = None,
    ) -> Response:
        """The newest tokens first, never their secrets."""
        found, following = await tokens.page(limit, cursor, which.filter)
        used = await _used(uses, [token.id for token in found])
        return answer({"data": [shown(token, used.get(token.id)) for token in found], "cursor": following})

    @router.post("/revoke")
    async def revoke_all(caller: Writer, wanted: Revocation) -> Response:
        """Revoke all tokens of a project, a user, a tag or a parent; answers when every worker has acknowledged it."""
        ids, missing = await tokens.revoke_all(caller.who, wanted)
        return answer({"revoked": len(ids), "unacknowledged": missing}, 202 if missing else 200)

    @router.get("/{token_id}", dependencies=[Depends(read)])
    async def get(token_id: str) -> Response:
        """One token, without its secret."""
        token = await tokens.get(token_id)
        return answer(shown(token, (await _used(uses, [token_id])).get(token_id)))

    @router.patch("/{token_id}")
    async def change(caller: Writer, token_id: str, wanted: ChangedToken) -> Response:
        """Change what a token may do, how much, and for how long. Answers when every worker has acknowledged it."""
        token, missing = await tokens.change(caller.who, token_id, wanted)
        used = (await _used(uses, [token_id])).get(token_id)
        return answer({**shown(token, used), "unacknowledged": missing}, 202 if missing else 200)

    @router.post("/{token_id}/rotate")
    async def rotate(caller: Writer, token_id: str, wanted: Rotation) -> Response:
        """Give a token another secret; the one before holds for a grace period."""
        secret, token, missing = await tokens.rotate(caller.who, token_id, wanted.grace_hours)
        used = (await _used(uses, [token_id])).get(token_id)
        body = {"token": secret, **shown(token, used), "unacknowledged": missing}
        return answer(body, 202 if missing else 200)

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


def shown(token: Token, use: Use | None) -> dict[str, object]:
    """A token as the API shows it: times as ISO 8601. `use`: None where it is not known."""
    return {
        "token_id": token.id,
        "name": token.name,
        "kind": token.kind,
        "project_id": token.project,
        "user_id": token.user,
        "parent_id": token.parent,
        "created_at": iso(token.created_at),
        "expires_at": None if token.expires_at is None else iso(token.expires_at),
        "revoked_at": None if token.revoked_at is None else iso(token.revoked_at),
        "models": token.models,
        "endpoints": token.endpoints,
        "networks": token.networks,
        "idle_hours": None if token.idle is None else token.idle / 3_600_000_000,
        "max_requests": token.max_requests,
        "limits": shown_limits(token.limits),
        "request_count": None if use is None else use.requests,
        "last_used_at": None if use is None or use.last_us is None else iso(use.last_us),
        "tags": token.tags,
        "metadata": token.metadata,
    }


async def _used(uses: Uses, tokens: list[str]) -> dict[str, Use]:
    """Empty where the ledger cannot be asked: that is no reason not to show a token."""
    try:
        found = await uses.uses(tokens)
    except Unavailable:
        return {}
    return {token: found.get(token, Use()) for token in tokens}


def _revoked(token_id: str, missing: list[int]) -> Response:
    """204; 202 if a worker is yet to be heard of. The token is revoked all the same, and the worker will be
    told."""
    if not missing:
        return Response(status_code=204)
    return answer({"token_id": token_id, "revoked": True, "unacknowledged": missing}, 202)
