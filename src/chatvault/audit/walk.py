"""A walk along one chain, for verification: every line looked at, none believed.

It finds what the chain itself can tell: lines that were edited, removed, put in another order, or cannot be
read. What others claim about the chain (and it about others) is collected for verify.py.
"""

import gzip
import zlib
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from chatvault.audit.findings import Finding
from chatvault.audit.frame import MEMBER, TAIL, decode
from chatvault.audit.lines import ChainStarted, Closed, Line, Opened, Private, Refused, Sealed, Signed
from chatvault.audit.segments import Segment, private_path, segment_path

_NOTHING = bytes(32)


class Said(NamedTuple):
    """A line that says something about chains, and where it stands."""

    file: str
    number: int
    line: ChainStarted | Signed | Sealed


class Walk:
    """After `along`: what was seen. Raises OSError for files that cannot be read."""

    def __init__(self, data: Path, chain: str) -> None:
        self.chain = chain
        self.findings: list[Finding] = []
        self.lines = 0
        self.torn = 0
        self.base = 0
        """The sequence number before the first line that is there: above 0 where the first segments are
        gone."""
        self.base_digest = ""
        self.first_bad: int | None = None
        """The first sequence number at which the chain is broken."""
        self.bounds: dict[int, tuple[int, int]] = {}
        """By segment: the sequence numbers of its first and last line, 0 for none."""
        self.files: dict[int, str] = {}
        """By segment: its file, as findings name it."""
        self.said: list[Said] = []
        self.private = 0
        self.erased = 0
        self._data = data
        self._digests = bytearray()
        self._prev: str | None = ""
        self._file = ""
        self._privates: bytes | None = None

    @property
    def last(self) -> int:
        """The sequence number of the last line."""
        return self.base + len(self._digests) // 32

    def digest(self, seq: int) -> str | None:
        """What the line with that number really digests to; None if it is not there."""
        at = (seq - self.base - 1) * 32
        digest = bytes(self._digests[at : at + 32]) if at >= 0 else b""
        return digest.hex() if digest and digest != _NOTHING else None

    def place(self, seq: int) -> tuple[str, int]:
        """The file and the line in it that has that sequence number, or the last one before it."""
        for number, (first, last) in sorted(self.bounds.items(), reverse=True):
            if first and first <= seq:
                return self.files[number], min(seq, last) - first + 1
        return f"journal/{self.chain}", 0

    def along(self, segments: list[Segment]) -> "Walk":
        for index, segment in enumerate(segments):
            content, self._file = self._content(segment)
            self.files[segment.number] = self._file
            self._privates = self._private_part(segment.number)
            before = self.last
            torn = self._lines(content)
            first = max(before, self.base) + 1
            self.bounds[segment.number] = (first, self.last) if self.last >= first else (0, 0)
            if torn and index + 1 < len(segments):
                self._bad(torn, "the segment ends in the middle of a line, yet there is a next one")
            elif torn:
                self.torn = 1
        self._privates = None
        return self

    def _content(self, segment: Segment) -> tuple[bytes, str]:
        # A segment may be sealed between the listing and the reading.
        for compressed in (segment.compressed, not segment.compressed):
            path = segment_path(segment.path.parent, self.chain, segment.number, compressed=compressed)
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            name = str(path.relative_to(self._data))
            if not compressed:
                return content, name
            try:
                return gzip.decompress(content), name
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                self._file = name
                self._bad(0, f"the compressed file is broken: {error}")
                return _salvaged(content), name
        return b"", str(segment.path.relative_to(self._data))

    def _private_part(self, number: int) -> bytes | None:
        try:
            return private_path(self._data / "journal", self.chain, number).read_bytes()
        except FileNotFoundError:
            return None

    def _lines(self, content: bytes) -> int:
        """Look at all lines of a segment; the number of the torn one at its end, 0 if there is none."""
        digests = self._digests
        number = 0
        for raw in content.splitlines(keepends=True):
            number += 1
            made = sha256(raw[: -TAIL - 1])
            made.update(b"}")
            if raw[-TAIL - 1 :] != MEMBER + made.hexdigest().encode() + b'"}\n':
                if not raw.endswith((b"\n", b"\r")):
                    return number
                if not self._altered(raw, number):
                    continue
            try:
                line = decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._bad(number, f"the line cannot be read: {error}")
                self._skip(made.digest())
                continue
            follows = line.seq == self.last + 1 and line.prev == self._prev
            if not follows and not self._link(line, number):
                continue
            digests += made.digest()
            self._prev = made.hexdigest()
            self.lines += 1
            if type(line) in _REFERS:
                self._look(line, number)
        return 0

    def _altered(self, raw: bytes, number: int) -> bool:
        """A digest that is not right: whether the line can be looked at all the same."""
        self._bad(number, "the line is not as it was written: its digest does not match")
        try:
            decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._skip(_NOTHING)
            return False
        return True

    def _skip(self, digest: bytes) -> None:
        self._digests += digest
        self._prev = None
        self.lines += 1

    def _link(self, line: Line, number: int) -> bool:
        """A line that does not follow the one before: say how. False if it is none of this place at all."""
        expected = self.last + 1
        if not self._digests and expected == 1 and line.seq > 1:
            # Whether the first segments were removed lawfully is for a signed stub to say.
            self.base = line.seq - 1
            self.base_digest = line.prev
        elif line.seq > expected:
            self._bad(number, f"lines {expected} to {line.seq - 1} are missing before line {line.seq}")
            self._digests += _NOTHING * min(line.seq - expected, 1 << 22)
        elif line.seq < expected:
            self._bad(number, f"line {line.seq} stands where line {expected} should: doubled or out of order")
            return False
        elif self._prev is not None and line.prev != self._prev:
            self._bad(number, f"line {line.seq} does not link to the line before it")
        return True

    def _bad(self, number: int, what: str) -> None:
        self.findings.append(Finding(self._file, number, what))
        if self.first_bad is None:
            self.first_bad = self.last + 1

    def _look(self, line: Line, number: int) -> None:
        if isinstance(line, ChainStarted):
            if line.seq != 1 or line.chain != self.chain:
                self._bad(number, f"the line starts the chain {line.chain}, which is not this one")
            self.said.append(Said(self._file, number, line))
        elif isinstance(line, Signed | Sealed):
            self.said.append(Said(self._file, number, line))
        elif isinstance(line, Opened | Closed | Refused):
            self._private(line.client, number)
            self._private(line.private, number)

    def _private(self, reference: Private | None, number: int) -> None:
        if reference is None:
            return
        part = self._privates
        raw = part[reference.at : reference.at + reference.size] if part is not None else b""
        if sha256(raw).hexdigest() == reference.digest:
            self.private += 1
        elif not raw.strip(b" ") or b"\0" in raw or len(raw) < reference.size:
            self.erased += 1
        else:
            self.findings.append(
                Finding(self._file, number, "the private part of this line is not as it was written")
            )


_REFERS = frozenset({ChainStarted, Signed, Sealed, Opened, Closed, Refused})


def _salvaged(content: bytes) -> bytes:
    """As much of a broken compressed file as can be unpacked."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    out = b""
    try:
        for at in range(0, len(content), 4096):
            out += unpack.decompress(content[at : at + 4096])
    except zlib.error:
        pass
    return out
