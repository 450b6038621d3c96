"""Providers whose credential is no fixed field: what each request is given anew, when it is sent."""

from collections.abc import Mapping
from typing import Final, Protocol

from chatvault.config.snapshot import AccessToken, AwsKeys, ProviderSnapshot
from chatvault.core.seam import Header, Request
from chatvault.providers.bearer import Bearer
from chatvault.providers.sigv4 import SigV4

NO_TOKENS: Final[Mapping[str, AccessToken]] = {}


class Signer(Protocol):
    def fields(self, request: Request, authority: bytes, now_us: int) -> list[Header]:
        """The fields that sign `request`, to be sent behind its own. `authority` is what its field `host` will say,
        `now_us` the time. Raises GatewayError or UpstreamError where there is nothing to sign with."""


def signer_of(provider: ProviderSnapshot, tokens: Mapping[str, AccessToken] = NO_TOKENS) -> Signer | None:
    """None where the fixed fields of the provider say who calls. `tokens` has the present ones, by provider."""
    if provider.signing is None:
        return None
    if isinstance(provider.signing, AwsKeys):
        return SigV4(provider.signing)
    return Bearer(provider.name, tokens)
