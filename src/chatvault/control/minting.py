"""Sub-tokens: tokens that client tokens make for themselves over the data port, narrower and shorter-lived.

What a sub-token may do is decided when it is used, by its own bounds and by those of every token above it
(`access.grant`), so that it is never wider, whatever becomes of those. What is refused here is what could never work.
"""

from collections.abc import Iterable
from typing import Final

from chatvault.access.grant import ACCOUNT, Grant
from chatvault.access.holder import Holder
from chatvault.access.store import TokenStore
from chatvault.access.token import DEEPEST
from chatvault.control.forms import filled
from chatvault.control.questions import Questions
from chatvault.control.token_forms import MintedToken, NewToken
from chatvault.control.token_routes import shown
from chatvault.control.tokens import Tokens, expiry
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import AuthenticationError, ClientError, NotFound, PermissionDenied
from chatvault.ledger.queries import Use

MOST_BELOW: Final = 1000
"""Tokens that hold at a time below one that nobody minted."""
_HOUR: Final = 3_600_000_000
_SIGNS: Final = frozenset("*?[")
"""What makes a name a pattern."""


class Minting:
    """Methods raise ClientError, JournalError, OperatorError."""

    def __init__(self, store: TokenStore, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens

    def listen(self, questions: Questions) -> None:
        questions.on("tokens.create", self.create)
        questions.on("tokens.revoke", self.revoke)

    async def create(self, asking: str, body: str) -> tuple[int, object]:
        """A token below the one that asks. The answer is the only place that ever shows it."""
        wanted = filled(MintedToken, body)
        holder, grant = await self._asking(asking)
        now = now_us()
        if len(holder.parents) >= DEEPEST:
            raise PermissionDenied(
                f"This token was minted {DEEPEST} tokens deep, and can mint none.", code="tokens_too_deep"
            )
        _check_width(wanted, grant)
        until = _until(wanted, grant, now)
        top = holder.parents[-1] if holder.parents else holder.token
        if await self._store.live_below(top.id, now, MOST_BELOW) >= MOST_BELOW:
            raise ClientError(
                f"{MOST_BELOW} tokens hold already below {top.id}. Revoke some, or wait until they expire.",
                code="too_many_tokens",
                status=409,
            )
        secret, token = await self._tokens.create(asking, _below(wanted, holder, until), holder.token)
        return 201, {"token": secret, **shown(token, Use())}

    async def revoke(self, asking: str, token_id: str) -> tuple[int, object]:
        """Revoke a token that the one that asks has minted."""
        await self._asking(asking)
        token = await self._store.get(token_id)
        if token is None or token.parent != asking:
            raise NotFound(
                f"This token has minted no token {token_id[:40]!r}.", code="token_not_found", param="token_id"
            )
        missing = await self._tokens.revoke(asking, token)
        if not missing:
            return 204, None
        return 202, {"token_id": token_id, "revoked": True, "unacknowledged": missing}

    async def _asking(self, asking: str) -> tuple[Holder, Grant]:
        """The worker has let it in; it may have ended since."""
        holder = await self._store.holder(asking)
        if holder is None or holder.revoked:
            raise AuthenticationError("This token was revoked. Ask for a new one.", code="token_revoked")
        grant = holder.grant()
        if grant.expired(now_us()):
            raise AuthenticationError("This token has expired. Ask for a new one.", code="token_expired")
        return holder, grant


def _until(wanted: MintedToken, grant: Grant, now: int) -> int:
    """When it ends: never later than the one that asks."""
    end = expiry(wanted, now)
    last = grant.expires_at
    if end is None:
        return now + _HOUR if last is None else min(now + _HOUR, last)
    if last is not None and end > last:
        raise PermissionDenied(
            f"A token cannot outlive the one that mints it, which expires at {iso(last)}. Ask for less.",
            code="cannot_widen",
            param="expires_at" if wanted.expires_at is not None else "duration_hours",
        )
    return end


def _check_width(wanted: MintedToken, grant: Grant) -> None:
    """Patterns are not compared: they are checked beside those above at each use."""
    for model in _names(wanted.models):
        if not grant.allows_model(model):
            raise _wider("models", model)
    for endpoint in wanted.endpoints or ():
        if not _within(endpoint, grant):
            raise _wider("endpoints", endpoint)


def _within(endpoint: str, grant: Grant) -> bool:
    if endpoint.startswith(ACCOUNT) and not any(p.startswith(ACCOUNT) for p in grant.endpoints or ()):
        return False
    return bool(_SIGNS & set(endpoint)) or grant.allows_endpoint(endpoint)


def _names(patterns: Iterable[str] | None) -> list[str]:
    return [pattern for pattern in patterns or () if not _SIGNS & set(pattern)]


def _wider(param: str, name: str) -> PermissionDenied:
    return PermissionDenied(
        f"The token that asks may not use {name[:200]!r} itself, so no token below it can.",
        code="cannot_widen",
        param=param,
    )


def _below(wanted: MintedToken, holder: Holder, until: int) -> NewToken:
    """Whose it is, the one that asks decides."""
    given = wanted.model_dump(exclude={"duration_hours", "expires_at"})
    return NewToken(
        **given, project_id=holder.token.project, user_id=holder.token.user, expires_at=iso(until)
    )
