from typing import Any

import pytest

from chatvault.audit.lines import Closed, Refused
from chatvault.core.usage import Usage
from chatvault.ledger.batch import Entry
from chatvault.ledger.rows import values
from chatvault.ledger.schema import usage_logs
from tests.ledger.entries import AT, closed, refused


def row(line: Closed | Refused, error: str | None = None, metadata: str | None = None) -> dict[str, Any]:
    names = [column.name for column in usage_logs.columns]
    return dict(zip(names, values(Entry("w1", line, error, metadata)), strict=True))


def test_a_closed_call_fills_every_column() -> None:
    assert row(closed("c1", bound=99, code="late"), "boom", '{"a":1}') == {
        "id": "c1",
        "timestamp": AT,
        "user_id": "usr_a",
        "project_id": "prj_a",
        "token_id": "tok_a",
        "model_name": "fast",
        "model_resolved": "echo-2",
        "provider": "fake",
        "endpoint": "chat",
        "status_code": 200,
        "state": "completed",
        "input_tokens": 100,
        "cached_tokens": 40,
        "cache_write_tokens": 7,
        "output_tokens": 50,
        "reasoning_tokens": 20,
        "usage_source": "provider",
        "cost": 1234,
        "cost_source": "prices",
        "cost_bound": 99,
        "price_version": "p1",
        "latency_ms": 901,
        "ttft_ms": 12,
        "attempts": 2,
        "calls": 1,
        "stream": 1,
        "finish_reason": "stop",
        "error_code": "late",
        "error_details": "boom",
        "request_metadata": '{"a":1}',
        "trace_id": "f" * 32,
        "upstream_id": "up-1",
        "chain": "w1",
        "seq": 7,
    }


def test_what_is_unknown_is_null_and_never_zero() -> None:
    line = closed(
        "c1",
        usage=None,
        usage_source="unknown",
        cost=None,
        cost_source="unknown",
        ttft_us=None,
        resolved=None,
    )
    found = row(line)
    unknown = (
        "input_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost",
        "ttft_ms",
    )
    assert [found[name] for name in unknown] == [None] * 7
    assert (found["cost_source"], found["usage_source"]) == ("unknown", "unknown")
    assert found["model_resolved"] == "fake/echo"


def test_a_refused_line_stands_for_its_calls_and_cost_nothing() -> None:
    found = row(refused("r1", count=40))
    assert (found["state"], found["calls"], found["attempts"], found["error_code"]) == (
        "refused",
        40,
        0,
        "bad_token",
    )
    assert (found["cost"], found["cost_source"], found["input_tokens"], found["provider"]) == (
        0,
        "free",
        None,
        None,
    )
    assert (found["timestamp"], found["latency_ms"]) == (AT, None)


@pytest.mark.parametrize("nonsense", [2**63, 10**30, -1])
def test_a_count_beyond_64_bits_is_unknown_and_the_others_stay(nonsense: int) -> None:
    found = row(closed("c1", usage=Usage(input=nonsense, output=5)))
    assert (found["input_tokens"], found["output_tokens"]) == (None, 5)


def test_money_beyond_64_bits_is_unknown() -> None:
    found = row(closed("c1", cost=2**63, bound=2**70))
    assert (found["cost"], found["cost_source"], found["cost_bound"]) == (None, "unknown", None)
    assert row(closed("c1", cost=2**63 - 1))["cost"] == 2**63 - 1
