"""Processes that die or stand still: nothing is lost, nothing is counted twice, and calls go on."""

import asyncio
import os
import signal
import sqlite3
from pathlib import Path

from chatvault.access.credential import new_token
from chatvault.fake import FakeProvider
from tests.e2e.conftest import Begin, configured
from tests.e2e.gateway import Gateway, Row, chat, eventually, eventually_async, stopped
from tests.e2e.streams import Stream

LONG = "sim/pace-50ms+events-400"


async def call(gateway: Gateway, token: str | None = None, model: str = "sim/echo") -> tuple[int, str]:
    """Status, and the error's code (empty if there is none)."""
    async with gateway.client(token) as client:
        answer = await client.post("/chat/completions", json=chat(model))
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


def interrupted(row: Row) -> None:
    assert row["state"] == "interrupted"
    assert row["attempts"] >= 1
    assert (row["cost"], row["cost_source"]) == (None, "unknown")
    assert row["cost_bound"] > 0
    assert row["price_version"]
    assert (row["model_name"], row["provider"]) != (None, None)


async def test_a_killed_worker_is_replaced_and_its_calls_are_closed(
    gateway: Gateway, provider: FakeProvider
) -> None:
    stream = await Stream.begin(gateway, LONG)
    async with gateway.client() as client:
        hung = asyncio.create_task(client.post("/chat/completions", json=chat("sim/hang", max_tokens=500)))
        await eventually(lambda: provider.stats.in_flight == 2)
        first = gateway.family()["worker0"]
        os.kill(first, signal.SIGKILL)
        assert len(await stream.rest()) < 400
        await asyncio.wait({hung}, timeout=5)
        assert hung.exception() is not None
    assert await call(gateway) == (200, "")
    assert await gateway.member("worker0", but=first) != first
    rows = {row["id"]: row for row in await gateway.level()}
    assert len(rows) == 3
    for id in list(provider.stats.ids)[:2]:
        interrupted(rows[id])
    assert rows[stream.id]["stream"] == 1
    async with gateway.operator() as operator:
        told = (await operator.get(f"/manage/explain/{stream.id}")).json()
    steps = [(step["type"], step["chain"].partition("-")[0]) for step in told["record"]["lines"]]
    assert steps == [("opened", "worker0"), ("closed", "control")]
    assert [attempt["provider"] for attempt in told["attempts"]] == ["sim"]
    assert "The gateway died meanwhile; the call was closed at the next start." in told["story"]
    assert f"What it cost is not known; it was ${told['cost']['bound']} at most." in told["story"]
    await gateway.verify()


async def test_a_worker_killed_at_once_with_control_leaves_nothing_open(gateway: Gateway) -> None:
    stream = await Stream.begin(gateway, LONG)
    family = gateway.family()
    os.kill(family["control"], signal.SIGKILL)
    os.kill(family["worker0"], signal.SIGKILL)
    await stream.rest()
    assert await call(gateway) == (200, "")
    rows = {row["id"]: row for row in await gateway.level()}
    interrupted(rows[stream.id])
    assert len(rows) == 2
    await gateway.verify()


async def test_calls_go_on_while_control_is_dead_and_it_returns_with_what_it_knew(gateway: Gateway) -> None:
    token, id = await gateway.make_token()
    known, _ = await gateway.make_token()
    assert await call(gateway, token) == (200, "")
    stream = await Stream.begin(gateway, LONG, token)
    first = gateway.family()["control"]
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: gateway.family().get("control") != first)
    assert await call(gateway, token) == (200, "")
    assert await call(gateway, known) in ((503, "control_unavailable"), (200, ""))  # never 401
    second = await gateway.member("control", but=first)
    assert second != first

    async def knows() -> bool:
        return await call(gateway, known) == (200, "")

    await eventually_async(knows)
    assert await call(gateway, new_token()) == (401, "token_unknown")

    async def revoked() -> bool:
        async with gateway.operator() as operator:
            return (await operator.delete(f"/manage/tokens/{id}")).status_code == 204

    await eventually_async(revoked)
    assert await call(gateway, token) == (401, "token_revoked")
    assert (await stream.rest(2.0))[-1]["error"]["code"] == "token_revoked"
    rows = {row["id"]: row["state"] for row in await gateway.level()}
    assert rows[stream.id] == "ended_by_gateway"
    await gateway.verify()


