"""Whether a line is the one that follows, and what of it matters. This runs for every line of the journal,
so it looks at bytes and decodes only what makes a row: checking a line takes about a microsecond, most of
it for SHA-256."""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec

from chatvault.audit.frame import TAIL
from chatvault.audit.lines import FORMAT, ChainStarted, Closed, Counted, Priced, Refused, Sealed

Known = Closed | Counted | Refused | Priced | Sealed | ChainStarted

_DECODE: Final[dict[bytes, Callable[[bytes], Known]]] = {
    b"closed": msgspec.json.Decoder(Closed).decode,
    b"counted": msgspec.json.Decoder(Counted).decode,
    b"refused": msgspec.json.Decoder(Refused).decode,
    b"price": msgspec.json.Decoder(Priced).decode,
    b"sealed": msgspec.json.Decoder(Sealed).decode,
    b"chain": msgspec.json.Decoder(ChainStarted).decode,
}


class _Link(msgspec.Struct, gc=False):
    type: str
    at: int
    seq: int = 0
    prev: str = ""


_link = msgspec.json.Decoder(_Link).decode


class Damage(Exception):
    """The line is not what the chain has there; the text says why."""


def check(text: bytes, seq: int, prev: bytes) -> tuple[bytes, Known | None]:
    """The digest of a line (without its newline), which has to be number `seq` and to follow the line with
    the digest `prev`; and its value, None for a kind that makes nothing. A kind that is not known comes
    from a newer version, and makes nothing either. Raises Damage."""
    # The line as it was before it was framed: a line may have a member of its own that is called `digest`.
    body = text[:-TAIL] + b"}"
    made = sha256(body).hexdigest().encode()
    if not text.endswith(b',"digest":"%b"}' % made):
        raise Damage("the line was changed: its digest does not fit")
    # As our own writer has it: {"type":"closed","seq":7,"prev":"...
    quote = body.find(b'"', 9)
    kind = body[9:quote]
    due = b'","seq":%d,"prev":"%b",' % (seq, prev)
    if not body.startswith(b'{"type":"') or not body.startswith(due, quote):
        kind = _linked(body, seq, prev)
    decode = _DECODE.get(kind)
    if decode is None:
        return made, None
    try:
        return made, decode(body)
    except msgspec.MsgspecError as error:
        raise Damage(f"the line cannot be read: {error}") from error


def begins(line: ChainStarted, chain: str) -> None:
    """Raises Damage unless this is the first line of `chain`, in a format that is known."""
    if line.seq != 1 or line.chain != chain:
        raise Damage(f"the line begins another chain, {line.chain!r}")
    if line.format > FORMAT:
        raise Damage(f"the chain has format {line.format}, of a newer version of chatvault: upgrade")


def time_of(text: bytes) -> int | None:
    """When a line was written, microseconds since the epoch; None if it does not say."""
    try:
        return _link(text).at
    except msgspec.MsgspecError:
        return None


def _linked(body: bytes, seq: int, prev: bytes) -> bytes:
    """The kind of a line that is spaced or ordered otherwise, such as the first, which has no `prev`."""
    try:
        link = _link(body)
    except msgspec.MsgspecError as error:
        raise Damage(f"the line cannot be read: {error}") from error
    if link.seq != seq:
        raise Damage(f"the line has number {link.seq} where {seq} is due: lines were removed, added or moved")
    if link.prev.encode() != prev:
        raise Damage(f"line {seq} does not follow the line before it")
    return link.type.encode()
