"""A provider key as it lies in the database: sealed under a master key, by AES-256-GCM with a random nonce of 96 bits.

What a row says of its key (whose provider's it is, for which project, its id, its version) is authenticated with it: a
row that was moved to another place, or brought back from before, cannot be opened there.
"""

import os
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatvault.core.secrets import Secret
from chatvault.vault.master import MasterKey

_NONCE: Final = 12
_FORMAT: Final = "chatvault provider key 1"


class Seat(msgspec.Struct, frozen=True):
    """The place that a sealed key belongs to. `version` counts how often it was sealed."""

    provider: str
    project: str | None
    key_id: str
    version: int


class Sealed(msgspec.Struct, frozen=True):
    master_id: str
    nonce: bytes
    text: bytes


def seal(master: MasterKey, seat: Seat, key: Secret) -> Sealed:
    nonce = os.urandom(_NONCE)
    text = AESGCM(master.key).encrypt(nonce, key.reveal().encode(), _associated(seat))
    return Sealed(master.id, nonce, text)


def unseal(master: MasterKey, seat: Seat, sealed: Sealed) -> Secret:
    """Raises ValueError where it was not sealed under this master key for this seat, or was changed since."""
    try:
        text = AESGCM(master.key).decrypt(sealed.nonce, sealed.text, _associated(seat))
    except (InvalidTag, ValueError):  # ValueError: a nonce of another length
        raise ValueError("it was changed, or moved here from another row") from None
    return Secret(text.decode())


def _associated(seat: Seat) -> bytes:
    """Without two seats that look alike."""
    return msgspec.json.encode([_FORMAT, seat.provider, seat.project or "", seat.key_id, seat.version])
