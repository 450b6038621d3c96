import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.audit.lines import Closed, Refused
from chatvault.core.errors import ClientError, Unavailable
from chatvault.core.usage import Usage
from chatvault.ledger.batch import Position
from chatvault.ledger.filter import Filter
from chatvault.ledger.place import ledger_place
from chatvault.ledger.queries import LedgerQueries
from chatvault.ledger.state import RecorderState, write_state
from chatvault.ledger.store import Ledger
from tests.ledger.entries import AT, batch, closed, refused

DAY = 86_400_000_000


async def fill(data: Path, *lines: Closed | Refused) -> None:
    def write() -> None:
        ledger = Ledger.open(ledger_place(data))
        ledger.apply(batch(*lines))
        ledger.close()

    await asyncio.to_thread(write)


@pytest.fixture
async def queries(tmp_path: Path) -> AsyncIterator[LedgerQueries]:
    found = LedgerQueries(tmp_path)
    yield found
    await found.close()


async def test_pages_go_back_in_time_without_gap_or_repeat(tmp_path: Path, queries: LedgerQueries) -> None:
    await fill(tmp_path, *(closed(f"c{n:02}", opened_at=AT + n // 3) for n in range(20)))
    seen: list[str] = []
    cursor = None
    while True:
        page = await queries.rows(limit=7, cursor=cursor)
        seen += [row["id"] for row in page.calls]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"c{n:02}" for n in reversed(range(20))]


async def test_filters_all_hold(tmp_path: Path, queries: LedgerQueries) -> None:
    await fill(
        tmp_path,
        closed("a"),
        closed("b", token="tok_b", model="slow", provider="other", project="p2", user="u2"),
        closed("c", state="stalled", opened_at=AT + 10),
    )

    async def found(which: Filter) -> list[str]:
        return sorted(row["id"] for row in (await queries.rows(which)).calls)

    assert await found(Filter(token="tok_b")) == ["b"]
    assert await found(Filter(model="fast")) == ["a", "c"]
    assert await found(Filter(model="fast", state="stalled")) == ["c"]
    assert (
        await found(Filter(provider="other"))
        == await found(Filter(project="p2"))
        == await found(Filter(user="u2"))
        == ["b"]
    )
    assert await found(Filter(since_us=AT + 10)) == ["c"]
    assert await found(Filter(until_us=AT + 10)) == ["a", "b"]


@pytest.mark.parametrize("cursor", ["", "x", "12", "-a", "1-", "9" * 30 + "-a", "१-a"])
async def test_a_cursor_nobody_gave_is_refused(tmp_path: Path, queries: LedgerQueries, cursor: str) -> None:
    await fill(tmp_path)
    with pytest.raises(ClientError) as caught:
        await queries.rows(cursor=cursor)
    assert caught.value.param == "cursor"


async def test_follow_shows_calls_as_they_end(tmp_path: Path, queries: LedgerQueries) -> None:
    await fill(tmp_path, closed("old"))
    news = await queries.follow()
    assert news.calls == []
    await fill(tmp_path, closed("late", opened_at=AT - 5), closed("new", opened_at=AT + 5), refused("no"))
    first = await queries.follow(after=news.after, limit=2)
    assert [row["id"] for row in first.calls] == ["late", "new"]
    second = await queries.follow(after=first.after)
    assert [row["id"] for row in second.calls] == ["no"]
    assert (await queries.follow(after=second.after)).calls == []
    assert "number" not in first.calls[0]


async def test_one_call_by_its_id(tmp_path: Path, queries: LedgerQueries) -> None:
    await fill(tmp_path, closed("a"))
    found = await queries.call("a")
    assert found is not None
    assert (found["id"], found["cost"]) == ("a", 1234)
    assert await queries.call("b") is None


async def test_sums_by_group(tmp_path: Path, queries: LedgerQueries) -> None:
    await fill(
        tmp_path,
        closed("a", cost=5),
        closed("b", cost=7, opened_at=AT + DAY),
        closed("c", cost=None, cost_source="unknown", bound=100, usage=None, state="interrupted"),
        closed("d", cost=None, cost_source="unknown", model="slow"),
        refused("e", count=9, model="slow"),
    )
    fast, slow = await queries.summary(["model"])
    assert (fast.group, slow.group) == ({"model": "fast"}, {"model": "slow"})
    assert (fast.calls, fast.failed, fast.uncounted, fast.cost) == (3, 1, 1, 12)
    assert (fast.unpriced, fast.bound, fast.unbounded) == (1, 100, 0)
    assert (fast.input_tokens, fast.cached_tokens, fast.cache_write_tokens) == (200, 80, 14)
    assert (fast.output_tokens, fast.reasoning_tokens) == (100, 40)
    assert (fast.first_us, fast.last_us) == (AT, AT + DAY)
    assert (slow.calls, slow.failed, slow.uncounted, slow.unpriced, slow.unbounded) == (10, 9, 0, 1, 1)
    days = await queries.summary(["day", "token"])
    assert {(s.group["day"], s.group["token"]): s.calls for s in days} == {
        ("2026-01-01", "tok_a"): 3, ("2026-01-02", "tok_a"): 1, ("2026-01-01", None): 9,
    }  # fmt: skip
    hours = await queries.summary(["hour"], Filter(since_us=AT + DAY))
    assert [(s.group, s.cost) for s in hours] == [({"hour": "2026-01-02T00"}, 7)]


async def test_sums_pass_64_bits_exactly(tmp_path: Path, queries: LedgerQueries) -> None:
    most = 2**63 - 1
    usage = Usage(input=most, output=most)
    await fill(tmp_path, *(closed(f"c{n}", cost=most, usage=usage, bound=most) for n in range(5)))
    (found,) = await queries.summary()
    assert (found.cost, found.input_tokens, found.output_tokens) == (5 * most, 5 * most, 5 * most)
    assert found.bound == 0


async def test_an_empty_ledger_sums_to_nothing(tmp_path: Path, queries: LedgerQueries) -> None:
    await fill(tmp_path)
    (found,) = await queries.summary()
    assert (found.calls, found.cost, found.group) == (0, 0, {})
    assert await queries.summary(["model"]) == []


async def test_an_unknown_group_is_refused(queries: LedgerQueries) -> None:
    with pytest.raises(ClientError, match="choose from model"):
        await queries.summary(["colour"])  # type: ignore[list-item]


async def test_positions_and_lag(tmp_path: Path, queries: LedgerQueries) -> None:
    await fill(tmp_path, closed("a"))
    assert await queries.positions() == {"w1": Position("w1", 1, 100, 1, "d")}
    assert await queries.lag() is None
    state = RecorderState(at=1, bytes_behind=0, lines_behind=0, seconds_behind=0.0, lines=5, error="full")
    await asyncio.to_thread(write_state, tmp_path, state)
    assert await queries.lag() == state


async def test_no_ledger_is_503_and_not_made(tmp_path: Path, queries: LedgerQueries) -> None:
    with pytest.raises(Unavailable, match="not there yet") as caught:
        await queries.rows()
    assert (caught.value.code, caught.value.http_status) == ("ledger_missing", 503)
    assert not (tmp_path / "chatvault.db").exists()


async def test_a_damaged_ledger_is_503(tmp_path: Path, queries: LedgerQueries) -> None:
    (tmp_path / "chatvault.db").write_bytes(b"x" * 5000)
    with pytest.raises(Unavailable, match="Move or delete it") as caught:
        await queries.summary()
    assert caught.value.code == "ledger_corrupt"


async def test_a_ledger_that_was_rebuilt_is_seen_at_once(tmp_path: Path, queries: LedgerQueries) -> None:
    await fill(tmp_path, closed("a"))
    assert await queries.call("a") is not None
    for path in tmp_path.glob("chatvault.db*"):
        path.unlink()
    await fill(tmp_path, closed("b"))
    assert await queries.call("a") is None
    assert await queries.call("b") is not None
