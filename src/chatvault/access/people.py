"""Projects and users, as they are kept."""

import msgspec

from chatvault.access.limits import Limits


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """Owns tokens, users, provider keys, limits and budgets. One that is not `active` has all its tokens switched off.
    Microseconds since the epoch."""

    id: str
    name: str
    created_at: int
    active: bool = True
    limits: Limits | None = None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A named owner of tokens within a project."""

    project: str
    id: str
    name: str
    created_at: int
    active: bool = True
    limits: Limits | None = None
