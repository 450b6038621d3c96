"""Client tokens: opaque, prefixed so that secret scanners know them, with a checksum so that a slip is told
from a guess."""

import hashlib
import os
import re
import zlib
from typing import Final
from urllib.parse import unquote_to_bytes

PREFIX = "cv-"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET, _CHECK = 32, 6
LENGTH = len(PREFIX) + _SECRET + _CHECK


def _base62(number: int, size: int) -> str:
    digits = []
    for _ in range(size):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_token() -> str:
    """`cv-`, 32 random characters (190 bits), and 6 that check them."""
    secret = _base62(int.from_bytes(os.urandom(32)), _SECRET)
    return PREFIX + secret + _check(secret.encode())


def _check(secret: bytes) -> str:
    return _base62(zlib.crc32(secret), _CHECK)


def well_formed(token: bytes) -> bool:
    """Whether this can be a token at all. Needs no secret, so it tells an attacker nothing."""
    return (
        len(token) == LENGTH
        and token.startswith(b"cv-")
        and token.isascii()
        and _check(token[len(PREFIX) : -_CHECK]).encode() == token[-_CHECK:]
    )


_LIKE: Final = re.compile(rb"\s*(?:bearer\s+)?cv-[0-9A-Za-z]", re.IGNORECASE)


def in_query(query: bytes, spare: bytes | None = None) -> bool:
    """Whether a parameter of a query string (with its question mark or without) holds what looks like a token, but for
    the one that is called `spare`. Addresses are kept in logs and histories, which is no place for a token."""
    if b"-" not in query and b"%" not in query:
        return False
    for part in re.split(rb"[&;]", query.removeprefix(b"?")):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        if name != spare and _LIKE.match(unquote_to_bytes(value or name)):
            return True
    return False


def digest(pepper: bytes, token: bytes) -> bytes:
    """The keyed digest (BLAKE2b, RFC 7693; 32 bytes) that a token is stored and looked up by."""
    return hashlib.blake2b(token, key=pepper, digest_size=32).digest()
