"""Tokens: made, changed, rotated, revoked. The routes, the first start and sub-tokens go through here."""

import re
from collections.abc import Callable

import msgspec

from chatvault.access.credential import digest, new_token
from chatvault.access.grant import Whose
from chatvault.access.limits import Limits
from chatvault.access.store import Place, TokenFilter, TokenStore
from chatvault.access.token import Token
from chatvault.config.schema import LimitsConfig
from chatvault.control.feed_server import FeedServer
from chatvault.control.forms import limits_of, shown_limits
from chatvault.control.ports import Journal, Recorded
from chatvault.control.token_forms import ChangedToken, MintedToken, NewToken, Revocation
from chatvault.control.when import moment
from chatvault.core.clock import now_us
from chatvault.core.errors import ClientError, NotFound
from chatvault.core.ids import short_id

_CURSOR = re.compile(r"(\d{1,18})-(tok_[0-9a-f]{20})\Z")
_HOUR = 3_600_000_000
_BOUNDS = ("models", "endpoints", "networks")


class Tokens:
    """Methods raise ClientError, NotFound, JournalError, OperatorError. `default_limits`: those of a client token that
    names none."""

    def __init__(
        self,
        store: TokenStore,
        pepper: bytes,
        feed: FeedServer,
        journal: Journal,
        default_limits: Callable[[], Limits | None] = lambda: None,
    ) -> None:
        self._store = store
        self._pepper = pepper
        self._feed = feed
        self._journal = journal
        self._default_limits = default_limits

    async def create(self, who: str, wanted: NewToken, parent: Token | None = None) -> tuple[str, Token]:
        """The token itself, which is never shown again, and what is kept of it. `parent` mints it."""
        now = now_us()
        token = Token(
            id=short_id("tok"),
            name=wanted.name,
            kind=wanted.kind,
            project=wanted.project_id,
            user=wanted.user_id,
            created_at=now,
            expires_at=expiry(wanted, now),
            models=_tuple(wanted.models),
            endpoints=_tuple(wanted.endpoints),
            networks=_tuple(wanted.networks),
            parent=None if parent is None else parent.id,
            idle=_hours(wanted.idle_hours),
            max_requests=wanted.max_requests,
            limits=self._limits(wanted, parent),
            tags=tuple(wanted.tags),
            metadata=wanted.metadata,
        )
        secret = new_token()
        with Recorded(self._journal, who, "token.create", token.id, after=_recorded(token)):
            await self._store.add(token, digest(self._pepper, secret.encode()))
        return secret, token

    async def page(
        self, limit: int, cursor: str | None, which: TokenFilter
    ) -> tuple[list[Token], str | None]:
        """The newest tokens first, and the cursor of the next page."""
        found = await self._store.page(limit + 1, None if cursor is None else _place(cursor), which)
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
        holder = (await self._store.holders([key])).get(key)
        if holder is not None:
            return holder.token
        token = (await self._store.find([key], "management")).get(key)
        if token is None:
            raise NotFound("There is no such token.", code="token_not_found", param="token")
        return token

    async def change(self, who: str, token_id: str, wanted: ChangedToken) -> tuple[Token, list[int]]:
        """The token as it is now, and the workers that have not acknowledged it in time."""
        before = await self._live(token_id)
        named = wanted.named()
        new: dict[str, object] = {name: _tuple(getattr(wanted, name)) for name in _BOUNDS if name in named}
        if named & {"duration_hours", "expires_at"}:
            new["expires_at"] = expiry(wanted, now_us())
        if "idle_hours" in named:
            new["idle"] = _hours(wanted.idle_hours)
        if "max_requests" in named:
            new["max_requests"] = wanted.max_requests
        if "limits" in named:
            new["limits"] = limits_of(wanted.limits)
        if wanted.name is not None:
            new["name"] = wanted.name
        if wanted.tags is not None:
            new["tags"] = tuple(wanted.tags)
        if wanted.metadata is not None:
            new["metadata"] = wanted.metadata
        after: Token = msgspec.structs.replace(before, **new)
        if after == before:
            return before, []
        with Recorded(self._journal, who, "token.change", token_id, _recorded(before), _recorded(after)):
            await self._store.change(after)
        return after, await self._feed.forget(Whose(tokens=(token_id,)))

    async def rotate(self, who: str, token_id: str, grace_hours: float) -> tuple[str, Token, list[int]]:
        """Another secret for it, which is never shown again, and the workers that have not acknowledged that the one
        before ends."""
        token = await self._live(token_id)
        secret = new_token()
        until = now_us() + int(grace_hours * _HOUR) if grace_hours else None
        with Recorded(self._journal, who, "token.rotate", token_id, after={"former_until": until}):
            await self._store.rotate(token_id, digest(self._pepper, secret.encode()), until)
        return secret, token, await self._feed.forget(Whose(tokens=(token_id,)))

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

    async def revoke_all(self, who: str, wanted: Revocation) -> tuple[list[str], list[int]]:
        """Ids of the tokens that this revoked, and the workers that had not acknowledged it in time."""
        if not wanted.model_dump(exclude_none=True):
            raise ClientError(
                "Say whose tokens are meant: project_id, user_id, tag or parent_id.", code="invalid_request"
            )
        which = TokenFilter(
            project=wanted.project_id,
            user=wanted.user_id,
            tag=wanted.tag,
            parent=wanted.parent_id,
            kind="client",
        )
        now = now_us()
        said: dict[str, object] = {**wanted.model_dump(exclude_none=True, exclude={"tag"}), "revoked_at": now}
        with Recorded(self._journal, who, "token.revoke_all", wanted.project_id or "tokens", after=said):
            ids = await self._store.revoke_all(which, now)
        return ids, await self._feed.revoke(Whose(tokens=tuple(ids))) if ids else []

    async def _live(self, token_id: str) -> Token:
        token = await self.get(token_id)
        if token.revoked_at is not None:
            raise ClientError("This token was revoked. Make a new one.", code="token_revoked", status=409)
        return token

    def _limits(self, wanted: NewToken, parent: Token | None) -> Limits | None:
        if "limits" in wanted.named() or parent is not None or wanted.kind == "management":
            return limits_of(wanted.limits)
        return self._default_limits()


