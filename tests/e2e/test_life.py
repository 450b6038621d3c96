"""Start, end, reload: what an operator does to a gateway, and what it tells."""

import asyncio
import os
import pty
import signal
import stat
import sys
import time
from pathlib import Path

import httpx2
import pytest

from chatvault.config.runtime import runtime_places
from chatvault.fake import FakeProvider
from tests.e2e.conftest import KEY, Begin, configured
from tests.e2e.gateway import Gateway, chat, environment_of, eventually
from tests.e2e.streams import Stream

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_streams_end_within_the_grace_even_if_the_signal_reaches_every_process(
    begin: Begin, number: signal.Signals
) -> None:
    gateway = await begin(drain="10s")
    stream = await Stream.begin(gateway, "sim/pace-20ms+events-60")
    os.killpg(gateway.pid, number)  # as a terminal and a service manager do
    assert (await stream.rest())[-1] == "[DONE]"
    assert await gateway.wait() == 0
    rows = {row["id"]: row["state"] for row in await gateway.rows()}
    assert rows == {stream.id: "completed"}
    assert "starting it again" not in gateway.said("err")


async def test_streams_that_outlast_the_grace_end_with_an_error_event(begin: Begin) -> None:
    gateway = await begin(drain="500ms")
    stream = await Stream.begin(gateway, LONG)
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    await asyncio.sleep(0.15)
    async with httpx2.AsyncClient() as stranger:
        with pytest.raises(httpx2.ConnectError):
            await stranger.get(f"{gateway.url}/health")
    last = (await stream.rest())[-1]
    assert last["error"]["code"] == "draining"
    assert await gateway.wait() == 0
    assert 0.4 < time.monotonic() - began < 6
    [row] = await gateway.rows()
    assert (row["id"], row["state"], row["usage_source"]) == (stream.id, "ended_by_gateway", "estimated")
    await gateway.verify()


async def test_a_second_signal_takes_the_grace_away(begin: Begin) -> None:
    gateway = await begin(drain="60s")
    stream = await Stream.begin(gateway, LONG)
    gateway.signal(signal.SIGTERM)
    await asyncio.sleep(0.2)
    assert not stream.done
    assert await gateway.stop(signal.SIGTERM, 10) == 0
    assert (await stream.rest())[-1]["error"]["code"] == "draining"
    assert [(row["id"], row["state"]) for row in await gateway.rows()] == [(stream.id, "ended_by_gateway")]


async def test_a_changed_configuration_is_taken_over_whole_or_not_at_all(
    gateway: Gateway, provider: FakeProvider
) -> None:
    async with gateway.client() as client:

        async def names() -> set[str]:
            return {model["id"] for model in (await client.get("/models")).json()["data"]}

        assert "mine" not in await names()
        stream = await Stream.begin(gateway, "sim/pace-20ms+events-60")
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
        assert (await stream.rest())[-1] == "[DONE]"


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


async def test_a_worker_loads_no_framework_no_database_and_no_cryptography(begin: Begin) -> None:
    # Not measured: what measures the coverage of our processes loads a database itself.
    gateway = await begin(env={"COVERAGE_PROCESS_CONFIG": ""})
    async with gateway.client() as client:
        assert (await client.post("/chat/completions", json=chat("sim/echo"))).status_code == 200
    loaded = Path(f"/proc/{gateway.family()['worker0']}/maps").read_text()
    assert "uvloop" in loaded
    for module in (
        "httptools",
        "pydantic_core",
        "sqlalchemy",
        "_sqlite3",
        "cryptography",
        "_yaml",
        "greenlet",
    ):
        assert module not in loaded


async def test_children_end_with_a_killed_supervisor_and_the_next_start_works_at_once(
    gateway: Gateway,
) -> None:
    stream = await Stream.begin(gateway, LONG)
    gateway.signal(signal.SIGKILL)
    began = time.monotonic()
    await gateway.wait()
    await gateway.start()
    print(f"serves again {time.monotonic() - began:.2f} s after the supervisor was killed")
    assert (await stream.rest())[-1]["error"]["code"] == "draining"
    assert len(gateway.family()) == 3
    async with gateway.client() as client:
        assert (await client.post("/chat/completions", json=chat("sim/echo"))).status_code == 200
    assert [row["state"] for row in await gateway.level() if row["id"] == stream.id] == ["ended_by_gateway"]
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
