"""What the provider has seen, so that a test can compare it with what is on record."""

import time
from collections import deque

import msgspec

MOST_KEPT = 100_000
"""Ids and aborts kept, each; beyond that the oldest are dropped, and counted as dropped."""


class Abort(msgspec.Struct, frozen=True):
    """A peer that left before its answer was out: when (seconds, time.monotonic), after how many events."""

    id: str
    at: float
    events_sent: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The counters at one moment; requests = completed + broken + aborted + in_flight."""

    requests: int
    completed: int
    broken: int
    aborted: int
    in_flight: int
    partial: int
    body_bytes: int
    connections: int
    dropped: int
    ids: list[str]
    aborts: list[Abort]


class Stats:
    """The counters. A request counts once it has come in full; the provider's own pages don't count."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Everything back to nothing, except what is in flight."""
        self.requests = self.in_flight
        self.completed = 0
        self.broken = 0
        """Answers that a fault ended early."""
        self.aborted = 0
        """Answers whose peer left."""
        self.partial = 0
        """Requests that ended before they were whole; not among `requests`."""
        self.body_bytes = 0
        self.connections = 0
        self.ids: deque[str] = deque(maxlen=MOST_KEPT)
        self.aborts: deque[Abort] = deque(maxlen=MOST_KEPT)
        self.ids_seen = 0

    def begin(self, marker: str | None, body_bytes: int) -> None:
        """A whole request is there."""
        self.requests += 1
        self.in_flight += 1
        self.body_bytes += body_bytes
        if marker is not None:
            self.ids.append(marker)
            self.ids_seen += 1

    def complete(self) -> None:
        """Its answer is written."""
        self.in_flight -= 1
        self.completed += 1

    def break_off(self) -> None:
        """Its answer was ended by a fault."""
        self.in_flight -= 1
        self.broken += 1

    def abort(self, marker: str | None, events_sent: int) -> None:
        """Its peer is gone."""
        self.in_flight -= 1
        self.aborted += 1
        self.aborts.append(Abort(marker or "", time.monotonic(), events_sent))

    def snapshot(self) -> Snapshot:
        """The counters now."""
        return Snapshot(
            requests=self.requests,
            completed=self.completed,
            broken=self.broken,
            aborted=self.aborted,
            in_flight=self.in_flight,
            partial=self.partial,
            body_bytes=self.body_bytes,
            connections=self.connections,
            dropped=self.ids_seen - len(self.ids),
            ids=list(self.ids),
            aborts=list(self.aborts),
        )
