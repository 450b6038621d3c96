"""What keeps tokens, as the rest sees it. The vault implements it."""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from chatvault.access.grant import Grant

Kind = Literal["client", "management"]
"""What a token opens: the data plane, or the control plane."""

DEFAULT_PROJECT = "default"
"""The project of tokens that name none; it is there from the first start."""


class Token(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token as it is kept: everything but its secret. Times are microseconds since the epoch."""

    id: str
    """`tok_` and 20 hexadecimal digits: public."""
    name: str
    project: str = DEFAULT_PROJECT
    user: str | None = None
    kind: Kind = "client"
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}

    def grant(self) -> Grant:
        """What this token may do, as long as it is not revoked."""
        return Grant(
            token=self.id,
            project=self.project,
            user=self.user,
            name=self.name,
            expires_at=self.expires_at,
            models=self.models,
            endpoints=self.endpoints,
        )


Place = tuple[int, str]
"""Where a page of tokens ended: `created_at` and `id` of its last one."""


class GrantSource(Protocol):
    """What answers the workers' look-ups. Each method raises OperatorError when the store cannot be asked."""

    async def find(self, digests: Sequence[bytes], kind: Kind = "client") -> dict[bytes, Token]:
        """The tokens with these keyed digests, revoked and expired ones included. Those of a project that was
        switched off count as revoked."""
        ...

    async def revoked_since(self, at_us: int) -> list[str]:
        """Ids of the tokens that were revoked at this time or later."""
        ...


class TokenStore(GrantSource, Protocol):
    """What keeps tokens."""

    async def add(self, token: Token, digest: bytes) -> None:
        """Keep a new token, and its project and user if they are new."""
        ...

    async def get(self, token_id: str) -> Token | None: ...

    async def page(self, limit: int, after: Place | None = None) -> list[Token]:
        """Tokens, the newest first: those older than `after`."""
        ...

    async def revoke(self, token_id: str, at_us: int) -> bool:
        """Whether it was this call that revoked it."""
        ...

    async def count(self) -> int:
        """How many tokens there ever were."""
        ...
