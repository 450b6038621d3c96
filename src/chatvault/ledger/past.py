"""What tokens, users and projects used within spans that end now, in parts: for windows that go on after a restart."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select

from chatvault.access.limits import USUAL_OUTPUT, Scope
from chatvault.access.past import GRAINS, Past, Span, Used
from chatvault.ledger.schema import usage_logs

_MICRO: Final = 1_000_000
_calls = usage_logs.c
_SUBJECTS: Final[Mapping[Scope, ColumnElement[str]]] = {
    "token": _calls.token_id,
    "user": _calls.project_id.op("||")("/").op("||")(_calls.user_id),
    "project": _calls.project_id,
}
_TOLD: Final = or_(_calls.input_tokens.is_not(None), _calls.output_tokens.is_not(None))
_TOKENS: Final = case(
    (_TOLD, func.coalesce(_calls.input_tokens, 0) + func.coalesce(_calls.output_tokens, 0)),
    else_=USUAL_OUTPUT,
)


def past_of(
    connection: Connection,
    scope: Scope,
    subjects: Mapping[str, Mapping[str, set[int]]],
    before: int,
    now: int,
) -> list[Past]:
    """`subjects` are those of rows: each counts for others, or for itself, within spans of so many seconds. Only calls
    that began before `before`; those that were refused do not count."""
    counted: dict[str, dict[int, dict[int, Used]]] = {}
    for seconds in sorted(
        {span for owners in subjects.values() for spans in owners.values() for span in spans}
    ):
        whose = {
            row: [owner for owner, spans in owners.items() if seconds in spans]
            for row, owners in subjects.items()
        }
        query = _query(
            scope, [row for row, owners in whose.items() if owners], now - seconds * _MICRO, before, now
        )
        for row, part, at, calls, tokens in connection.execute(query):
            for owner in whose[row]:
                parts = counted.setdefault(owner, {}).setdefault(seconds, {})
                used = parts.get(part, Used(0, 0, 0))
                parts[part] = Used(max(used.at, at), used.calls + calls, used.tokens + int(tokens))
    return [
        Past(scope, owner, tuple(Span(seconds, _ordered(parts.values())) for seconds, parts in spans.items()))
        for owner, spans in counted.items()
    ]


def _query(scope: Scope, rows: list[str], since: int, before: int, now: int) -> Select[Any]:
    subject = _SUBJECTS[scope]
    part = (_calls.timestamp - since) // max((now - since) // GRAINS, 1)
    return (
        select(subject, part, func.max(_calls.timestamp), func.sum(_calls.calls), func.sum(_TOKENS))
        .where(
            and_(_calls.timestamp > since, _calls.timestamp < before),
            _calls.state != "refused",
            subject.in_(rows),
        )
        .group_by(subject, part)
    )


def _ordered(parts: Iterable[Used]) -> tuple[Used, ...]:
    return tuple(sorted(parts, key=lambda used: used.at))
