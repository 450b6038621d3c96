"""Frames: four bytes of length (big-endian), then the message. Sans-IO."""

from typing import Generic, TypeVar

import msgspec

MAX_FRAME = 16 << 20
_encode = msgspec.json.Encoder().encode

Message = TypeVar("Message")


def frame(message: msgspec.Struct) -> bytes:
    """The bytes of one message."""
    body = _encode(message)
    return len(body).to_bytes(4) + body


class Frames(Generic[Message]):
    """Bytes in, messages out, however the bytes were cut."""

    def __init__(self, decoder: "msgspec.json.Decoder[Message]") -> None:
        self._decode = decoder.decode
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole now. Raises ValueError (msgspec's errors are ones) for what is no
        message."""
        buffer = self._buffer
        buffer += data
        messages, at = [], 0
        while len(buffer) - at >= 4:
            size = int.from_bytes(buffer[at : at + 4])
            if size > MAX_FRAME:
                raise ValueError(f"a frame of {size} bytes is over the limit of {MAX_FRAME}")
            if len(buffer) - at - 4 < size:
                break
            messages.append(self._decode(bytes(buffer[at + 4 : at + 4 + size])))
            at += 4 + size
        del buffer[:at]
        return messages
