"""Batches to apply."""

from typing import Any

from chatvault.audit.lines import Closed, Priced, Refused
from chatvault.core.usage import Usage
from chatvault.ledger.batch import Batch, Entry, Position

AT = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z."""


def closed(id: str, **changes: Any) -> Closed:
    values: dict[str, Any] = {
        "seq": 7,
        "at": AT + 900_000,
        "id": id,
        "opened_at": AT,
        "state": "completed",
        "status": 200,
        "token": "tok_a",
        "project": "prj_a",
        "user": "usr_a",
        "endpoint": "chat",
        "model": "fast",
        "provider": "fake",
        "target": "fake/echo",
        "resolved": "echo-2",
        "stream": True,
        "attempts": 2,
        "usage": Usage(input=100, cached=40, cache_write=3, cache_write_1h=4, output=50, reasoning=20),
        "usage_source": "provider",
        "cost": 1234,
        "cost_source": "prices",
        "price": "p1",
        "latency_us": 900_600,
        "ttft_us": 12_400,
        "finish": "stop",
        "trace": "f" * 32,
        "upstream_id": "up-1",
    }
    return Closed(**{**values, **changes})


def refused(id: str, **changes: Any) -> Refused:
    values: dict[str, Any] = {
        "seq": 8,
        "at": AT,
        "id": id,
        "status": 401,
        "code": "bad_token",
        "endpoint": "chat",
    }
    return Refused(**{**values, **changes})


def batch(*lines: Closed | Refused, chain: str = "w1", prices: list[Priced] | None = None) -> Batch:
    entries = [Entry(chain, line) for line in lines]
    return Batch(entries, prices or [], [Position(chain, 1, 100, len(lines), "d")], len(lines), 100)
