"""Master keys: what provider keys are sealed under. They never lie in the database.

A text holds one or several, 32 bytes each in hexadecimal or base64, parted by blanks, commas or line ends; what
follows a `#` is a comment. The first one seals, all of them open: so one follows another without a moment in which
something cannot be opened.
"""

import base64
import hashlib
import os
import re
from typing import Final

import msgspec

SIZE: Final = 32
"""Bytes: AES-256."""
_DOMAIN: Final = b"chatvault master key\0"
_COMMENT: Final = re.compile(r"#.*")
_BREAKS: Final = re.compile(r"[\s,]+")


class MasterKey(msgspec.Struct, frozen=True):
    """`id` tells master keys apart and nothing about them: part of a digest over 256 random bits."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"MasterKey({self.id!r}, ...)"  # not the key


def master_key(key: bytes) -> MasterKey:
    if len(key) != SIZE:
        raise ValueError(f"a master key is {SIZE} bytes, in hexadecimal or base64")
    return MasterKey("mk_" + hashlib.sha256(_DOMAIN + key).hexdigest()[:16], key)


def new_master_key() -> MasterKey:
    return master_key(os.urandom(SIZE))


def parse_master_keys(text: str) -> tuple[MasterKey, ...]:
    """Those that a text holds, the one that seals first. Raises ValueError, which shows nothing of the text."""
    words = _BREAKS.split(_COMMENT.sub("", text))
    return tuple(dict.fromkeys(_parsed(word) for word in words if word))


def written(keys: tuple[MasterKey, ...]) -> bytes:
    """The text of a file that holds these."""
    lines = [f"{key.key.hex()}  # {key.id}\n" for key in keys]
    return "".join(["# Master keys of chatvault: the first seals, all open.\n", *lines]).encode()


def _parsed(word: str) -> MasterKey:
    if re.fullmatch(rf"[0-9A-Fa-f]{{{2 * SIZE}}}", word):
        return master_key(bytes.fromhex(word))
    try:
        plain = word.replace("-", "+").replace("_", "/").rstrip("=")
        return master_key(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except ValueError:
        raise ValueError(f"a master key is {SIZE} bytes, in hexadecimal or base64") from None
