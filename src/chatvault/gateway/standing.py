"""A grant as this worker knows it, with what was decided for it: the same call again is decided by a look-up."""

from typing import Final

from chatvault.access.grant import Grant
from chatvault.access.limiter import Limiter, Meter
from chatvault.config.snapshot import Snapshot
from chatvault.core.errors import AuthenticationError, PermissionDenied
from chatvault.gateway.plan import Plan
from chatvault.gateway.routes import Endpoint

_MOST: Final = 64
"""Models of a grant whose plans are kept; their names come from clients."""


class Standing:
    """Forgotten with its grant; its plans with the configuration that they were made under."""

    __slots__ = ("_endpoints", "_meters", "_placed", "_plans", "_snapshot", "_swept", "free", "grant", "used")

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.used = 0.0
        """When it was last used, where that decides when it ends; on the clock of the grants."""
        self.free = not grant.limits and not grant.budgets
        """Nothing of its own counts its calls or pays for them."""
        self._placed = grant.networks is not None or any(outer.networks is not None for outer in grant.within)
        self._endpoints: set[Endpoint] = set()
        self._plans: dict[tuple[Endpoint, str | None], Plan] = {}
        self._snapshot: Snapshot | None = None
        self._meters: tuple[Meter, ...] = ()
        self._swept = -1

    def meters(self, limiter: Limiter) -> tuple[Meter, ...]:
        """What counts its calls. Got anew after each sweep, so that all who share a limit share its meter."""
        if self._swept != limiter.swept:
            self._swept = limiter.swept
            self._meters = tuple(map(limiter.meter, self.grant.limits))
        return self._meters

    def check(self, endpoint: Endpoint, address: str, now_us: int) -> None:
        """Raises AuthenticationError for an expired token, PermissionDenied for an endpoint it was not granted or a
        client that is not where it may be."""
        grant = self.grant
        if grant.expires_at is not None and grant.expired(now_us):
            raise AuthenticationError("This token has expired. Ask for a new one.", code="token_expired")
        if self._placed and not grant.allows_address(address):
            raise PermissionDenied(
                f"This token may not be used from {address}. Use it from its own networks, or have them changed.",
                code="network_not_allowed",
            )
        if endpoint not in self._endpoints:
            if not grant.allows_endpoint(endpoint.name):
                raise _not_granted(endpoint)
            self._endpoints.add(endpoint)

    def plan(self, endpoint: Endpoint, model: str | None, snapshot: Snapshot) -> Plan | None:
        """What was decided for such a call under this configuration; None if it was not yet."""
        if self._snapshot is not snapshot:
            self._snapshot = snapshot
            self._plans.clear()
        return self._plans.get((endpoint, model))

    def keep(self, endpoint: Endpoint, model: str | None, plan: Plan) -> None:
        """Keep a plan that was made under the configuration that `plan` was asked for last."""
        if len(self._plans) >= _MOST:
            self._plans.clear()
        self._plans[endpoint, model] = plan


def _not_granted(endpoint: Endpoint) -> PermissionDenied:
    what = (
        "reaches objects of the provider's whole account and is closed unless a token's endpoints name it"
        if endpoint.name.startswith("account")
        else "is not among this token's endpoints"
    )
    return PermissionDenied(f"The endpoint '{endpoint.name}' {what}.", code="endpoint_not_allowed")
