"""AWS's binary event streams, as a server writes them
(https://smithy.io/2.0/aws/amazon-eventstream.html, seen 2026-11)."""

import struct
from collections.abc import Mapping
from zlib import crc32

STREAM = "application/vnd.amazon.eventstream"
TEXT = 7


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message, whose headers are texts."""
    said = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    lengths = struct.pack(">II", 16 + len(said) + len(payload), len(said))
    whole = lengths + struct.pack(">I", crc32(lengths)) + said + payload
    return whole + struct.pack(">I", crc32(whole))


def event(name: str, payload: bytes) -> bytes:
    """An event of a stream, which is JSON."""
    return frame(_said("event", name), payload)


def exception(name: str, payload: bytes) -> bytes:
    """What ends a stream that failed."""
    return frame(_said("exception", name), payload)


def _said(kind: str, name: str) -> dict[str, str]:
    return {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}


def _header(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + bytes((TEXT,)) + struct.pack(">H", len(value)) + value
