"""Keys of the vault in a whole gateway: they sign, they are revoked, the master key is rotated and lost, processes are
killed meanwhile."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chatvault.fake import FakeProvider
from chatvault.vault.master import parse_master_keys
from tests.e2e.gateway import Gateway, chat, environment_of, eventually_async
from tests.e2e.streams import Stream

KEYS = [f"sk-vault-key-{number}-0123456789abcdef" for number in range(3)]
MASTER = "5e" * 32


@pytest.fixture
def accepted() -> set[str]:
    return set(KEYS)


@pytest.fixture
async def own(accepted: set[str]) -> AsyncIterator[FakeProvider]:
    async with FakeProvider(api_key=accepted, marker="x-request-id", patience_s=60) as fake:
        yield fake


@pytest.fixture
async def gateway(own: FakeProvider, tmp_path: Path) -> AsyncIterator[Gateway]:
    config = f"""\
server: {{workers: 2, drain_timeout: 2s}}
providers:
  own: {{base_url: {own.base_url}, vault_only: true}}
"""
    gateway = Gateway(tmp_path, config=config)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.end()


async def manage(gateway: Gateway, method: str, path: str = "", body: object = None) -> Any:
    async with gateway.operator() as operator:
        answer = await operator.request(method, f"/manage/provider-keys{path}", json=body)
        assert answer.status_code in (200, 201, 204), answer.text
        return answer.json() if answer.content else None


async def add(gateway: Gateway, key: str, **more: object) -> str:
    return str((await manage(gateway, "POST", "", {"provider": "own", "key": key, **more}))["key_id"])


async def ask(gateway: Gateway, token: str | None = None) -> tuple[int, str]:
    async with gateway.client(token) as client:
        answer = await client.post("/chat/completions", json=chat("own/echo"))
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


class Load:
    """Calls, one after the other, until it is told to stop; `failed` has what was not answered with 200."""

    def __init__(self, gateway: Gateway) -> None:
        self.calls = 0
        self.failed: list[object] = []
        self._gateway = gateway
        self._over = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._gateway.client() as client:
            while not self._over:
                answer = await client.post("/chat/completions", json=chat("own/echo"))
                self.calls += 1
                if answer.status_code != 200:
                    self.failed.append(answer.text)

    async def stop(self) -> int:
        self._over = True
        async with asyncio.timeout(20):
            await self._task
        assert self.failed == []
        return self.calls


async def test_keys_sign_by_project_and_turn_and_a_revoked_one_is_used_no_more(
    gateway: Gateway, own: FakeProvider, accepted: set[str]
) -> None:
    assert await ask(gateway) == (503, "provider_unusable")
    assert any("own has no key" in problem for problem in (await gateway.health())["problems"])
    one, two = await add(gateway, KEYS[0]), await add(gateway, KEYS[1])
    team, _ = await gateway.make_token(project_id="team")
    await add(gateway, KEYS[2], project_id="team")
    assert (await gateway.health())["problems"] == []
    seen = set()
    for _ in range(8):
        assert await ask(gateway) == (200, "")
        assert own.last is not None
        seen.add(own.last.headers["authorization"].removeprefix("Bearer "))
        assert await ask(gateway, team) == (200, "")
        assert own.last.headers["authorization"] == f"Bearer {KEYS[2]}"
    assert seen == set(KEYS[:2])

    streams = [await Stream.begin(gateway, "own/pace-20ms+events-100") for _ in range(4)]
    load = Load(gateway)
    began = time.monotonic()
    await manage(gateway, "DELETE", f"/{one}")
    assert time.monotonic() - began < 1
    accepted.discard(KEYS[0])  # whoever used it still would get 401 now
    await asyncio.sleep(0.5)
    assert await load.stop() > 10
    for stream in streams:
        assert (await stream.rest())[-1] == "[DONE]"
    await gateway.level()
    calls = await gateway.calls()
    assert {line.key for line in calls.opened.values()} >= {one, two}
    assert [line.key for line in calls.closed.values()] == [
        calls.opened[line.id].key for line in calls.closed.values()
    ]
    gateway.signal(signal.SIGHUP)
    for _ in range(4):
        assert await ask(gateway) == (200, "")
    await gateway.restart()
    assert await ask(gateway) == (200, "")


async def test_the_master_key_is_rotated_under_load_whatever_kills_control(gateway: Gateway) -> None:
    for key in KEYS:
        await add(gateway, key)
    load = Load(gateway)
    done = await manage(gateway, "POST", "/rotate-master")
    assert (done["resealed"], done["former_removed"]) == (3, True)
    for _ in range(5):
        control = await gateway.member("control")
        rotating = asyncio.create_task(manage(gateway, "POST", "/rotate-master"))
        await asyncio.sleep(random.uniform(0, 0.03))
        os.kill(control, signal.SIGKILL)
        await asyncio.wait({rotating})
        if rotating.exception() is not None:
            assert isinstance(rotating.exception(), httpx2.TransportError)
        await gateway.member("control", but=control)

        async def well() -> bool:
            try:
                return not (await gateway.health())["problems"]
            except httpx2.TransportError:
                return False

        await eventually_async(well, 15)
    done = await manage(gateway, "POST", "/rotate-master")
    assert done["former_removed"]
    assert await load.stop() > 20
    masters = parse_master_keys(await asyncio.to_thread((gateway.data / "secrets" / "master.key").read_text))
    assert [key.id for key in masters] == [done["master_id"]]
    await gateway.restart()
    assert (await gateway.health())["provider_keys"] == {"held": 3, "unusable": {}}
    assert await ask(gateway) == (200, "")


async def test_a_wrong_master_key_is_told_and_overwrites_nothing(gateway: Gateway) -> None:
    key = await add(gateway, KEYS[0])
    file = gateway.data / "secrets" / "master.key"
    kept = file.read_bytes()
    await gateway.stop()
    file.unlink()
    gateway.env["CHATVAULT_MASTER_KEY"] = MASTER
    await gateway.start()
    for name, pid in gateway.family().items():
        held = "CHATVAULT_MASTER_KEY" in environment_of(pid)
        assert held == (name == "control"), name
    assert await ask(gateway) == (503, "provider_unusable")
    health = await gateway.health()
    assert list(health["provider_keys"]["unusable"]) == [key]
    assert any(key in problem and "cannot be opened" in problem for problem in health["problems"])
    assert f"The key {key} of the provider own cannot be opened" in gateway.said("err")
    assert not file.exists()
    await gateway.stop()
    file.write_bytes(kept)
    await gateway.start()  # the file opens what it sealed; the variable seals from now on
    assert await ask(gateway) == (200, "")
    assert (await manage(gateway, "POST", "/rotate-master"))["resealed"] == 1
    await gateway.stop()
    file.unlink()
    await gateway.start()
    assert await ask(gateway) == (200, "")
