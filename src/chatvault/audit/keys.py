"""The key that signs the journal: Ed25519, made at the first start.

The secret half lies in `<data>/secrets/signing.key` (PEM, 0600); the public halves of all keys this data
folder ever had, the newest last, in `<data>/journal/signing.pub` (PEM). Only control comes here; cryptography
is imported when a key is used, nowhere else.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from chatvault.core.errors import JournalError
from chatvault.core.secrets import write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\n?")


class PublicKey:
    """`fingerprint`: `SHA256:` and the SHA-256 of the 32 bytes of the key, base64 for URLs, without
    padding."""

    def __init__(self, key: "Ed25519PublicKey") -> None:
        self._key = key
        digest = hashlib.sha256(key.public_bytes_raw()).digest()
        self.fingerprint = "SHA256:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def verifies(self, signature: bytes, text: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class SigningKey:
    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    def sign(self, text: bytes) -> bytes:
        return self._key.sign(text)


def secret_path(data: Path) -> Path:
    return data / "secrets" / "signing.key"


def public_path(data: Path) -> Path:
    return data / "journal" / "signing.pub"


def signing_key(data: Path) -> SigningKey:
    """The key of a data folder, made if there is none; its public half is published. Raises JournalError."""
    try:
        key = own_key(data)
        if key is None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

            fresh = Ed25519PrivateKey.generate()
            pem = fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_private(secret_path(data), pem)
            key = SigningKey(fresh)
        known = public_keys(data)
        if key.public.fingerprint not in known:
            blocks = [one.pem() for name, one in known.items() if name != key.public.fingerprint]
            write_private(public_path(data), b"".join([*blocks, key.public.pem()]))
    except OSError as error:
        what = f"The signing key in {data} cannot be used: {error.strerror or error}."
        raise JournalError(f"{what} Make the folder readable and writable for this user.") from error
    return key


def own_key(data: Path) -> SigningKey | None:
    """The key of a data folder; None if it has none. Raises JournalError if it is damaged, and OSError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = secret_path(data)
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        what = f"{path} is no private key in PEM form."
        raise JournalError(
            f"{what} Restore it, or remove it: then a new one is made, and old signatures stay."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise JournalError(f"{path} is not an Ed25519 key. Restore it, or remove it to have a new one made.")
    return SigningKey(key)


def public_keys(data: Path) -> dict[str, PublicKey]:
    """The published keys by fingerprint, oldest first; those that cannot be read are left out. Raises
    OSError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        pem = public_path(data).read_bytes()
    except FileNotFoundError:
        return {}
    found: dict[str, PublicKey] = {}
    for block in _BLOCK.findall(pem):
        try:
            key = load_pem_public_key(block)
        except ValueError:
            continue
        if isinstance(key, Ed25519PublicKey):
            public = PublicKey(key)
            found[public.fingerprint] = public
    return found
