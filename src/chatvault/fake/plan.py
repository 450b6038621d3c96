"""A plan: everything about an answer that a fault may change."""

from typing import Literal

import msgspec

Ending = Literal["normal", "close", "reset", "stall"]
UsageMode = Literal["normal", "none", "null", "unasked", "last-chunk", "every-chunk"]
Replaced = Literal["", "html", "garbage", "empty", "not-http", "redirect"]
Length = Literal["", "short", "long", "two", "none"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How one request is answered. The default is a healthy answer."""

    name: str = ""
    """The plain model name, empty when the model named nothing but faults."""

    # What the answer holds.
    events: int | None = None
    """How many content deltas (and so tokens) the answer has; None lets the answer's text decide."""
    event_kib: int = 0
    size_kib: int = 0
    cached: int | None = None
    reasoning: int | None = None
    surrogate: bool = False
    usage: UsageMode = "normal"
    done: bool = True
    finish: bool = True

    # What stands in its place.
    status: int = 0
    """An HTTP status to fail with; 0 does not."""
    retry_after: int | None = None
    fail_first: int = 0
    replaced: Replaced = ""
    error_after: int | None = None
    garbage_after: int | None = None
    truncated: bool = False

    # How the events are written.
    eol: bytes = b"\n"
    space: bool = True
    pings: bool = False
    bom: bool = False
    many_lines: bool = False

    # How HTTP carries it.
    length: Length = ""
    encoding: Literal["", "gzip", "deflate", "gzip-corrupt"] = ""
    bomb_mib: int = 0
    chunk: int = 0
    bad_chunk: bool = False
    trailers: bool = False
    split: int = 0
    early_hints: bool = False
    version: Literal["1.0", "1.1"] = "1.1"
    surplus: bool = False
    say_close: bool = False
    content_type: bool = True
    header_kib: int = 0
    set_cookie: bool = False

    # When, and how it ends.
    pace_ms: float | None = None
    first_byte_ms: int = 0
    body_ms: int = 0
    end_after: int | None = None
    """Events of a stream (bytes of a whole body) after which `ending` happens; None is after the last."""
    ending: Ending = "normal"
    if_reused: bool = False
    """`ending` happens only to a request that is not the first on its connection."""
