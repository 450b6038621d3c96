"""AWS's binary event streams: messages of typed headers and a payload, each with a checksum of its lengths and one of
all of it. Sans-IO.

    total length (4)  headers' length (4)  CRC-32 of both (4)  headers  payload  CRC-32 of all before (4)

https://smithy.io/2.0/aws/amazon-eventstream.html (2026-11). Both checksums are checked; the first one before a byte
more is waited for, so that no broken length is believed.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from zlib import crc32

import msgspec

from chatvault.wire.hub.dialect import StreamBroken

Value = bool | int | str | bytes
_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_FRAME: Final = _PRELUDE.size + _CRC.size
MAX_HEADERS: Final = 128 << 10
MAX_PAYLOAD: Final = 24 << 20
_NUMBERS: Final = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
}
"""By type: a byte, a short, an integer, a long, a time in milliseconds."""
_BYTES, _TEXT, _UUID = 6, 7, 9
_LENGTH: Final = struct.Struct(">H")
_REMEMBERED: Final = 512
"""Bytes of headers that are remembered as they were read: those of one stream are nearly all the same."""


class Message(msgspec.Struct, frozen=True, gc=False):
    headers: Mapping[str, Value]
    payload: bytes

    def text(self, name: str) -> str:
        """A header that is a text; empty where it is none."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class MessageReader:
    """Bytes in, messages out, however the bytes were cut. `partial` is whether a message has begun and is not whole."""

    __slots__ = ("_begun", "_buffer", "_checked")

    def __init__(self) -> None:
        self._begun = False
        self._buffer = bytearray()
        self._checked = False
        """The lengths at the buffer's beginning are known to be right."""

    @property
    def partial(self) -> bool:
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """Raises ValueError for what is no such stream, and StreamBroken for one that was, so far."""
        buffer = self._buffer
        buffer += data
        found: list[Message] = []
        at = 0
        try:
            while len(buffer) - at >= _PRELUDE.size:
                total, headers, _ = _PRELUDE.unpack_from(buffer, at)
                if not self._checked:
                    _check_lengths(buffer, at)
                    self._checked = True
                if len(buffer) - at < total:
                    break
                found.append(_message(bytes(buffer[at : at + total]), headers))
                self._checked = False
                at += total
        except ValueError as error:
            if self._begun or found:
                raise StreamBroken(str(error)) from None
            raise
        finally:
            del buffer[:at]
        self._begun = self._begun or bool(found)
        return found


def _check_lengths(buffer: bytearray, at: int) -> None:
    total, headers, crc = _PRELUDE.unpack_from(buffer, at)
    if crc32(buffer[at : at + 8]) != crc:
        raise ValueError("a message of the event stream has lengths that do not match their checksum")
    if headers > MAX_HEADERS or total < headers + _FRAME or total - headers - _FRAME > MAX_PAYLOAD:
        raise ValueError("a message of the event stream has lengths that no message has")


def _message(whole: bytes, headers: int) -> Message:
    end = len(whole) - _CRC.size
    if crc32(memoryview(whole)[:end]) != _CRC.unpack_from(whole, end)[0]:
        raise ValueError("a message of the event stream does not match its checksum")
    split = _PRELUDE.size + headers
    read = _remembered if headers <= _REMEMBERED else _headers
    return Message(read(whole[_PRELUDE.size : split]), whole[split:end])


def _headers(data: bytes) -> Mapping[str, Value]:
    found: dict[str, Value] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end].decode(), data[name_end]
            value, at = _value(data, name_end + 1, kind)
            if not name or name in found:
                raise ValueError("a header of the event stream has no name, or that of another")
            found[name] = value
    except (IndexError, struct.error, UnicodeDecodeError):
        raise ValueError("the headers of a message of the event stream cannot be read") from None
    return found


_remembered = lru_cache(maxsize=64)(_headers)


def _value(data: bytes, at: int, kind: int) -> tuple[Value, int]:
    """The value of a header, and where the next one begins."""
    if kind in (0, 1):
        return kind == 0, at
    if kind in _NUMBERS:
        number = _NUMBERS[kind]
        return number.unpack_from(data, at)[0], at + number.size
    if kind == _UUID:
        size = 16
    elif kind in (_BYTES, _TEXT):
        size = _LENGTH.unpack_from(data, at)[0]
        at += _LENGTH.size
    else:
        raise ValueError(f"a header of the event stream is of the unknown type {kind}")
    value = data[at : at + size]
    if len(value) != size:
        raise ValueError("a header of the event stream is longer than all of them")
    return value.decode() if kind == _TEXT else value, at + size
