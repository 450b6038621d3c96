"""Limits that workers share in a real Valkey: exact together, and never waited for when it is away."""

import asyncio
import logging
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgspec
import pytest

from chatvault.access.limiter import Limiter
from chatvault.access.limits import Limited, Limits
from chatvault.access.reading import Reading
from chatvault.config.schema import LimitsConfig, ServerConfig
from chatvault.feed.messages import Readings, ShowLimits
from chatvault.gateway.limit_hold import Hold
from chatvault.gateway.shared_limits import SharedLimits
from tests.fake.raw import Heard, chat
from tests.gateway.harness import Gate, gateway, until
from tests.gateway.test_refusals import code_of, message_of
from tests.gateway.valkey import Valkey, free_port, valkey

HELLO = chat("fake/echo", max_tokens=10)
SLOW = chat("fake/pace-20ms+events-100", stream=True, max_tokens=10)
PATIENT = 1.0
"""Seconds: a busy machine is not what is tested."""


@pytest.fixture
async def store() -> AsyncIterator[Valkey]:
    async with valkey() as server:
        yield server


@asynccontextmanager
async def sharing(tmp_path: Path, url: str, workers: int = 1, **settings: Any) -> AsyncIterator[list[Gate]]:
    """Workers that believe to be two, and so hold half of each limit by themselves."""
    wanted = LimitsConfig(store=url, **{"store_timeout": PATIENT, **settings})
    async with AsyncExitStack() as stack:
        gates = [
            await stack.enter_async_context(
                gateway(tmp_path / str(number), limits=wanted, server=ServerConfig(workers=2))
            )
            for number in range(workers)
        ]
        yield gates


def limited(gate: Gate, **limits: Any) -> str:
    return gate.control.token(limits=(Limited("token", "tok_1", Limits(**limits)),))


async def ready(gate: Gate) -> None:
    await until(lambda: gate.worker.shared.fault is None)


async def call(gate: Gate, token: str) -> Heard:
    return await gate.send(gate.post(HELLO, token=token))


class _Hearing:
    """A feed that remembers what is told."""

    def __init__(self, heard: list[Readings]) -> None:
        self._heard = heard

    def tell(self, message: Readings) -> bool:
        self._heard.append(message)
        return True


async def test_a_limit_is_exact_over_workers_however_uneven_their_share(
    tmp_path: Path, store: Valkey
) -> None:
    async with sharing(tmp_path, store.url, 2) as (one, two):
        await ready(one)
        await ready(two)
        tokens = [limited(gate, requests_per_minute=8) for gate in (one, two)]
        gates = [(one, tokens[0])] * 9 + [(two, tokens[1])] * 3
        heard = await asyncio.gather(*(call(*each) for each in gates))
        assert sorted(each.status for each in heard) == [200] * 8 + [429] * 4
        refused = next(each for each in heard if each.status == 429)
        assert "8 requests a minute of the token tok_1 is reached (8 within the last minute)" in message_of(
            refused
        )
        assert 58 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"


async def test_tokens_are_settled_and_calls_under_way_leave(tmp_path: Path, store: Valkey) -> None:
    async with sharing(tmp_path, store.url, 2) as (one, two):
        await ready(one)
        await ready(two)
        mine, other = (limited(gate, concurrent=1, tokens_per_minute=100_000) for gate in (one, two))
        reader, writer = await one.open()
        writer.write(one.post(SLOW, token=mine))
        await reader.readuntil(b"data:")
        refused = await call(two, other)
        assert (refused.status, code_of(refused)) == (429, "too_many_calls")
        writer.close()
        await one.settled(1)
        await until(lambda: not one.worker.calls)
        answered = await call(two, other)
        assert answered.status == 200
        used = answered.json["usage"]["total_tokens"]  # type: ignore[index]
        assert int(answered.headers["x-ratelimit-remaining-tokens"]) < 100_000
        await two.settled(1)
        found: list[Readings] = []
        feed, two.worker.feed = two.worker.feed, _Hearing(found)  # type: ignore[assignment]
        two.worker.show_limits(ShowLimits(3))
        await until(lambda: found)
        two.worker.feed = feed
        rows = {row.limit: row for row in found[0].rows}
        assert found[0].shared
        assert isinstance(rows["concurrent"], Reading)
        assert rows["concurrent"].used == rows["tokens_per_minute"].running == 0
        assert rows["tokens_per_minute"].used >= used


@pytest.mark.parametrize("how", ["killed", "paused", "refusing"])
async def test_without_the_store_each_worker_holds_its_share_and_with_it_again_the_whole(
    tmp_path: Path, store: Valkey, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "chatvault.gateway.shared_limits")
    async with sharing(tmp_path, store.url, store_timeout=0.05) as (gate,):
        await ready(gate)
        token = limited(gate, requests_per_minute=6)
        assert (await call(gate, token)).status == 200
        if how == "killed":
            await store.kill()
        elif how == "paused":
            store.signal(signal.SIGSTOP)
        else:
            await store.ask("CONFIG", "SET", "maxmemory", "1")
        begun = perf_counter()
        heard = [await call(gate, token) for _ in range(4)]
        assert [each.status for each in heard] == [200, 200, 429, 429], "half of six"
        assert perf_counter() - begun < 1.5
        await until(lambda: gate.worker.shared.fault is not None)
        assert gate.worker._health().limits_fault is not None
        if how == "killed":
            await store.start()
        elif how == "paused":
            store.signal(signal.SIGCONT)
        else:
            await store.ask("CONFIG", "SET", "maxmemory", "0")
        await until(lambda: gate.worker.shared.fault is None)
        assert (await call(gate, token)).status == 200
        said = [record.message for record in caplog.records if "cannot be used" in record.message]
        assert len(said) == 1


