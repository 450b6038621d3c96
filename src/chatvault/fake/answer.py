"""What a route answers, before HTTP and the faults have their way with it."""

from typing import Literal

import msgspec

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"
Framing = Literal["sse", "raw", "lines", "array", "open-array"]
"""How pieces follow each other: as server-sent events, as they are, a line each, or as the elements of one JSON array,
which in `open-array` is never closed."""


class Event(msgspec.Struct, frozen=True):
    """One event of a stream: data (JSON, `[DONE]`, or raw bytes), name, and whether it carries content."""

    data: bytes
    name: str = ""
    delta: bool = False


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A whole body."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A body in pieces.

    `broken` are the events that tell an error in the stream's own dialect.
    """

    events: tuple[Event, ...]
    broken: tuple[Event, ...] = ()
    framing: Framing = "sse"
    content_type: str = EVENTS


Answer = Whole | Stream


def json_answer(value: object, status: int = 200) -> Whole:
    """A whole answer that holds `value` as JSON."""
    return Whole(body=msgspec.json.encode(value), status=status)


def json_event(value: object, name: str = "", *, delta: bool = False) -> Event:
    """An event that holds `value` as JSON."""
    return Event(msgspec.json.encode(value), name, delta)
