"""The past of windows, told to workers: before the grant where the ledger is fast, later where it is not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from chatvault.access.holder import Subject
from chatvault.access.limits import Limits
from chatvault.access.past import Past, Span, Used
from chatvault.access.token import Token
from chatvault.config.snapshot import Snapshot
from chatvault.control.feed_server import FeedServer, open_feed
from chatvault.control.ledger_past import LedgerPast
from chatvault.control.recall import PATIENCE
from chatvault.core.clock import now_us
from chatvault.core.errors import Unavailable
from chatvault.feed.messages import Granted, Lookup, Recalled, Welcome
from chatvault.ledger.queries import LedgerQueries
from chatvault.vault.store import open_vault
from tests.control.worker import MemoryGrants, Worker, connected
from tests.ledger.entries import closed
from tests.ledger.test_queries import fill

DIGEST = b"d" * 32
LIMITED = Token(id="tok_1", name="one", created_at=1, limits=Limits(requests_per_minute=5))


class Ledger:
    """Says the same of everybody, once `there` is set; `fault` is raised instead."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.there.set()
        self.fault: Unavailable | None = None
        self.asked: list[dict[Subject, set[int]]] = []

    async def past(self, spans: dict[Subject, set[int]], before: int, now: int) -> list[Past]:
        self.asked.append(spans)
        await self.there.wait()
        if self.fault is not None:
            raise self.fault
        return [Past(scope, subject, (Span(60, (Used(before - 1, 2, 3),)),)) for scope, subject in spans]


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="cv") as folder:
        yield Path(folder) / "feed.sock"


@asynccontextmanager
async def worker_of(path: Path, ledger: Ledger, began: int) -> AsyncIterator[tuple[FeedServer, Worker]]:
    grants = MemoryGrants()
    grants.tokens = {DIGEST: LIMITED, b"e" * 32: msgspec.structs.replace(LIMITED, id="tok_2")}
    async with open_feed(path, grants, bytes(32), Snapshot(version=1)) as feed:
        feed.recall.open(ledger)
        async with connected(path, began=began) as worker:
            assert isinstance(await worker.next(), Welcome)
            yield feed, worker


async def test_the_past_comes_before_the_grant_and_once(path: Path) -> None:
    began, ledger = now_us(), Ledger()
    async with worker_of(path, ledger, began) as (_, worker):
        worker.say(Lookup(digest=DIGEST.hex()))
        expected = Past("token", "tok_1", (Span(60, (Used(began - 1, 2, 3),)),))
        assert await worker.next() == Recalled((expected,))
        assert isinstance(await worker.next(), Granted)
        await worker.look_up(DIGEST)
    assert ledger.asked == [{("token", "tok_1"): {60}}]


@pytest.mark.parametrize("began", [0, now_us() - 3600 * 1_000_000])
async def test_a_worker_that_needs_no_past_has_none_asked_for(path: Path, began: int) -> None:
    ledger = Ledger()
    async with worker_of(path, ledger, began) as (_, worker):
        await worker.look_up(DIGEST)
    assert ledger.asked == []


async def test_a_slow_ledger_holds_one_lookup_up_for_a_moment_and_is_told_later(path: Path) -> None:
    ledger = Ledger()
    ledger.there.clear()
    async with worker_of(path, ledger, now_us()) as (_, worker):
        clock = asyncio.get_running_loop().time
        began = clock()
        await worker.look_up(DIGEST)
        assert PATIENCE * 0.9 < clock() - began < 1
        began = clock()
        await worker.look_up(b"e" * 32)
        assert clock() - began < PATIENCE  # nobody waits again for what is known to be late
        assert len(ledger.asked) == 1
        ledger.there.set()
        late = [await worker.next(), await worker.next()]
        told = [past.subject for each in late if isinstance(each, Recalled) for past in each.past]
        assert told == ["tok_1", "tok_2"]


async def test_without_a_ledger_windows_begin_empty(path: Path) -> None:
    ledger = Ledger()
    ledger.fault = Unavailable("It is not there.", code="ledger_missing")
    async with worker_of(path, ledger, now_us()) as (_, worker):
        assert (await worker.look_up(DIGEST)).grant is not None
        ledger.fault = None
        worker.say(Lookup(digest=(b"e" * 32).hex()))
        assert isinstance(await worker.next(), Recalled)


async def test_calls_of_minted_tokens_count_for_those_who_minted_them(tmp_path: Path) -> None:
    queries, now = LedgerQueries(tmp_path), now_us()
    async with open_vault(tmp_path / "vault.db") as vault:
        await vault.add(LIMITED, DIGEST)
        await vault.add(Token(id="tok_2", name="two", created_at=1, parent="tok_1"), b"e" * 32)
        await fill(
            tmp_path,
            closed("a", token="tok_1", opened_at=now - 9, project="p", user="u"),
            closed("b", token="tok_2", opened_at=now - 5, project="p", user="u"),
        )
        wanted: dict[Subject, set[int]] = {
            ("token", "tok_1"): {60},
            ("project", "p"): {60},
            ("user", "p/u"): {60},
        }
        found = await LedgerPast(queries, vault).past(wanted, now, now)
    await queries.close()
    assert {(past.scope, past.subject): past.spans[0].used[-1].calls for past in found} == {
        ("token", "tok_1"): 2,
        ("project", "p"): 2,
        ("user", "p/u"): 2,
    }
