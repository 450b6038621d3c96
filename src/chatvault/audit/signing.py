"""Signed statements: how far each chain had come at a time, said by whoever holds the key.

A statement's canonical text, which the signature covers, is ASCII with a newline after every line:

    chatvault journal heads 1
    number <number>
    at <microseconds since the epoch>
    <chain> <sequence number> <digest>      one line a chain, in ascending order of the chains' names

It stands in control's own chain as a `signed` line; the newest one also in `<data>/head.json`, outside the
journal's folder, so that somebody who puts an older journal in place is found out; and wherever `chatvault
audit head` was printed to.
"""

import re
from pathlib import Path

import msgspec

from chatvault.audit.heads import last_signed
from chatvault.audit.keys import PublicKey, SigningKey
from chatvault.audit.lines import Heads, Signed
from chatvault.audit.segments import chains
from chatvault.core.secrets import write_private

_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What `head.json` holds and `audit head` prints. Times are microseconds since the epoch, `signature` is
    hexadecimal."""

    number: int
    at: int
    heads: Heads
    key: str
    signature: str


def canonical(heads: Heads, at: int, number: int) -> bytes:
    """The text that is signed."""
    lines = ["chatvault journal heads 1", f"number {number}", f"at {at}"]
    lines += [f"{chain} {seq} {digest}" for chain, (seq, digest) in sorted(heads.items())]
    return "".join(f"{line}\n" for line in lines).encode()


class Signer:
    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @property
    def fingerprint(self) -> str:
        return self._key.public.fingerprint

    def sign(self, heads: Heads, at: int, number: int) -> Signed:
        """The line to append; `number` counts the statements of a data folder."""
        signature = self._key.sign(canonical(heads, at, number))
        return Signed(at=at, number=number, heads=heads, key=self.fingerprint, signature=signature.hex())


def is_genuine(said: Signed | Statement, keys: dict[str, PublicKey]) -> bool:
    """Whether one of these keys, by fingerprint, signed this."""
    key = keys.get(said.key)
    # Names and digests that hold blanks or newlines could make one text of two different statements.
    if key is None or not all(
        _NAME.match(name) and _DIGEST.match(head[1]) for name, head in said.heads.items()
    ):
        return False
    try:
        signature = bytes.fromhex(said.signature)
        text = canonical(said.heads, said.at, said.number)
    except ValueError:
        return False
    return key.verifies(signature, text)


def statement_of(line: Signed) -> Statement:
    return Statement(number=line.number, at=line.at, heads=line.heads, key=line.key, signature=line.signature)


def head_path(data: Path) -> Path:
    return data / "head.json"


def write_head(data: Path, line: Signed) -> None:
    """Keep the newest statement outside the journal. Raises OSError."""
    write_private(head_path(data), msgspec.json.encode(statement_of(line)) + b"\n")


def read_head(data: Path) -> Statement | None:
    """The statement in `head.json`; None if there is none. Raises OSError, and ValueError if it holds
    something else."""
    try:
        text = head_path(data).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(text, type=Statement)
    except msgspec.DecodeError as error:
        raise ValueError(f"{head_path(data)} holds no signed statement: {error}") from error


def head(data: Path) -> Statement | None:
    """The newest signed statement of a data folder, as `audit head` prints it; None if nothing was ever
    signed.

    What is kept outside the journal and what the journal says are compared by number. Raises OSError.
    """
    try:
        kept = read_head(data)
    except ValueError:
        kept = None
    line = newest_signed(data / "journal")
    if line is None or (kept is not None and kept.number >= line.number):
        return kept
    return statement_of(line)


def newest_signed(folder: Path, writer: str = "control") -> Signed | None:
    """The newest signed line in the journal: of the newest of control's lives that has one, and of any life
    that is not compressed yet."""
    newest: Signed | None = None
    for chain, segments in sorted(chains(folder).items(), reverse=True):
        if not chain.startswith(f"{writer}-"):
            continue
        if newest is not None and all(segment.compressed for segment in segments):
            continue
        line = last_signed(segments)
        if line is not None and (newest is None or line.number > newest.number):
            newest = line
    return newest
