"""Identifiers: sortable by time, safe in a header, a path and a file name."""

import os
import random
import time

_BITS = random.Random(os.urandom(32)).getrandbits


def new_id(now_ns: int | None = None) -> str:
    """A UUID version 7 without its dashes: 32 lower-case hexadecimal digits, sortable by creation time.

    It is a record's id, the `x-request-id` of the answer, and (16 bytes) a valid trace id. It is unique, not
    secret. `now_ns` is the time in nanoseconds since the epoch; the clock is asked when it is not given.
    """
    millis = (now_ns if now_ns is not None else time.time_ns()) // 1_000_000
    noise = _BITS(74)
    number = (millis << 80) | (7 << 76) | ((noise >> 62) << 64) | (2 << 62) | (noise & 0x3FFF_FFFF_FFFF_FFFF)
    return number.to_bytes(16).hex()


def short_id(prefix: str) -> str:
    """`prefix` and 20 random hexadecimal digits: the public id of a token, a chain, a project."""
    return f"{prefix}_{os.urandom(10).hex()}"
