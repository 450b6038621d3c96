"""What was used within spans, by whom, from a real ledger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.access.limits import USUAL_OUTPUT
from chatvault.access.past import GRAINS, Past, Span, Used
from chatvault.core.usage import Usage
from chatvault.ledger.queries import LedgerQueries
from tests.ledger.entries import AT, closed, refused
from tests.ledger.test_queries import fill

SECOND = 1_000_000


@pytest.fixture
async def queries(tmp_path: Path) -> AsyncIterator[LedgerQueries]:
    found = LedgerQueries(tmp_path)
    yield found
    await found.close()


async def test_calls_count_within_each_span_for_themselves_and_for_others(
    tmp_path: Path, queries: LedgerQueries
) -> None:
    now = AT + 100 * SECOND
    await fill(
        tmp_path,
        closed("old", opened_at=AT),
        closed("one", opened_at=now - 50 * SECOND),
        closed("two", opened_at=now - 50 * SECOND + 1),
        closed("child", opened_at=now - 10 * SECOND, token="tok_b", usage=Usage(input=7)),
        closed("silent", opened_at=now - 5 * SECOND, token="tok_b", usage=None, usage_source="unknown"),
        closed("after", opened_at=now - SECOND),
        closed("stranger", opened_at=now - 50 * SECOND, token="tok_c"),
        refused("no", at=now - 50 * SECOND, token="tok_a"),
    )
    subjects = {"tok_a": {"tok_a": {60, 3600}}, "tok_b": {"tok_a": {60, 3600}, "tok_b": {60}}}
    found = {past.subject: past for past in await queries.past("token", subjects, now - SECOND, now)}
    late = (Used(now - 10 * SECOND, 1, 7), Used(now - 5 * SECOND, 1, USUAL_OUTPUT))
    assert found["tok_b"] == Past("token", "tok_b", (Span(60, late),))
    minute, hour = found["tok_a"].spans
    assert minute == Span(60, (Used(now - 50 * SECOND + 1, 2, 300), *late))
    assert (hour.seconds, sum(used.calls for used in hour.used), hour.used[0].at) == (3600, 5, AT)


async def test_a_user_is_one_of_a_project_and_parts_are_bounded(
    tmp_path: Path, queries: LedgerQueries
) -> None:
    now = AT + 60 * SECOND
    await fill(
        tmp_path,
        *(closed(f"c{n}", opened_at=AT + 1 + n * 100_000) for n in range(590)),
        closed("other", opened_at=AT + SECOND, project="prj_b"),
    )
    (user,) = await queries.past("user", {"prj_a/usr_a": {"prj_a/usr_a": {60}}}, now, now)
    (project,) = await queries.past("project", {"prj_a": {"prj_a": {60}}}, now, now)
    assert user.spans == project.spans
    (span,) = user.spans
    assert len(span.used) <= GRAINS
    assert sum(used.calls for used in span.used) == 590
    assert span.used == tuple(sorted(span.used, key=lambda used: used.at))
    assert await queries.past("project", {"prj_c": {"prj_c": {60}}}, now, now) == []
