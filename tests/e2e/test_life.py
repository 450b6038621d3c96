"""Start, end, reload: what an operator does to a gateway, and what it tells."""

import asyncio
import os
import pty
import signal
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from chatvault.config.runtime import runtime_places
from chatvault.fake import FakeProvider
from tests.e2e.conftest import KEY, Begin, configured
from tests.e2e.gateway import Gateway, chat, environment_of, events, eventually

LONG = "sim/pace-50ms+events-400"


async def test_a_call_is_answered_on_record_and_in_the_ledger(
    gateway: Gateway, provider: FakeProvider
) -> None:
    async with gateway.client() as client:
        whole = await client.post("/chat/completions", json=chat("sim/echo"))
        assert whole.status_code == 200, whole.text
    [row] = await gateway.level()
    assert row["id"] == whole.headers["x-request-id"] == provider.stats.ids[0]
    price = row["input_tokens"] * 10**6 + row["output_tokens"] * 4 * 10**6
    assert (row["state"], row["attempts"], row["cost"]) == ("completed", 1, price)
    assert await gateway.stop() == 0
    report = await gateway.verify()
    assert sum(chain.signed for chain in report.chains) >= sum(chain.lines for chain in report.chains) - 2
    assert gateway.family() == {}
    places = await asyncio.to_thread(runtime_places, gateway.data)
    assert not places[0].exists()


async def test_the_first_start_tells_its_tokens_in_a_private_file_and_the_second_tells_none(
    gateway: Gateway,
) -> None:
    first = gateway.data / "first-start.txt"
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert str(first) in gateway.said("out")
    first.unlink()
    await gateway.restart()
    assert not first.exists()
    assert gateway.said("out").count("first tokens") == 1
    said = gateway.said("out") + gateway.said("err")
    assert gateway.token not in said
    assert gateway.management not in said
    async with gateway.client() as client:
        assert (await client.get("/models")).status_code == 200


async def test_tokens_are_shown_on_a_terminal(provider: FakeProvider, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, config=configured(provider))
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "chatvault", "serve", "--port", "0", "--admin-port", "0", "--data-dir", str(gateway.data)),
        cwd=tmp_path,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=theirs,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    said = b""

    def shown() -> bool:
        nonlocal said
        try:
            said += os.read(ours, 65536)
        except BlockingIOError:
            pass
        return b"serves on" in said

    try:
        await eventually(shown, 20)
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await process.wait()
        os.close(ours)
    assert said.count(b"cv-") >= 4  # both tokens, and the lines to try
    assert b"curl http://127.0.0.1:" in said
    assert not (gateway.data / "first-start.txt").exists()


async def test_it_is_ready_soon_and_help_is_quick(gateway: Gateway) -> None:
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chatvault", "--help", stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    took = time.monotonic() - began
    print(f"ready after {gateway.ready_after:.2f} s, --help took {took:.2f} s")
    assert gateway.ready_after < 6.0
    assert took < 2.0


async def stream_beside(gateway: Gateway, model: str) -> tuple[asyncio.Task[str], str]:
    """A stream that has begun: the task that reads it, and the call's id."""
    begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def read() -> str:
        text = ""
        with suppress(httpx2.RemoteProtocolError):  # a broken stream does not end as a whole one does
            async with (
                gateway.client() as client,
                client.stream("POST", "/chat/completions", json=chat(model, stream=True)) as answer,
            ):
                async for part in answer.aiter_text():
                    text += part
                    if not begun.done():
                        begun.set_result(answer.headers["x-request-id"])
        return text

    task = asyncio.create_task(read())
    await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    return task, begun.result()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_streams_end_within_the_grace_even_if_the_signal_reaches_every_process(
    begin: Begin, number: signal.Signals
) -> None:
    gateway = await begin(drain="10s")
    task, id = await stream_beside(gateway, "sim/pace-20ms+events-60")
    os.killpg(gateway.pid, number)  # as a terminal and a service manager do
    text = await asyncio.wait_for(task, 15)
    assert events(text)[-1] == "[DONE]"
    assert await gateway.wait() == 0
    rows = {row["id"]: row["state"] for row in await gateway.rows()}
    assert rows == {id: "completed"}
    assert "starting it again" not in gateway.said("err")


async def test_streams_that_outlast_the_grace_end_with_an_error_event(begin: Begin) -> None:
    gateway = await begin(drain="500ms")
    task, id = await stream_beside(gateway, LONG)
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    await asyncio.sleep(0.15)
    async with httpx2.AsyncClient() as stranger:
        with pytest.raises(httpx2.ConnectError):
            await stranger.get(f"{gateway.url}/health")
    last = events(await asyncio.wait_for(task, 10))[-1]
    assert last["error"]["code"] == "draining"
    assert await gateway.wait() == 0
    assert 0.4 < time.monotonic() - began < 6
    [row] = await gateway.rows()
    assert (row["id"], row["state"], row["usage_source"]) == (id, "ended_by_gateway", "estimated")
    await gateway.verify()


