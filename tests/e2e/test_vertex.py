"""Vertex AI in a whole gateway: tokens are got, renewed while calls run, missed while their endpoint is down, and nothing
that is secret is to be found anywhere."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.fake import FakeProvider
from tests.control.token_endpoint import PROJECT, TokenEndpoint, key_file, pem, token_endpoint
from tests.e2e.gateway import Gateway, chat, eventually, eventually_async

CLAUDE = "vertex/claude-sonnet-4-5"


@pytest.fixture
async def endpoint() -> AsyncIterator[TokenEndpoint]:
    async with token_endpoint() as made:
        yield made


@pytest.fixture
async def vertex(endpoint: TokenEndpoint) -> AsyncIterator[FakeProvider]:
    """It takes the tokens that the endpoint has granted, and those of them that have not been taken away."""
    async with FakeProvider(api_key=endpoint.granted, marker="x-request-id") as fake:
        yield fake


@pytest.fixture
async def gateway(vertex: FakeProvider, endpoint: TokenEndpoint, tmp_path: Path) -> AsyncIterator[Gateway]:
    (tmp_path / "key.json").write_text(key_file(), "utf-8")
    config = f"""\
server: {{workers: 2, drain_timeout: 2s}}
providers:
  vertex:
    base_url: {vertex.url}
    location: us-east5
    credentials_file: key.json
    token_url: {endpoint.url}
"""
    gateway = Gateway(tmp_path, config=config)
    try:
        yield gateway
    finally:
        await gateway.end()


async def ask(gateway: Gateway) -> tuple[int, str]:
    async with gateway.client() as client:
        answer = await client.post("/chat/completions", json=chat(CLAUDE, max_tokens=50))
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


async def works(gateway: Gateway) -> bool:
    return (await ask(gateway))[0] == 200


async def test_tokens_are_renewed_under_load_and_nothing_secret_is_left_anywhere(
    gateway: Gateway, vertex: FakeProvider, endpoint: TokenEndpoint
) -> None:
    endpoint.life = 4
    await gateway.start()
    await eventually_async(lambda: works(gateway), 10)
    assert vertex.last is not None
    assert vertex.last.path.startswith(f"/v1/projects/{PROJECT}/locations/us-east5/publishers/anthropic/")
    over = asyncio.Event()

    async def calls() -> list[int]:
        seen = []
        async with gateway.client() as client:
            while not over.is_set():
                answer = await client.post("/chat/completions", json=chat(CLAUDE, max_tokens=50))
                seen.append(answer.status_code)
                await asyncio.sleep(0.02)
        return seen

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(calls()) for _ in range(4)]
        renewed = len(endpoint.granted) + 2
        await eventually(lambda: len(endpoint.granted) >= renewed, 20)
        over.set()
    statuses = [status for task in running for status in task.result()]
    assert len(statuses) > 50
    assert set(statuses) == {200}
    health = await gateway.health()
    assert health["access_tokens"]["vertex"]["fault"] is None
    assert health["problems"] == []
    said = gateway.said("out") + gateway.said("err") + json.dumps(health)
    await gateway.stop()
    files = b"".join(
        path.read_bytes() for path in gateway.data.rglob("*") if path.is_file() and path.name != "key.json"
    )
    for secret in (*endpoint.granted, pem()[40:80]):
        assert secret not in said
        assert secret.encode() not in files
    states = [row["state"] for row in await gateway.rows()]
    assert states.count("completed") == len(statuses) + 1
    assert set(states) <= {"completed", "gateway_error"}  # the first, before there was a token
    await gateway.verify()


async def test_while_the_endpoint_is_down_calls_are_refused_and_health_says_why(
    gateway: Gateway, vertex: FakeProvider, endpoint: TokenEndpoint
) -> None:
    await endpoint.stop()
    await gateway.start()
    assert await ask(gateway) == (503, "provider_unusable")
    assert vertex.stats.connections == 0

    async def fault() -> str | None:
        found: str | None = (await gateway.health())["access_tokens"]["vertex"]["fault"]
        return found

    assert "cannot be asked" in await eventually_async(fault, 10)
    health = await gateway.health()
    assert health["status"] == "degraded"
    await endpoint.start()
    await eventually_async(lambda: works(gateway), 20)
    assert (await gateway.health())["access_tokens"]["vertex"]["fault"] is None
    # Down again, nothing changes: the token holds.
    await endpoint.stop()
    assert await works(gateway)
    control = gateway.family()["control"]
    os.kill(control, signal.SIGKILL)  # nor does that
    assert await works(gateway)
    await gateway.member("control", but=control)
    rows = await gateway.level()
    assert rows[0]["state"] == "gateway_error"
    assert (rows[0]["cost"], rows[0]["cost_source"]) == (0, "free")
