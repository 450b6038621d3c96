"""The trace a call belongs to: W3C Trace Context, if the client sent one."""

import re
from typing import Final

_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NONE: Final = b"0" * 32


def trace_id(traceparent: bytes | None) -> str | None:
    """32 hexadecimal digits, None where the client sent none, or none that is valid."""
    if traceparent is None:
        return None
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1].decode() if match is not None and match[1] != _NONE else None
