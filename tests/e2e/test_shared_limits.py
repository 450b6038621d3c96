"""Limits that the workers of a whole gateway share in a real Valkey."""

import asyncio
import os
import signal

import httpx2
import pytest

from tests.e2e.conftest import Begin
from tests.e2e.gateway import chat, eventually_async
from tests.e2e.streams import Stream
from tests.gateway.valkey import valkey


def shared(url: str) -> str:
    return f"limits:\n  store: {url}\n  store_timeout: 2s\n"


async def test_two_workers_let_through_what_the_limit_says_and_say_so(begin: Begin) -> None:
    async with valkey() as store:
        gateway = await begin(shared(store.url), words=("--workers", "2"))
        token, token_id = await gateway.make_token(limits={"requests_per_minute": 7})
        headers = {"authorization": f"Bearer {token}"}

        async def call() -> int:
            async with httpx2.AsyncClient(headers=headers, timeout=20, trust_env=False) as client:
                found = await client.post(f"{gateway.url}/v1/chat/completions", json=chat("sim/echo"))
                return found.status_code

        async def well() -> bool:
            return all(
                worker.get("limits_fault", "not heard yet") is None
                for worker in (await gateway.health())["workers"]
            )

        await eventually_async(well, 10.0)
        statuses = await asyncio.gather(*(call() for _ in range(24)))
        assert sorted(statuses) == [200] * 7 + [429] * 17
        async with gateway.operator() as operator:
            shown = (await operator.get("/manage/limits", params={"subject": token_id})).json()
        [row] = shown["data"]
        assert (row["most"], row["used"], row["left"]) == (7, 7, 0)
        await store.kill()

        async def unwell() -> bool:
            return bool((await gateway.health())["status"] == "degraded")

        await eventually_async(unwell, 10.0)
        problems = (await gateway.health())["problems"]
        assert any("does not share its limits" in problem for problem in problems)


@pytest.mark.prove
async def test_calls_of_a_killed_worker_lapse(begin: Begin) -> None:
    async with valkey() as store:
        gateway = await begin(shared(store.url))
        token, _ = await gateway.make_token(limits={"concurrent": 1})
        worker = await gateway.member("worker0")

        async def status() -> int:
            async with gateway.client(token) as client:
                return (await client.post("/chat/completions", json=chat("sim/echo"))).status_code

        stream = await Stream.begin(gateway, "sim/pace-50ms+events-400", token)
        assert await status() == 429
        os.kill(worker, signal.SIGKILL)
        await stream.rest()
        await gateway.member("worker0", but=worker)

        async def well() -> bool:
            seen = (await gateway.health())["workers"][0]
            return bool(seen.get("pid") != worker and seen.get("limits_fault", "not heard yet") is None)

        await eventually_async(well, 10.0)

        async def free() -> bool:
            return await status() == 200

        assert not await free(), "its lease is not over yet"
        await eventually_async(free, 15.0)