async def test_a_second_signal_takes_the_grace_away(begin: Begin) -> None:
    gateway = await begin(drain="60s")
    task, id = await stream_beside(gateway, LONG)
    gateway.signal(signal.SIGTERM)
    await asyncio.sleep(0.2)
    assert not task.done()
    assert await gateway.stop(signal.SIGTERM, 10) == 0
    assert events(await asyncio.wait_for(task, 5))[-1]["error"]["code"] == "draining"
    assert [(row["id"], row["state"]) for row in await gateway.rows()] == [(id, "ended_by_gateway")]


async def test_a_changed_configuration_is_taken_over_whole_or_not_at_all(
    gateway: Gateway, provider: FakeProvider
) -> None:
    async with gateway.client() as client:

        async def names() -> set[str]:
            return {model["id"] for model in (await client.get("/models")).json()["data"]}

        assert "mine" not in await names()
        task, _ = await stream_beside(gateway, "sim/pace-20ms+events-60")
        gateway.configure(configured(provider, "models:\n  mine: {provider: sim, model: echo}\n"))
        gateway.signal(signal.SIGHUP)
        await eventually(lambda: "is in use" in gateway.said("err"))
        assert "mine" in await names()
        gateway.configure(configured(provider, "modles:\n  other: {provider: sim}\n"))
        gateway.signal(signal.SIGHUP)
        await eventually(lambda: "was not changed" in gateway.said("err"))
        assert "modles" in gateway.said("err")
        assert "mine" in await names()
        assert (await client.post("/chat/completions", json=chat("mine"))).status_code == 200
        assert events(await asyncio.wait_for(task, 10))[-1] == "[DONE]"


async def test_processes_that_need_no_secrets_have_none_in_their_environment(
    begin: Begin, tmp_path: Path
) -> None:
    secrets = {
        "ACME_PASSPHRASE": "odd-secret-1",
        "DEEPSEEK_API_KEY": "sk-2222222222",
        "MANAGEMENT_TOKEN": "m" * 20,
    }
    (tmp_path / ".env").write_text("GROQ_API_KEY=gsk_3333333333\n")
    gateway = await begin(env=secrets, words=("--fake",))
    family = gateway.family()
    assert family.keys() == {"control", "worker0", "recorder", "fake"}
    for name, pid in family.items():
        environ = environment_of(pid)
        if name != "control":
            assert not secrets.keys() & environ.keys()
            assert not set(secrets.values()) & set(environ.values())
        assert KEY not in " ".join(environ.values())
        assert b"cv-" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    gateway.management = secrets["MANAGEMENT_TOKEN"]
    assert (await gateway.health())["status"] == "ok"
    assert "Management token" not in (gateway.data / "first-start.txt").read_text()


async def test_children_end_with_a_killed_supervisor_and_the_next_start_works_at_once(
    gateway: Gateway,
) -> None:
    task, id = await stream_beside(gateway, LONG)
    gateway.signal(signal.SIGKILL)
    began = time.monotonic()
    await gateway.wait()
    await gateway.start()
    print(f"serves again {time.monotonic() - began:.2f} s after the supervisor was killed")
    assert events(await asyncio.wait_for(task, 5))[-1]["error"]["code"] == "draining"
    assert len(gateway.family()) == 3
    async with gateway.client() as client:
        assert (await client.post("/chat/completions", json=chat("sim/echo"))).status_code == 200
    assert [row["state"] for row in await gateway.level() if row["id"] == id] == ["ended_by_gateway"]
    await gateway.verify()


async def test_two_workers_share_the_port(begin: Begin) -> None:
    gateway = await begin(words=("--workers", "2"))
    assert gateway.family().keys() == {"control", "worker0", "worker1", "recorder"}
    for _ in range(24):
        async with gateway.client() as client:
            answer = await client.post("/chat/completions", json=chat("sim/echo"))
            assert answer.status_code == 200
    rows = await gateway.level()
    assert len(rows) == 24
    assert {row["chain"].split("-")[0] for row in rows} <= {"worker0", "worker1"}
    token, id = await gateway.make_token()
    async with gateway.operator() as operator:
        assert (await operator.delete(f"/manage/tokens/{id}")).status_code == 204
    for _ in range(8):
        async with gateway.client(token) as client:
            assert (await client.get("/models")).status_code == 401
