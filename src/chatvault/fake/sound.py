"""WAV: writing a tone, and reading how long one lasts."""

import math
import struct
from array import array

RATE = 8000
"""Samples a second: one channel of 16 bits."""


def tone(seconds: float, hertz: float) -> bytes:
    """The samples of a sine tone, without a header."""
    period = max(2, round(RATE / hertz))
    wave = array("h", (round(8000 * math.sin(2 * math.pi * i / period)) for i in range(period)))
    count = int(RATE * seconds)
    return (wave * (count // period + 1))[:count].tobytes()


def wav(samples: bytes) -> bytes:
    """`samples` with the header of a WAV file."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(samples), b"WAVE")
        + form
        + b"data"
        + struct.pack("<I", len(samples))
        + samples
    )


def seconds(content: bytes) -> float:
    """How long a WAV file lasts; of anything else, one second for every 16,000 bytes begun."""
    if content[:4] == b"RIFF" and len(content) >= 44:
        bytes_a_second = int.from_bytes(content[28:32], "little")
        return (len(content) - 44) / max(1, bytes_a_second)
    return float(-(-len(content) // 16_000))
