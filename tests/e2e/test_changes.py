"""What an operator changes holds on every worker within a second, while a hundred streams run."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from tests.e2e.conftest import Begin
from tests.e2e.gateway import Gateway, chat, eventually

STREAMS = 100
_LONG = "sim/pace-50ms+events-600"


class Stream:
    """A stream that is read until it ends; `ended_at` is when."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended_at: float | None = None
        self.text = b""

    async def read(self, gateway: Gateway, token: str) -> None:
        try:
            async with (
                httpx2.AsyncClient(timeout=60, trust_env=False) as client,
                client.stream(
                    "POST",
                    f"{gateway.url}/v1/chat/completions",
                    headers={"authorization": f"Bearer {token}"},
                    json=chat(_LONG, "hello", stream=True),
                ) as answer,
            ):
                async for part in answer.aiter_raw():
                    self.text += part
                    self.begun.set()
        except httpx2.HTTPError:
            pass
        self.ended_at = time.monotonic()


@pytest.fixture
async def gateway(begin: Begin) -> Gateway:
    return await begin("limits: {default_requests_per_hour: 0}\n", words=("--workers", "2"))


@pytest.fixture
async def operator(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    async with gateway.operator() as client:
        yield client


async def status(gateway: Gateway, token: str) -> int:
    """Of a call over a connection of its own, so that any worker may get it."""
    async with gateway.client(token) as client:
        answer = await client.post("/chat/completions", json=chat("sim/echo", "hello"))
        return int(answer.status_code)


async def everywhere(gateway: Gateway, token: str, wanted: int, since: float) -> float:
    """Until calls get this status, whichever worker they meet; seconds since."""
    for _ in range(12):
        assert await status(gateway, token) == wanted
    return time.monotonic() - since


async def test_changes_hold_within_a_second_while_streams_run(
    gateway: Gateway, operator: httpx2.AsyncClient
) -> None:
    await operator.post("/manage/projects", json={"project_id": "team"})
    made = {
        name: await gateway.make_token(**wanted)
        for name, wanted in {
            "revoked": {},
            "deactivated": {"project_id": "team"},
            "limited": {},
            "kept": {},
        }.items()
    }
    streams = {name: [Stream() for _ in range(STREAMS // 4)] for name in made}
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(stream.read(gateway, made[name][0]))
            for name, opened in streams.items()
            for stream in opened
        ]
        for opened in streams.values():
            for stream in opened:
                await asyncio.wait_for(stream.begun.wait(), 30)

        def ended(name: str) -> Callable[[], bool]:
            return lambda: all(stream.ended_at is not None for stream in streams[name])

        changes = {
            "revoked": ("DELETE", f"/manage/tokens/{made['revoked'][1]}", None),
            "deactivated": ("PATCH", "/manage/projects/team", {"active": False}),
        }
        for name, (method, path, body) in changes.items():
            began = time.monotonic()
            answer = await operator.request(method, path, json=body)
            took = time.monotonic() - began
            assert answer.status_code in (200, 204), answer.text
            assert took < 1.0, "it answers when every worker has acknowledged it"
            await everywhere(gateway, made[name][0], 401, began)
            await eventually(ended(name), 2.0)
            for stream in streams[name]:
                assert b"token_revoked" in stream.text
                assert b"[DONE]" not in stream.text
        began = time.monotonic()
        wanted = {"limits": {"requests_per_hour": 0}}
        answer = await operator.patch(f"/manage/tokens/{made['limited'][1]}", json=wanted)
        assert answer.status_code == 200
        assert time.monotonic() - began < 1.0
        await everywhere(gateway, made["limited"][0], 429, began)
        began = time.monotonic()
        wanted = {"limits": {"requests_per_hour": 1000}}
        await operator.patch(f"/manage/tokens/{made['limited'][1]}", json=wanted)
        await everywhere(gateway, made["limited"][0], 200, began)
        await operator.patch("/manage/projects/team", json={"active": True})
        await everywhere(gateway, made["deactivated"][0], 200, began)
        assert not any(stream.ended_at for name in ("limited", "kept") for stream in streams[name])
        for task in tasks:
            task.cancel()


async def test_a_token_expires_on_every_worker_in_time(gateway: Gateway) -> None:
    token, _ = await gateway.make_token(duration_hours=2 / 3600)
    began = time.monotonic()
    assert await status(gateway, token) == 200
    await asyncio.sleep(2.05 - (time.monotonic() - began))
    await everywhere(gateway, token, 401, began)
