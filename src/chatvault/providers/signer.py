"""Providers whose credential is no fixed field: what each request is given anew, when it is sent."""

from typing import Protocol

from chatvault.config.snapshot import ProviderSnapshot
from chatvault.core.seam import Header, Request
from chatvault.providers.sigv4 import SigV4


class Signer(Protocol):
    def fields(self, request: Request, authority: bytes, now_us: int) -> list[Header]:
        """The fields that sign `request`, to be sent behind its own. `authority` is what its field `host` will say,
        `now_us` the time. Raises GatewayError or UpstreamError where there is nothing to sign with."""


def signer_of(provider: ProviderSnapshot) -> Signer | None:
    """None where the fixed fields of the provider say who calls."""
    return SigV4(provider.signing) if provider.signing is not None else None
