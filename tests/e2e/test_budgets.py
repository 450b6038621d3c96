"""Budgets for real: many clients, several workers, kills of everybody; settled plus reserved never exceeds the budget."""

import asyncio
import json
import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chatvault.core.money import PICO, pico
from tests.e2e.conftest import Begin
from tests.e2e.gateway import Gateway, chat, eventually_async

_TWO = "limits: {default_requests_per_hour: 0}\n"
_VICTIMS = ("worker0", "worker1", "control", "recorder")


class Crowd:
    """Clients that call until they are told to stop, each call over a connection of its own."""

    def __init__(self, gateway: Gateway, token: str, clients: int) -> None:
        self.gateway = gateway
        self.token = token
        self.clients = clients
        self.statuses: dict[int, int] = {}
        self.over = asyncio.Event()

    async def run(self, model: Callable[[random.Random], str], seed: int) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self._client(model, random.Random(seed * 1000 + number)))

    async def _client(self, model: Callable[[random.Random], str], chance: random.Random) -> None:
        while not self.over.is_set():
            wanted = chat(model(chance), "hello", stream=chance.random() < 0.3, max_tokens=40)
            try:
                async with asyncio.timeout(20 if chance.random() < 0.95 else chance.uniform(0.001, 0.1)):
                    status = await self._call(wanted)
            except (TimeoutError, OSError):
                status = 0
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status != 200:
                await asyncio.sleep(0.02)

    async def _call(self, wanted: dict[str, object]) -> int:
        host, _, port = self.gateway.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            body = json.dumps(wanted).encode()
            writer.write(
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
                f"authorization: Bearer {self.token}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            answer = await reader.read()
            return int(answer.split(b" ", 2)[1]) if answer else 0
        finally:
            writer.transport.abort()


async def budgeted(gateway: Gateway, dollars: str) -> tuple[str, str]:
    """A token with a budget of its own, and the budget's id."""
    token, token_id = await gateway.make_token()
    async with gateway.operator() as operator:
        wanted = {"scope": "token", "subject": token_id, "amount": dollars}
        made = await operator.post("/manage/budgets", json=wanted)
        assert made.status_code == 201, made.text
        return token, made.json()["budget_id"]


async def shown(gateway: Gateway, budget: str) -> dict[str, Any]:
    async with gateway.operator() as operator:
        found: dict[str, Any] = (await operator.get(f"/manage/budgets/{budget}")).json()
        return found


async def charged(gateway: Gateway, budget: str) -> int:
    """What the journal says was charged, interrupted calls with all they had reserved."""
    calls = await gateway.calls()
    return sum(
        charge.amount for line in calls.closed.values() for charge in line.budgets if charge.budget == budget
    )


async def exhaust(begin: Begin, dollars: str, clients: int, seconds: float) -> None:
    gateway = await begin(_TWO, words=("--workers", "2"))
    token, budget = await budgeted(gateway, dollars)
    crowd = Crowd(gateway, token, clients)

    async def end() -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until and crowd.statuses.get(429, 0) < 20 * clients:
            await asyncio.sleep(0.1)
        crowd.over.set()

    await asyncio.gather(crowd.run(lambda chance: "sim/echo", seed=1), end())
    assert set(crowd.statuses) <= {200, 429, 0}, crowd.statuses
    assert crowd.statuses[200] > 50
    await gateway.level(30.0)
    amount, spent = pico(dollars), await charged(gateway, budget)
    print(f"{crowd.statuses}: ${spent / PICO:.6f} of ${dollars}")
    assert spent <= amount
    assert spent >= amount * 95 // 100, (
        "all but a little can be spent when calls are small and nobody is killed"
    )


async def storm(begin: Begin, dollars: str, clients: int, seconds: float, seed: int) -> None:
    gateway = await begin(_TWO, words=("--workers", "2"))
    token, budget = await budgeted(gateway, dollars)
    crowd, chance, kills = Crowd(gateway, token, clients), random.Random(seed), 0
    models = (
        "sim/echo",
        "sim/pace-2ms+events-20",
        "sim/slow-first-byte-60ms",
        "sim/cut-after-3",
        "sim/fail-500",
    )

    async def kill() -> None:
        nonlocal kills
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            await asyncio.sleep(chance.uniform(0.1, 0.9))
            if chance.random() < 0.12:
                gateway.signal(signal.SIGKILL)
                await gateway.wait()
                await gateway.start()
                continue
            family = gateway.family()
            for name in chance.sample(_VICTIMS, chance.choice((1, 1, 2))):
                if name in family:
                    with suppress(ProcessLookupError):
                        os.kill(family[name], signal.SIGKILL)
                        kills += 1
        crowd.over.set()

    await asyncio.gather(crowd.run(lambda chance: chance.choice(models), seed), kill())
    await gateway.level(30.0)
    amount, spent = pico(dollars), await charged(gateway, budget)
    print(f"{kills} kills, {crowd.statuses}: ${spent / PICO:.6f} of ${dollars}")
    assert kills
    assert crowd.statuses[200] > 20
    assert spent <= amount
    assert await gateway.stop() == 0
    await gateway.start()

    async def accounted() -> bool:
        found = await shown(gateway, budget)
        return pico(found["settled"]) == spent and pico(found["reserved"]) == 0

    await eventually_async(accounted, 15.0)
    assert pico((await shown(gateway, budget))["left"]) == amount - spent
    await gateway.verify()


async def test_a_crowd_spends_its_budget_and_no_more(begin: Begin) -> None:
    await exhaust(begin, "0.04", clients=24, seconds=25.0)


async def test_a_storm_of_kills_spends_no_more_than_the_budget(begin: Begin) -> None:
    await storm(begin, "0.06", clients=16, seconds=9.0, seed=20261128)


@pytest.mark.prove
async def test_two_hundred_clients_spend_a_dollar_and_no_more(begin: Begin) -> None:
    await exhaust(begin, "1", clients=200, seconds=240.0)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(5))
async def test_two_hundred_clients_and_kills_spend_no_more_than_a_dollar(begin: Begin, seed: int) -> None:
    await storm(begin, "1", clients=200, seconds=40.0, seed=seed)