async def test_closed_refuses_what_the_store_does_not_decide(tmp_path: Path, store: Valkey) -> None:
    async with sharing(tmp_path, store.url, on_store_failure="closed") as (gate,):
        await ready(gate)
        token = limited(gate, requests_per_minute=6)
        assert (await call(gate, token)).status == 200
        await store.kill()
        await until(lambda: gate.worker.shared.fault is not None)
        heard = await call(gate, token)
        assert (heard.status, code_of(heard)) == (503, "limits_unavailable")
        assert (await gate.send(gate.post(HELLO))).status == 200, "a token without limits needs no store"
        assert (await gate.records()).refused[-1].code == "limits_unavailable"


async def test_a_store_that_lost_its_scripts_gets_them_again(tmp_path: Path, store: Valkey) -> None:
    async with sharing(tmp_path, store.url) as (gate,):
        await ready(gate)
        token = limited(gate, requests_per_minute=2)
        assert (await call(gate, token)).status == 200
        assert await store.ask("SCRIPT", "FLUSH") == b"+OK\r\n"
        assert [(await call(gate, token)).status for _ in range(2)] == [200, 429]
        assert gate.worker.shared.fault is None


async def test_a_wrong_password_is_told_and_a_right_one_of_a_user_works(tmp_path: Path) -> None:
    port = free_port()
    words = (
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--user",
        *["limits", "on", ">pa:ss", "~*", "&*", "+@all"],
        "--requirepass",
        "x",
    )
    async with valkey(*words) as server, AsyncExitStack() as stack:
        wrong = f"redis://limits:no@127.0.0.1:{port}/1"
        (gate,) = await stack.enter_async_context(sharing(tmp_path / "a", wrong))
        await until(lambda: "WRONGPASS" in (gate.worker.shared.fault or ""))
        token = limited(gate, requests_per_minute=6)
        assert [(await call(gate, token)).status for _ in range(4)] == [200, 200, 200, 429]
        right = LimitsConfig(store=f"valkey://limits:pa%3Ass@127.0.0.1:{port}/1", store_timeout=PATIENT)
        gate.worker.configure(msgspec.structs.replace(gate.worker.snapshot, limits=right))
        await ready(gate)
        assert (await call(gate, token)).status == 200
        assert server.socket.exists()


async def test_a_call_that_leaves_while_the_store_decides_takes_nothing(
    tmp_path: Path, store: Valkey
) -> None:
    async with sharing(tmp_path, store.url) as (gate,):
        await ready(gate)
        token = limited(gate, requests_per_minute=2, concurrent=1)
        assert (await call(gate, token)).status == 200
        store.signal(signal.SIGSTOP)
        _, writer = await gate.open()
        writer.write(gate.post(HELLO, token=token))
        await until(lambda: gate.worker.shared._waiting)
        writer.close()
        await until(lambda: not gate.worker.connections)
        store.signal(signal.SIGCONT)
        await until(lambda: gate.worker.shared.fault is None and not gate.worker.shared._waiting)
        assert [(await call(gate, token)).status for _ in range(2)] == [200, 429]


def test_without_the_parser_the_extra_is_named() -> None:
    code = "import sys; sys.modules['hiredis'] = None\nimport chatvault.net.resp"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'chatvault[redis]'" in found.stderr


@pytest.mark.prove
@pytest.mark.parametrize(("together", "budget"), [(1, 200), (100, 50)])
async def test_what_the_store_costs_a_worker(store: Valkey, together: int, budget: int) -> None:
    """CPU of asking and settling, by a token and a project with two windows each; printed for docs/performance.md."""
    loop, calls, limiter = asyncio.get_running_loop(), 10_000, Limiter()
    limits = Limits(requests_per_minute=10**9, tokens_per_day=10**12, concurrent=10**6)
    meters = tuple(limiter.meter(Limited(scope, "x", limits)) for scope in ("token", "project"))
    shared = SharedLimits(loop, ssl.create_default_context)
    shared.configure(LimitsConfig(store=store.url, store_timeout=PATIENT))
    running = loop.create_task(shared.run())
    await until(lambda: shared.fault is None)
    left, done = 0, asyncio.Event()

    def told(hold: Hold, answered: bool) -> None:
        nonlocal left
        assert answered
        assert hold.through
        hold.settle(50)
        left -= 1
        if not left:
            done.set()

    used, began = process_time(), perf_counter()
    for _ in range(calls // together):
        left = together
        done.clear()
        for _ in range(together):
            assert shared.ask(meters, 100, told) is not None
        await done.wait()
    used, took = process_time() - used, perf_counter() - began
    running.cancel()
    await asyncio.wait([running])
    print(
        f"{together} at a time: {used / calls * 1e6:.1f} us of CPU a call, {took / calls * 1e6:.1f} us in all"
    )
    assert used / calls * 1e6 < budget
