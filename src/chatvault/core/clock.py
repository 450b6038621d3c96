"""Time as the records tell it: integer microseconds since the epoch, UTC."""

import time
from datetime import UTC, datetime


def now_us() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def iso(at_us: int) -> str:
    """ISO 8601 with microseconds and a `Z`."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_iso(text: str) -> int:
    """Microseconds since the epoch of an ISO 8601 time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