def default_limits(settings: LimitsConfig) -> Limits | None:
    """Of client tokens that name none."""
    most = settings.default_requests_per_hour
    return Limits(requests_per_hour=most) if most else None


def _recorded(token: Token) -> dict[str, object]:
    """What the journal says of a token. Name, tags and metadata stay out: a chained line cannot be erased."""
    kept = ("kind", "project", "user", "expires_at", "models", "endpoints")
    later = ("networks", "parent", "idle", "max_requests")
    said = {name: getattr(token, name) for name in kept}
    said |= {name: value for name in later if (value := getattr(token, name)) is not None}
    return said if token.limits is None else {**said, "limits": shown_limits(token.limits)}


def expiry(wanted: NewToken | ChangedToken | MintedToken, now: int) -> int | None:
    """When the token is to expire; None: never, or nothing was said. Raises ClientError."""
    if wanted.duration_hours is not None and wanted.expires_at is not None:
        raise ClientError(
            "Give duration_hours or expires_at, not both.", code="invalid_request", param="expires_at"
        )
    if wanted.duration_hours is not None:
        return now + int(wanted.duration_hours * _HOUR)
    if wanted.expires_at is None:
        return None
    at = moment(wanted.expires_at, "expires_at")
    if at <= now:
        raise ClientError("expires_at has passed.", code="invalid_request", param="expires_at")
    return at


def _tuple(patterns: list[str] | None) -> tuple[str, ...] | None:
    return None if patterns is None else tuple(patterns)


def _hours(hours: float | None) -> int | None:
    return None if hours is None else int(hours * _HOUR)


def _place(cursor: str) -> Place:
    found = _CURSOR.match(cursor)
    if found is None:
        raise ClientError("The cursor is none that this server gave.", code="bad_cursor", param="cursor")
    return int(found[1]), found[2]
