"""A line's shape on disk: its JSON, with its own digest as the last member, and a newline.

    {"type":"opened","seq":2,"prev":"<64 hex>","at":...,...,"digest":"<64 hex>"}\\n

`digest` is the SHA-256 of the JSON object as it was before that member was added (so it covers `prev`, and
with it all lines before). Its member has a fixed width, which is why a reader finds it without parsing.
"""

from hashlib import sha256

import msgspec

from chatvault.audit.lines import AnyLine, Line

MEMBER = b',"digest":"'
TAIL = len(MEMBER) + 64 + len(b'"}')
"""Bytes of the digest's member with the closing brace, without the newline."""

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(AnyLine).decode


def frame(line: Line) -> tuple[bytes, str]:
    """The bytes to write, newline included, and the digest."""
    text = encode(line)
    digest = sha256(text).hexdigest()
    return b"".join((text[:-1], MEMBER, digest.encode(), b'"}\n')), digest


def digest_of(raw: bytes) -> str | None:
    """The digest that a line (newline included) says it has; None if it says none."""
    if len(raw) <= TAIL or raw[-TAIL - 1 : -67] != MEMBER or raw[-3:] != b'"}\n':
        return None
    try:
        return raw[-67:-3].decode("ascii")
    except UnicodeDecodeError:
        return None


def digest_made(raw: bytes) -> str:
    """The digest that a line (newline included) ought to have."""
    made = sha256(raw[: -TAIL - 1])
    made.update(b"}")
    return made.hexdigest()
