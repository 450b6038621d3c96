"""Who is asking, and what each route asks of them.

Every route names its policy: a `Permit` with the permission it needs, or `everyone`. `api.create_app`
refuses a route that names none.
"""

import hmac
from typing import Final, Literal, get_args

import msgspec
from starlette.requests import Request

from chatvault.access.credential import digest
from chatvault.access.store import TokenStore
from chatvault.control.sign_ins import SignIns
from chatvault.core.clock import now_us
from chatvault.core.errors import AuthenticationError, ClientError, OperatorError, PermissionDenied
from chatvault.core.secrets import Secret

Permission = Literal[
    "projects:read",
    "projects:write",
    "users:read",
    "users:write",
    "tokens:read",
    "tokens:write",
    "budgets:read",
    "budgets:write",
    "keys:read",
    "keys:write",
    "limits:read",
    "usage:read",
    "health:read",
    "config:write",
]
PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)

SHORTEST: Final = 16
"""Characters of a management token that the operator chooses."""


_OPENED: Final = 1000


class Caller(msgspec.Struct, frozen=True):
    """Somebody whose credential was good. `who` goes into the journal: a token's public id, `environment` for
    the operator's own management token, `owner` for whoever opened the owner-only socket."""

    who: str
    permissions: frozenset[Permission] = frozenset(PERMISSIONS)


class Gate:
    """Tells who is asking. `owner_path` is the path of the socket that only the owner can open."""

    def __init__(
        self,
        store: TokenStore,
        pepper: bytes,
        sign_ins: SignIns,
        given: Secret | None = None,
        owner_path: str | None = None,
    ) -> None:
        """`given` is the management token that the operator set. Raises OperatorError for a short one."""
        if given is not None and len(given.reveal()) < SHORTEST:
            raise OperatorError(
                f"MANAGEMENT_TOKEN is too short to be safe: use {SHORTEST} random characters or more.",
                code="bad_config",
            )
        self._store = store
        self._pepper = pepper
        self._sign_ins = sign_ins
        self._opened: dict[bytes, None] = {}
        """Digests of tokens of the vault's that have opened before. They are too long to be guessed, so they go on
        opening for an address whose guesses are refused; one that the operator chose may not be."""
        self._given = None if given is None else digest(pepper, given.reveal().encode())
        self._owner_path = owner_path

    async def caller(self, request: Request) -> Caller:
        """Raises AuthenticationError, RateLimited."""
        server = request.scope.get("server")
        if self._owner_path is not None and server is not None and server[0] == self._owner_path:
            return Caller("owner")
        try:
            return await self._sign_in(request)
        except ClientError as error:
            self._sign_ins.refused(request, error)
            raise

    async def _sign_in(self, request: Request) -> Caller:
        fields = request.headers.getlist("authorization")
        if len(fields) > 1:
            raise ClientError("The field authorization occurs twice.", code="invalid_request")
        scheme, _, credential = "".join(fields).partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise AuthenticationError(
                "This needs the management token: send it as `Authorization: Bearer <token>`.",
                code="missing_token",
            )
        key = digest(self._pepper, credential.encode())
        if key in self._opened:
            return await self._holder(key)
        place = self._sign_ins.place(request)
        at = self._sign_ins.attempt(place)
        if self._given is not None and hmac.compare_digest(key, self._given):
            caller = Caller("environment")
        else:
            try:
                caller = await self._holder(key)
            except AuthenticationError as error:
                if error.code == "expired_token":  # it was good once: no guess
                    self._sign_ins.good(place, at)
                raise
            if len(self._opened) >= _OPENED:
                del self._opened[next(iter(self._opened))]
            self._opened[key] = None
        self._sign_ins.good(place, at)
        return caller

    async def _holder(self, key: bytes) -> Caller:
        token = (await self._store.find([key], "management")).get(key)
        if token is None:
            raise AuthenticationError("This is no management token.", code="invalid_token")
        if token.revoked_at is not None:
            self._opened.pop(key, None)
            raise AuthenticationError("This management token was revoked.", code="revoked_token")
        if token.expires_at is not None and now_us() >= token.expires_at:
            raise AuthenticationError("This management token has expired.", code="expired_token")
        return Caller(token.id)


class Permit:
    """The policy of a route that needs a permission; as a dependency it gives the caller."""

    def __init__(self, gate: Gate, permission: Permission) -> None:
        self._gate = gate
        self.permission = permission

    async def __call__(self, request: Request) -> Caller:
        caller = await self._gate.caller(request)
        if self.permission not in caller.permissions:
            raise PermissionDenied(f"This needs the permission {self.permission}.", code="missing_permission")
        return caller


async def everyone() -> None:
    """The policy of a route that is open to everyone."""