async def test_who_stands_still_is_noticed(begin: Begin) -> None:
    one, two = await begin(home="one"), await begin(home="two")
    await asyncio.gather(control_stands_still(one), worker_stands_still(two))


async def control_stands_still(gateway: Gateway) -> None:
    token, _ = await gateway.make_token()
    assert await call(gateway) == (200, "")
    with stopped(gateway.family()["control"]):
        assert await call(gateway) == (200, "")
        # Before it is noticed the call waits for its look-up, afterwards it need not.
        assert await call(gateway, token) == (503, "control_unavailable")
        await eventually(lambda: "control was silent" in gateway.said("err"), 12)
        assert await call(gateway, token) == (503, "control_unavailable")
        assert await call(gateway) == (200, "")

    async def knows() -> bool:
        return await call(gateway, token) == (200, "")

    await eventually_async(knows)


async def worker_stands_still(gateway: Gateway) -> None:
    """What it missed it is told when it returns."""
    token, id = await gateway.make_token()
    stream = await Stream.begin(gateway, LONG, token)
    with stopped(gateway.family()["worker0"]):
        async with gateway.operator() as operator:
            late = await operator.delete(f"/manage/tokens/{id}")
            assert (late.status_code, late.json()["unacknowledged"]) == (202, [0])

        async def gone() -> bool:
            return (await gateway.health())["workers"][0]["connected"] is False

        await eventually_async(gone, 12)
    assert (await stream.rest(5.0))[-1]["error"]["code"] == "token_revoked"
    assert await call(gateway, token) == (401, "token_revoked")
    assert (await gateway.level())[0]["state"] == "ended_by_gateway"


async def test_a_recorder_that_is_killed_again_and_again_counts_each_call_once(
    gateway: Gateway, provider: FakeProvider
) -> None:
    for _ in range(4):
        await asyncio.gather(*(call(gateway) for _ in range(15)))
        recorder = await gateway.member("recorder")
        os.kill(recorder, signal.SIGKILL)
        await gateway.member("recorder", but=recorder)
    rows = await gateway.level()
    assert sorted(row["id"] for row in rows) == sorted(provider.stats.ids)
    assert len(rows) == 60
    assert {row["state"] for row in rows} == {"completed"}


async def test_a_first_start_that_is_killed_anywhere_leaves_tokens_that_work(
    provider: FakeProvider, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path, config=configured(provider))
    try:
        for delay in (0.3, 0.6, 0.9):
            await gateway.spawn()
            await asyncio.sleep(delay)
            await gateway.crash()
        await gateway.start()
        assert await call(gateway) == (200, "")
        assert (await gateway.health())["status"] in ("ok", "degraded")
    finally:
        await gateway.end()


async def test_a_control_that_dies_before_the_first_tokens_are_told_makes_others(gateway: Gateway) -> None:
    """Nobody has seen the first ones: the folder says that they were not told."""
    await gateway.stop()
    first = gateway.token
    await asyncio.to_thread(forget_first_start, gateway)
    await gateway.start()
    assert gateway.token != first
    assert await call(gateway, first) == (401, "token_revoked")
    assert await call(gateway) == (200, "")


def forget_first_start(gateway: Gateway) -> None:
    connection = sqlite3.connect(gateway.data / "vault.db")
    with connection:
        assert connection.execute("DELETE FROM meta WHERE key = 'first_start'").rowcount == 1
    connection.close()
