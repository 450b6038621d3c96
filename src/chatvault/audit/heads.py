"""The heads of chains, read from the ends of their files alone."""

import gzip
import os
import zlib
from pathlib import Path

import msgspec

from chatvault.audit.frame import digest_made, digest_of
from chatvault.audit.lines import Heads, Signed
from chatvault.audit.segments import Segment, chains

_WINDOW = 1 << 16
_SIGNED = b'{"type":"signed",'


class _Seq(msgspec.Struct):
    seq: int


_decode_seq = msgspec.json.Decoder(_Seq).decode


def plain_heads(folder: Path) -> Heads:
    """The heads of all chains that have a segment which is not compressed yet. A torn last line does not
    count. Raises OSError."""
    heads: Heads = {}
    for chain, segments in chains(folder).items():
        if any(not segment.compressed for segment in segments):
            head = head_of(segments)
            if head is not None:
                heads[chain] = head
    return heads


def head_of(segments: list[Segment]) -> tuple[int, str] | None:
    """Sequence number and digest of a chain's last whole line; None if it has none."""
    for segment in reversed(segments):
        raw = last_line(segment)
        if raw is not None:
            digest = digest_of(raw)
            if digest is None or digest != digest_made(raw):
                return None
            try:
                return _decode_seq(raw).seq, digest
            except msgspec.DecodeError:
                return None
    return None


def last_line(segment: Segment) -> bytes | None:
    """The last whole line of a segment, newline included; None if it has none. Raises OSError."""
    try:
        if segment.compressed:
            with gzip.open(segment.path) as unpacked:
                return _last_of(unpacked.read())
        with open(segment.path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            window = _WINDOW
            while True:
                start = max(0, size - window)
                file.seek(start)
                tail = file.read(size - start)
                line = _last_of(tail)
                # A line that begins where the window does may be the end of a longer one.
                if start == 0 or (line is not None and not tail.startswith(line)):
                    return line
                window *= 8
    except FileNotFoundError:  # sealed and renamed, or removed, since the folder was listed
        return None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None


def _last_of(data: bytes) -> bytes | None:
    end = data.rfind(b"\n")
    if end < 0:
        return None
    return data[data.rfind(b"\n", 0, end) + 1 : end + 1]


def last_signed(segments: list[Segment]) -> Signed | None:
    """The last signed line of a chain; None if it has none. Raises OSError."""
    for segment in reversed(segments):
        try:
            packed = segment.path.read_bytes()
            data = gzip.decompress(packed) if segment.compressed else packed
        except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error):
            continue
        end = len(data)
        while (at := data.rfind(_SIGNED, 0, end)) >= 0:
            stop = data.find(b"\n", at) + 1
            if stop and (at == 0 or data[at - 1] == 10):
                try:
                    return msgspec.json.decode(data[at:stop], type=Signed)
                except msgspec.DecodeError:
                    pass
            end = at
    return None
