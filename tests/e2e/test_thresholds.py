"""Thresholds for real: a budget is spent while control is killed; each threshold is on record exactly once, and reaches
the webhook at least once, signed."""

import asyncio
import os
import re
import signal
import sys

import httpx2

from chatvault.audit.lines import Event
from tests.control.receiver import SECRET, receiving
from tests.e2e.conftest import Begin
from tests.e2e.gateway import Gateway, chat, eventually, eventually_async
from tests.e2e.test_budgets import budgeted, shown


async def spend(gateway: Gateway, token: str, model: str = "sim/echo", times: int = 1) -> list[str]:
    """The ids of the calls, or of those that were let in."""
    ids = []
    async with httpx2.AsyncClient(base_url=f"{gateway.url}/v1", timeout=20, trust_env=False) as client:
        for _ in range(times):
            headers = {"authorization": f"Bearer {token}"}
            wanted = chat(model, "hello " * 20, stream=model != "sim/echo", max_tokens=40)
            try:
                answer = await client.post("/chat/completions", json=wanted, headers=headers)
            except httpx2.HTTPError:
                continue
            if answer.status_code != 429:
                ids.append(answer.headers["x-request-id"])
    return ids


async def events(gateway: Gateway) -> list[Event]:
    return [line for line in await gateway.lines() if isinstance(line, Event)]


async def test_each_threshold_is_on_record_once_and_reaches_the_webhook_whatever_is_killed(
    begin: Begin,
) -> None:
    async with receiving(500, "redirect", "reset") as receiver:
        env = {
            "CHATVAULT_WEBHOOKS_URL": receiver.url(),
            "CHATVAULT_WEBHOOKS_SECRET": SECRET,
            "CHATVAULT_WEBHOOKS_ALLOW_PRIVATE": "true",
            "CHATVAULT_BUDGETS_THRESHOLDS": "1,50,80",
        }
        gateway = await begin("log_level: debug\nlimits: {default_requests_per_hour: 0}\n", env=env)
        token, budget = await budgeted(gateway, "0.002")
        wanted = {f"budget/{budget}/0/{percent}" for percent in (1, 50, 80)}
        for number in range(30):
            if not await spend(gateway, token, times=3):
                break
            if number in (0, 4):
                await kill_control(gateway)

        async def on_record() -> bool:
            return {event.id for event in await events(gateway)} >= wanted

        await eventually_async(on_record, 15)
        await kill_control(gateway)
        await eventually(
            lambda: {got.headers["x-chatvault-event-id"] for got in receiver.got[3:]} >= wanted, 40
        )
        assert all(got.genuine for got in receiver.got)
        await gateway.level()
        health = await gateway.health()
        assert health["webhook"]["to"] == f"http://127.0.0.1:{receiver.port}"
        assert await gateway.stop() == 0
    recorded = await events(gateway)
    assert sorted(event.id for event in recorded) == sorted(wanted)
    assert all(event.spent * 100 >= event.amount * event.percent for event in recorded)
    said = gateway.said("out") + gateway.said("err")
    assert "secret-path" not in said
    assert SECRET not in said
    await gateway.verify()


async def kill_control(gateway: Gateway) -> None:
    pid = gateway.family()["control"]
    os.kill(pid, signal.SIGKILL)
    await gateway.member("control", but=pid)

    async def answers() -> bool:
        try:
            return bool(await gateway.health())
        except (httpx2.HTTPError, KeyError):
            return False

    await eventually_async(answers, 10)


async def shell(gateway: Gateway, *words: str) -> tuple[int | None, str]:
    """`chatvault budget ...`: its exit status, and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chatvault", "budget", *words, "--data-dir", str(gateway.data),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_call_that_was_cut_gets_its_real_cost(begin: Begin) -> None:
    gateway = await begin("limits: {default_requests_per_hour: 0}\n")
    token, budget = await budgeted(gateway, "1.00")
    ids = await spend(gateway, token, "sim/cut-after-3")
    await gateway.level()
    (row,) = [row for row in await gateway.rows() if row["state"] != "completed"]
    assert ids in ([], [row["id"]])
    assert row["cost_source"] in ("unknown", "estimated")

    async def settled() -> bool:
        return float((await shown(gateway, budget))["settled"]) > 0.000001

    await eventually_async(settled, 5)
    status, said = await shell(gateway, "reconcile", row["id"], "0.000001")
    assert status == 0, said
    assert re.search(rf"{budget} +\$0\.\d+ +\$0\.\d+", said)
    status, said = await shell(gateway, "reconcile", row["id"], "0.000001", "--json")
    assert status == 2
    assert "told before" in said
    await spend(gateway, gateway.token, "sim/cut-after-3")
    await gateway.level()
    (other,) = [each for each in await gateway.rows() if each["id"] != row["id"]]
    status, said = await shell(gateway, "reconcile", other["id"], "1")
    assert (status, said) == (0, "It is on record. No budget had to pay for this call.\n")
    after = await shown(gateway, budget)
    assert after["settled"] == "0.000001"
