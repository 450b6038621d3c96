"""Whose a call is, on its way: a call that this gateway sent itself, and that comes back, goes round for ever.

It happens where a provider's address is the gateway's own, straight or through another gateway: `OPENAI_BASE_URL`
set for the clients of a shell, say, in which the gateway is then started. Each request to an address that is not a
vendor's carries the gateway's name, and those of the gateways it came through.
"""

import hashlib
import re
from typing import Final

from chatvault.core.errors import GatewayError
from chatvault.core.seam import Header
from chatvault.wire.http_head import RequestHead

FIELD: Final = b"x-chatvault-hop"
_NAMES: Final = re.compile(rb"[0-9a-f]{16}(?:, ?[0-9a-f]{16}){0,15}")


def name_of(pepper: bytes) -> bytes:
    """The same for all workers of a gateway, and in each of its lives; it tells nothing of the pepper."""
    return hashlib.blake2b(b"hop", key=pepper, digest_size=8).hexdigest().encode()


def check(head: RequestHead, own: bytes) -> None:
    """Raises GatewayError (508) for a call that came through this gateway before."""
    if own in head.fields.get(FIELD, b""):
        raise GatewayError(
            "This call came from this very gateway: a provider's base URL leads back to it. Look at base_url in "
            "config.yaml, and at variables such as OPENAI_BASE_URL in the gateway's environment.",
            code="loop_detected",
            status=508,
        )


def field(head: RequestHead, own: bytes) -> Header:
    """The field for the next one: the gateways before, if that is what they are, and this one."""
    before = head.fields.get(FIELD, b"")
    return FIELD, b"%s, %s" % (before, own) if _NAMES.fullmatch(before) else own
