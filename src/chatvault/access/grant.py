"""A grant: what a token may do, resolved."""

from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from chatvault.access.budget import Budget
from chatvault.access.limits import Limited
from chatvault.config.networks import parse_networks, within

ACCOUNT = "account"
"""The endpoint class of objects that belong to the provider's whole account; no token reaches it unless it is
named."""


class Whose(msgspec.Struct, frozen=True, omit_defaults=True):
    """Those whose grants have changed or ended: tokens and all that they minted, projects, users (`project/user`), or
    everyone's."""

    tokens: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    everyone: bool = False


class Bounds(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a token is held to; as in `Grant`."""

    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token may do. `token` is its public id. Times are microseconds since the epoch; None means
    without end.

    A token that was minted by another is held to its own bounds and to those of all `within` which it was made.

    `models` are shell patterns over public model names, `endpoints` patterns over endpoint names (see
    docs/api.md); None means all, but for the endpoint class `account`, which must be named.
    """

    token: str
    project: str
    user: str | None = None
    name: str | None = None
    expires_at: int | None = None
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    """Addresses and networks its clients must come from."""
    parents: tuple[str, ...] = ()
    """The tokens it was minted by, the nearest first, and what they are held to: `within`."""
    within: tuple[Bounds, ...] = ()
    idle: int | None = None
    """Microseconds without a call after which it, or one that it was minted by, may have expired: control knows."""
    limits: tuple[Limited, ...] = ()
    """All that count its calls: its own, its parents', its user's, its project's."""
    budgets: tuple[Budget, ...] = ()
    """All that may have to pay for its calls; those of the scope `model` only for models of their pattern."""

    def expired(self, now_us: int) -> bool:
        return self.expires_at is not None and now_us >= self.expires_at

    def concerns(self, whose: Whose) -> bool:
        """Whether this grant stands on one of these."""
        return (
            whose.everyone
            or self.token in whose.tokens
            or self.project in whose.projects
            or (self.user is not None and f"{self.project}/{self.user}" in whose.users)
            or any(parent in whose.tokens for parent in self.parents)
        )

    def allows_model(self, model: str) -> bool:
        return _matches(model, self.models) and all(_matches(model, outer.models) for outer in self.within)

    def allows_endpoint(self, endpoint: str) -> bool:
        """`endpoint` is an endpoint's name, such as `chat.completions`; account-wide ones begin with
        `account.`."""
        return _reaches(endpoint, self.endpoints) and all(
            _reaches(endpoint, outer.endpoints) for outer in self.within
        )

    def allows_address(self, address: str) -> bool:
        """Whether its clients may be there; what is no address is in no network."""
        if self.networks is not None and not _inside(address, self.networks):
            return False
        return not self.within or all(
            outer.networks is None or _inside(address, outer.networks) for outer in self.within
        )


_parsed = lru_cache(4096)(parse_networks)


def _inside(address: str, networks: tuple[str, ...]) -> bool:
    return within(address, _parsed(networks))


def _matches(name: str, patterns: tuple[str, ...] | None) -> bool:
    return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)


def _reaches(endpoint: str, patterns: tuple[str, ...] | None) -> bool:
    if endpoint.startswith(ACCOUNT):
        return patterns is not None and any(
            p.startswith(ACCOUNT) and fnmatchcase(endpoint, p) for p in patterns
        )
    return _matches(endpoint, patterns)
