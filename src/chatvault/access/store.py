"""What keeps tokens, as the rest sees it. The vault implements it."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec

from chatvault.access.budget import Budget
from chatvault.access.grant import Whose
from chatvault.access.holder import Holder
from chatvault.access.people import Project, User
from chatvault.access.purse import Key
from chatvault.access.token import Kind, Token

Place = tuple[int, str]
"""Where a page of tokens ended: `created_at` and `id` of its last one."""


class TokenFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokens; None: all. `at` is the moment that says what is expired, in microseconds since the epoch."""

    project: str | None = None
    user: str | None = None
    parent: str | None = None
    kind: Kind | None = None
    tag: str | None = None
    state: Literal["active", "expired", "revoked"] | None = None
    at: int = 0


ALL_TOKENS: Final = TokenFilter()


class GrantSource(Protocol):
    """What answers the workers' look-ups. Each method raises OperatorError when the store cannot be asked."""

    async def holders(self, digests: Sequence[bytes]) -> dict[bytes, Holder]:
        """Client tokens with these keyed digests, or with ones that were theirs before they were rotated; revoked and
        expired ones included."""
        ...

    async def revoked_since(self, at_us: int) -> Whose:
        """The tokens that were revoked at this time or later, and the projects and users that are switched off."""
        ...


class TokenStore(GrantSource, Protocol):
    """What keeps tokens."""

    async def find(self, digests: Sequence[bytes], kind: Kind = "client") -> dict[bytes, Token]:
        """The tokens with these keyed digests, revoked and expired ones included. Those of a project that was
        switched off count as revoked."""
        ...

    async def add(self, token: Token, digest: bytes) -> None:
        """Keep a new token, and its project and user if they are new."""
        ...

    async def get(self, token_id: str) -> Token | None: ...

    async def holder(self, token_id: str) -> Holder | None:
        """A client token by its id, revoked and expired ones included."""
        ...

    async def live_below(self, token_id: str, at_us: int, most: int) -> int:
        """How many tokens this one has minted, itself or through others, that hold at this time; `most` at most."""
        ...

    async def page(
        self, limit: int, after: Place | None = None, which: TokenFilter = ALL_TOKENS
    ) -> list[Token]:
        """Tokens, the newest first: those older than `after`."""
        ...

    async def change(self, token: Token) -> None:
        """Keep what may change of it: name, expiry, what it may do and how much, tags and metadata."""
        ...

    async def rotate(self, token_id: str, digest: bytes, until_us: int | None) -> None:
        """Another secret from now on; the one before holds until then, or, if that is None, no more."""
        ...

    async def revoke(self, token_id: str, at_us: int) -> bool:
        """Whether it was this call that revoked it."""
        ...

    async def revoke_all(self, which: TokenFilter, at_us: int) -> list[str]:
        """Ids of those that it was this call that revoked."""
        ...

    async def expired(self, before_us: int, limit: int) -> list[str]:
        """Ids of tokens that expired before then, the longest expired first."""
        ...

    async def drop_expired(self, token_ids: Sequence[str], before_us: int) -> None:
        """Remove those of these tokens that expired before then, and end their budgets; remove all former secrets whose
        grace was over by then."""
        ...

    async def count(self) -> int:
        """How many tokens there ever were."""
        ...


class PeopleStore(Protocol):
    """What keeps projects and users. Each method raises OperatorError when the store cannot be asked."""

    async def add_project(self, project: Project) -> bool:
        """False: there is one of this id, and nothing was changed."""
        ...

    async def project(self, project_id: str) -> Project | None: ...

    async def projects(self, limit: int, after: str = "") -> list[Project]:
        """In the order of their ids."""
        ...

    async def change_project(self, project: Project) -> None:
        """Keep its name, its limits, and whether it is active."""
        ...

    async def drop_project(self, project_id: str) -> bool:
        """False: tokens, users, budgets or keys are its own, and it stays."""
        ...

    async def live_tokens(self, project_id: str) -> int:
        """How many of its tokens were not revoked."""
        ...

    async def add_user(self, user: User) -> bool:
        """False: there is one of this id in the project, and nothing was changed."""
        ...

    async def user(self, project_id: str, user_id: str) -> User | None: ...

    async def users(
        self, limit: int, *, project: str | None = None, after: tuple[str, str] = ("", "")
    ) -> list[User]:
        """In the order of their projects' ids and their own."""
        ...

    async def change_user(self, user: User) -> None:
        """Keep its name, its limits, and whether it is active."""
        ...


class KeptBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as it is kept. `project` is whose it is; None for the scope `model`. Microseconds since the epoch."""

    budget: Budget
    project: str | None
    created_at: int
    ended_at: int | None = None


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A worker's life (`chain`) needs so much more of a budget."""

    key: Key
    chain: str
    need: int


class Lease(msgspec.Struct, frozen=True, gc=False):
    """What a worker's life may spend of a budget, all in all."""

    chain: str
    key: Key
    amount: int


class Spent(msgspec.Struct, frozen=True, gc=False):
    """Of a budget and period: what is out of control's hands, and how much of that chains that have ended used."""

    key: Key
    committed: int
    used: int


class LeaseStore(Protocol):
    """What keeps the leases of budgets. Each method is one transaction; each raises OperatorError when the store cannot
    be asked."""

    async def lend(self, asks: Sequence[Ask], workers: int) -> list[int]:
        """What each ask is leased, in order; 0 where not enough is left."""
        ...

    async def left(self, key: Key) -> int:
        """What is not committed."""
        ...

    async def give_back(self, chain: str, key: Key, amount: int) -> None:
        """A worker's life needs so much no more."""
        ...

    async def resync(self, chain: str, leased: Mapping[Key, int]) -> None:
        """The life of a worker says what it holds: what was lent to it and never arrived comes back."""
        ...

    async def close_period(self, chain: str, key: Key, used: int) -> None:
        """A period is over for a worker's life, which used so much of its lease."""
        ...

    async def account(self, chain: str, held: Mapping[Key, int]) -> None:
        """A chain has ended, and holds so much by its own record. Doing it twice changes nothing."""
        ...

    async def leases(self, chain: str | None = None) -> list[Lease]: ...

    async def spent(self, budget_ids: Sequence[str]) -> list[Spent]: ...
