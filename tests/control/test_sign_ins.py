"""Failed sign-ins at the control port: on record, and limited by address."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from chatvault.config.schema import LimitsConfig, ServerConfig
from chatvault.control.edge import Edge, Receive, Scope, Send
from tests.control.plane import MANAGEMENT, OWNER, Plane, client, open_plane


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        await limit(opened, 5)
        yield opened


async def limit(plane: Plane, most: int, *proxies: str) -> None:
    snapshot = plane.feed.snapshot
    await plane.feed.configure(
        msgspec.structs.replace(
            snapshot,
            version=snapshot.version + 1,
            limits=LimitsConfig(failures_per_minute=most),
            server=ServerConfig(trusted_proxies=proxies),
        )
    )


async def ask(plane: Plane, token: str | None, **headers: str) -> tuple[int, str]:
    async with client(plane.edge, token) as http:
        answer = await http.get("/manage/tokens", headers=headers)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


async def guess(plane: Plane, times: int, **headers: str) -> Counter[str]:
    return Counter([(await ask(plane, f"guess {number}", **headers))[1] for number in range(times)])


async def test_beyond_the_limit_not_even_the_right_one_is_looked_at(plane: Plane) -> None:
    """The operator may have chosen one that can be guessed."""
    assert await guess(plane, 7) == {"invalid_token": 5, "too_many_failures": 2}
    assert await ask(plane, MANAGEMENT) == (429, "too_many_failures")


async def test_tokens_that_have_opened_before_go_on_until_they_are_revoked(plane: Plane) -> None:
    made = (await plane.http.post("/manage/tokens", json={"name": "n", "kind": "management"})).json()
    assert await ask(plane, made["token"]) == (200, "")
    await guess(plane, 6)
    assert await ask(plane, made["token"]) == (200, "")
    token = await plane.tokens.get(made["token_id"])
    await plane.tokens.revoke("test", token)
    assert await ask(plane, made["token"]) == (401, "revoked_token")
    assert await ask(plane, made["token"]) == (429, "too_many_failures")


async def test_many_at_a_time_do_not_pass_together(plane: Plane) -> None:
    answers = await asyncio.gather(*(ask(plane, f"guess {number}") for number in range(40)))
    assert Counter(code for _, code in answers) == {"invalid_token": 5, "too_many_failures": 35}


async def test_good_ones_do_not_count_however_many(plane: Plane) -> None:
    answers = await asyncio.gather(*(ask(plane, MANAGEMENT) for _ in range(4)))
    assert {status for status, _ in answers} == {200}
    for _ in range(20):
        assert (await ask(plane, MANAGEMENT))[0] == 200


async def test_nothing_sent_and_an_expired_one_are_no_guesses(plane: Plane) -> None:
    wanted = {"name": "n", "kind": "management", "duration_hours": 0.000001}
    expired = (await plane.http.post("/manage/tokens", json=wanted)).json()["token"]
    await asyncio.sleep(0.01)
    for _ in range(10):
        assert await ask(plane, expired) == (401, "expired_token")
        assert await ask(plane, None) == (401, "missing_token")
    assert (await ask(plane, MANAGEMENT))[0] == 200


async def test_zero_is_any_number(plane: Plane) -> None:
    await limit(plane, 0)
    assert await guess(plane, 50) == {"invalid_token": 50}


async def test_the_owners_socket_is_never_refused(plane: Plane) -> None:
    await guess(plane, 10)

    async def owned(scope: Scope, receive: Receive, send: Send) -> None:
        scope["server"] = (OWNER, None)
        await Edge(plane.app)(scope, receive, send)

    async with client(owned) as owner:
        assert (await owner.get("/manage/tokens")).status_code == 200


async def test_addresses_behind_trusted_proxies_are_told_apart(plane: Plane) -> None:
    await guess(plane, 6, **{"x-forwarded-for": "203.0.113.1"})
    assert (await ask(plane, MANAGEMENT))[0] == 429, "nobody is trusted: the field says nothing"
    await limit(plane, 5, "127.0.0.1")
    await guess(plane, 6, **{"x-forwarded-for": "203.0.113.2"})
    assert (await ask(plane, MANAGEMENT, **{"x-forwarded-for": "203.0.113.2"}))[0] == 429
    assert (await ask(plane, MANAGEMENT, **{"x-forwarded-for": "203.0.113.3"}))[0] == 200


async def test_failures_are_on_record_without_the_credential(plane: Plane) -> None:
    await ask(plane, None, **{"user-agent": "a scanner"})
    await guess(plane, 7)
    plane.sign_ins.tick()
    counted: Counter[str] = Counter()
    for line in plane.journal.refused:
        assert (line.endpoint, line.token) == ("control", None)
        counted[line.code] += line.count
    assert counted == {"missing_token": 1, "invalid_token": 5, "too_many_failures": 2}
    assert len(plane.journal.refused) == 5, "one at once of each kind, and one more of those that came again"
    first = plane.journal.refused[0]
    assert plane.journal.private_parts[first.id] == {"address": "127.0.0.1", "user_agent": "a scanner"}
    assert "guess" not in str([msgspec.structs.asdict(line) for line in plane.journal.refused])


async def test_a_journal_that_cannot_be_written_changes_no_answer(plane: Plane) -> None:
    plane.journal.full = True
    assert await ask(plane, "guess") == (401, "invalid_token")


async def test_the_time_until_the_next_try_is_told(plane: Plane) -> None:
    await guess(plane, 5)
    async with client(plane.edge, "guess") as http:
        answer: httpx2.Response = await http.get("/usage")
    assert 58 <= int(answer.headers["retry-after"]) <= 60


@pytest.mark.parametrize("query", ["token={}", "x=%63v-{}", "cursor=Bearer+{}"])
async def test_a_token_in_the_query_is_refused_unread(plane: Plane, query: str) -> None:
    made = (await plane.http.post("/manage/tokens", json={"name": "n", "kind": "management"})).json()["token"]
    said = query.format(made if "cv" not in query and "63v" not in query else made[3:])
    answer = await plane.http.get(f"/manage/tokens?{said}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "token_in_query")
    assert made[3:] not in answer.text
