"""A token as it is kept."""

from typing import Literal

import msgspec

from chatvault.access.limits import Limits

Kind = Literal["client", "management"]
"""What a token opens: the data plane, or the control plane."""

DEFAULT_PROJECT = "default"
"""The project of tokens that name none; it is there from the first start."""

DEEPEST = 8
"""A token may be minted by one that was minted by one, and so on, so many times."""


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
    networks: tuple[str, ...] | None = None
    """Addresses and networks its clients must come from; None: any."""
    parent: str | None = None
    """The token that minted it; it ends with that one."""
    idle: int | None = None
    """Microseconds without a call after which it has expired."""
    max_requests: int | None = None
    limits: Limits | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
