"""A grant: what a token may do, resolved."""

from fnmatch import fnmatchcase

import msgspec

ACCOUNT = "account"
"""The endpoint class of objects that belong to the provider's whole account; no token reaches it unless it is
named."""


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token may do. `token` is its public id. Times are microseconds since the epoch; None means
    without end.

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

    def expired(self, now_us: int) -> bool:
        return self.expires_at is not None and now_us >= self.expires_at

    def allows_model(self, model: str) -> bool:
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)

    def allows_endpoint(self, endpoint: str) -> bool:
        """`endpoint` is an endpoint's name, such as `chat.completions`; account-wide ones begin with
        `account.`."""
        patterns = self.endpoints
        if endpoint.startswith(ACCOUNT):
            return patterns is not None and any(
                p.startswith(ACCOUNT) and fnmatchcase(endpoint, p) for p in patterns
            )
        return patterns is None or any(fnmatchcase(endpoint, pattern) for pattern in patterns)
