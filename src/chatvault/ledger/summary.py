"""What many calls used and cost, in groups. The sums are exact, and cannot overflow the database's 64
bits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

import msgspec
from sqlalchemy import ColumnElement, Row, Select, case, func, literal_column, select

from chatvault.ledger.filter import Filter
from chatvault.ledger.schema import usage_logs

Dimension = Literal[
    "model", "resolved", "provider", "token", "project", "user", "endpoint", "state",
    "usage_source", "cost_source", "day", "hour",
]  # fmt: skip
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`group` has a value for each dimension asked for: None where the calls have none; a day as
    `2026-01-31`, an hour as `2026-01-31T17`, both UTC.

    `cost` is what is known, in pico-dollars; `unpriced` calls beside have an unknown cost. `bound` is the
    most these may have cost, as far as a bound is known: `unbounded` of them have none.
    """

    group: dict[str, str | None]
    calls: int
    failed: int
    """Calls that did not end as `completed`."""
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    uncounted: int
    """Calls whose tokens are unknown, refused ones left out."""
    cost: int
    unpriced: int
    bound: int
    unbounded: int
    first_us: int
    last_us: int


_DAY: Final = 86_400_000_000
_HOUR: Final = 3_600_000_000
_BASE: Final = 10**9
_SPLIT: Final = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost",
    "bound",
)
_C: Final = usage_logs.c

_GROUPS: Final[dict[Dimension, ColumnElement[Any]]] = {
    "model": _C.model_name,
    "resolved": _C.model_resolved,
    "provider": _C.provider,
    "token": _C.token_id,
    "project": _C.project_id,
    "user": _C.user_id,
    "endpoint": _C.endpoint,
    "state": _C.state,
    "usage_source": _C.usage_source,
    "cost_source": _C.cost_source,
    "day": _C.timestamp // _DAY,
    "hour": _C.timestamp // _HOUR,
}


def summary_query(group_by: Sequence[Dimension], which: Filter, limit: int) -> Select[Any]:
    """The groups with the highest cost first. Each sum is taken of the value's thousand-millions and of
    its remainder: neither can pass 64 bits below nine thousand million rows, whatever a provider says it
    counted."""
    unpriced = _C.cost.is_(None)
    bound = case((unpriced, _C.cost_bound))
    columns: list[ColumnElement[Any]] = [_GROUPS[name].label(f"group_{name}") for name in group_by]
    columns += [
        func.sum(_C.calls).label("calls"),
        _calls_where(_C.state != "completed").label("failed"),
        _calls_where(_C.input_tokens.is_(None) & (_C.state != "refused")).label("uncounted"),
        _calls_where(unpriced).label("unpriced"),
        _calls_where(unpriced & _C.cost_bound.is_(None)).label("unbounded"),
        func.min(_C.timestamp).label("first_us"),
        func.max(_C.timestamp).label("last_us"),
    ]
    for name in _SPLIT:
        value = bound if name == "bound" else _C[name]
        columns.append(func.coalesce(func.sum(value // _BASE), 0).label(f"{name}_high"))
        columns.append(func.coalesce(func.sum(value % _BASE), 0).label(f"{name}_low"))
    query = select(*columns).where(*which.conditions())
    if group_by:
        query = query.group_by(*(literal_column(f"group_{name}") for name in group_by))
    order: list[ColumnElement[Any]] = [
        literal_column("cost_high").desc(),
        literal_column("cost_low").desc(),
        literal_column("calls").desc(),
    ]
    return query.order_by(*order, *(literal_column(f"group_{name}") for name in group_by)).limit(limit)


def summary_of(group_by: Sequence[Dimension], row: Row[Any]) -> Summary:
    found = row._mapping
    return Summary(
        group={name: _text(name, found[f"group_{name}"]) for name in group_by},
        **{name: found[f"{name}_high"] * _BASE + found[f"{name}_low"] for name in _SPLIT},
        **{
            name: found[name] or 0
            for name in ("calls", "failed", "uncounted", "unpriced", "unbounded", "first_us", "last_us")
        },
    )


def _calls_where(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.sum(case((condition, _C.calls), else_=0))


def _text(dimension: Dimension, value: str | int | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if dimension == "day":
        return datetime.fromtimestamp(value * 86_400, UTC).strftime("%Y-%m-%d")
    return datetime.fromtimestamp(value * 3_600, UTC).strftime("%Y-%m-%dT%H")
