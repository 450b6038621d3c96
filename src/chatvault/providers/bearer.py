"""Access tokens that live for an hour or so, and are handed over by who gets them."""

from collections.abc import Mapping
from typing import Final

from chatvault.config.snapshot import AccessToken
from chatvault.core.errors import Unavailable
from chatvault.core.seam import Header, Request

_RETRY_AFTER: Final = 5


class Bearer:
    """The `Signer` of an account whose tokens come from elsewhere: `tokens` has the present one under its name."""

    __slots__ = ("_name", "_tokens")

    def __init__(self, name: str, tokens: Mapping[str, AccessToken]) -> None:
        self._name = name
        self._tokens = tokens

    def fields(self, request: Request, authority: bytes, now_us: int) -> list[Header]:
        token = self._tokens.get(self._name)
        if token is None or token.expires_at <= now_us:
            raise Unavailable(
                f"There is no valid access token for the provider '{self._name}' now; the gateway's log says why. "
                "Try again in a few seconds.",
                code="provider_unusable",
                retry_after=_RETRY_AFTER,
            )
        return [(b"authorization", b"Bearer " + token.text.encode())]
