"""Tokens are got ahead of time and handed over; one that fails is tried for again, and said."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from chatvault.config.snapshot import AccessToken, Snapshot
from chatvault.control import access_tokens
from chatvault.control.access_tokens import AccessTokens
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError
from chatvault.feed.messages import Access, Configure, Welcome
from chatvault.ledger.place import ledger_place
from chatvault.ledger.state import RecorderState, write_state
from chatvault.ledger.store import Ledger
from chatvault.providers.google_account import GoogleAccount
from tests.control.plane import open_plane
from tests.control.worker import connected
from tests.gateway.harness import until

ACCOUNT = GoogleAccount(kind="authorized_user", token_url="http://127.0.0.1:9/token")


class Office:
    """Exchanges in memory. `life` is in seconds; `down` refuses."""

    def __init__(self, life: float = 3600.0) -> None:
        self.life = life
        self.down = False
        self.asked = 0
        self.lent: list[dict[str, AccessToken]] = []

    async def exchange(self, account: GoogleAccount) -> AccessToken:
        self.asked += 1
        await asyncio.sleep(0)
        if self.down:
            raise OperatorError("The token endpoint is down.", code="no_access_token")
        return AccessToken(f"token-{self.asked}", now_us() + int(self.life * 1e6))

    def texts(self) -> list[dict[str, str]]:
        return [{name: token.text for name, token in tokens.items()} for tokens in self.lent]


@asynccontextmanager
async def running(office: Office, **accounts: GoogleAccount) -> AsyncIterator[AccessTokens]:
    tokens = AccessTokens(office.lent.append, office.exchange, accounts)
    task = asyncio.get_running_loop().create_task(tokens.run())
    try:
        yield tokens
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_token_is_got_at_once_and_another_before_it_expires() -> None:
    office = Office(life=0.5)
    async with running(office, vertex=ACCOUNT) as tokens:
        await until(lambda: len(office.lent) == 1)
        first = office.lent[0]["vertex"]
        await until(lambda: len(office.lent) == 2)
        assert now_us() < first.expires_at
        assert tokens.states()["vertex"].expires_at == office.lent[1]["vertex"].expires_at
    assert office.texts() == [{"vertex": "token-1"}, {"vertex": "token-2"}]


async def test_a_long_token_is_left_alone() -> None:
    office = Office()
    async with running(office, vertex=ACCOUNT):
        await until(lambda: office.lent)
        await asyncio.sleep(0.1)
    assert office.asked == 1


async def test_a_failure_is_said_and_tried_again_while_the_old_token_holds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access_tokens, "_FIRST_PAUSE", 0.02)
    office = Office(life=0.6)
    with caplog.at_level(logging.ERROR):
        async with running(office, vertex=ACCOUNT) as tokens:
            await until(lambda: office.lent)
            office.down = True
            await until(lambda: tokens.states()["vertex"].fault)
            assert tokens.states()["vertex"].expires_at is not None
            assert len(office.lent) == 1
            asked = office.asked
            await until(lambda: office.asked > asked)
            office.down = False
            await until(lambda: len(office.lent) == 2)
            assert tokens.states()["vertex"].fault is None
    assert "No new access token for the provider vertex: The token endpoint is down." in caplog.text


async def test_failures_come_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_tokens, "_FIRST_PAUSE", 0.05)
    office = Office()
    office.down = True
    async with running(office, vertex=ACCOUNT):
        await asyncio.sleep(0.5)
    assert 2 <= office.asked <= 5  # at about 0, 0.05, 0.15, 0.35


async def test_another_configuration_takes_tokens_away_gets_others_and_keeps_the_rest() -> None:
    office = Office()
    other = GoogleAccount(kind="authorized_user", token_url="http://127.0.0.1:9/other")
    async with running(office, one=ACCOUNT, two=ACCOUNT) as tokens:
        await until(lambda: office.lent and len(office.lent[-1]) == 2)
        kept = office.lent[-1]["one"]
        tokens.configure({"one": ACCOUNT, "three": other})
        assert office.lent[-1] == {"one": kept}
        await until(lambda: office.lent[-1].keys() == {"one", "three"})
        tokens.configure({"one": other})
        assert office.lent[-1] == {}
        await until(lambda: office.lent[-1].keys() == {"one"})
        assert office.lent[-1]["one"] != kept
        assert tokens.states().keys() == {"one"}


async def test_workers_hear_of_tokens_and_those_that_return_are_welcomed_with_them(tmp_path: Path) -> None:
    token = AccessToken("secret", 9)
    async with open_plane(tmp_path) as plane:
        async with connected(plane.feed_path) as worker:
            welcome = await worker.next()
            assert isinstance(welcome, Welcome)
            assert welcome.access == {}
            plane.feed.lend({"vertex": token})
            assert await worker.next() == Access({"vertex": token})
        async with connected(plane.feed_path) as worker:
            again = await worker.next()
            assert isinstance(again, Welcome)
            assert again.access == {"vertex": token}


async def test_a_reload_hands_the_accounts_over_once_it_is_taken(tmp_path: Path) -> None:
    async with open_plane(tmp_path) as plane:
        office = Office()
        plane.access._exchange = office.exchange
        running = asyncio.get_running_loop().create_task(plane.access.run())
        async with connected(plane.feed_path) as worker:
            await worker.next()
            plane.accounts = {"vertex": ACCOUNT}
            plane.next = OperatorError("wrong", code="bad_config")
            await plane.http.post("/manage/config/reload")
            assert office.asked == 0
            plane.next = Snapshot(version=0)
            await plane.http.post("/manage/config/reload")
            assert isinstance(await worker.next(), Configure)
            pushed = await worker.next()
        running.cancel()
    assert isinstance(pushed, Access)
    assert pushed.tokens["vertex"].text == "token-1"


async def test_health_says_how_tokens_are_and_shows_none(tmp_path: Path) -> None:
    def prepare() -> None:
        Ledger.open(ledger_place(tmp_path)).close()
        write_state(tmp_path, RecorderState(at=now_us(), bytes_behind=0, lines_behind=0, seconds_behind=0.0))

    await asyncio.to_thread(prepare)
    async with open_plane(tmp_path) as plane:
        office = Office()
        plane.access._exchange = office.exchange
        plane.access.configure({"vertex": ACCOUNT})
        running = asyncio.get_running_loop().create_task(plane.access.run())
        await until(lambda: office.asked)
        await asyncio.sleep(0.01)
        answer = await plane.http.get("/health/details")
        running.cancel()
        state = answer.json()["access_tokens"]["vertex"]
        assert state["fault"] is None
        assert answer.json()["status"] == "ok"
        assert state["expires_at"] > state["got_at"]
        assert "token-1" not in answer.text
        plane.access.states()["vertex"].fault = "The token endpoint is down."
        details = (await plane.http.get("/health/details")).json()
    assert details["problems"] == ["No new access token for the provider vertex: The token endpoint is down."]
    assert details["status"] == "degraded"
