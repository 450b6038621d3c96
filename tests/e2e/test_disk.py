"""Disks that are full, files that are damaged, locked or gone: calls are refused rather than unrecorded, and
nothing is lost."""

import asyncio
import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatvault.fake import FakeProvider
from tests.e2e.conftest import Begin
from tests.e2e.gateway import Gateway, Row, chat, eventually, eventually_async
from tests.e2e.streams import Stream

LEDGER = ("chatvault.db", "chatvault.db-wal", "chatvault.db-shm")


async def calls(gateway: Gateway, count: int) -> None:
    async with gateway.client() as client:
        for _ in range(count):
            answer = await client.post("/chat/completions", json=chat("sim/echo"))
            assert answer.status_code == 200, answer.text


def delete_ledger(gateway: Gateway) -> None:
    for name in LEDGER:
        (gateway.data / name).unlink(missing_ok=True)


async def mixed(gateway: Gateway) -> list[Row]:
    """Calls that end in several ways, and their rows."""
    await calls(gateway, 5)
    async with gateway.client() as client:
        for model in ("sim/fail-500", "sim/cut-after-3", "sim/garbage"):
            await client.post("/chat/completions", json=chat(model))
    stream = await Stream.begin(gateway, "sim/pace-50ms+events-400")
    os.kill(gateway.family()["worker0"], signal.SIGKILL)
    await stream.rest()
    await calls(gateway, 2)
    rows = await gateway.level()
    assert len(rows) == 11
    assert len({row["state"] for row in rows}) >= 4
    return rows


async def test_a_ledger_that_was_deleted_is_rebuilt_as_it_was(gateway: Gateway) -> None:
    before = await mixed(gateway)
    await gateway.stop()
    delete_ledger(gateway)
    await gateway.start()
    assert await gateway.level() == before
    delete_ledger(gateway)  # and while it runs
    await calls(gateway, 1)
    rows = await gateway.level()
    assert [row for row in rows if row["id"] in {row["id"] for row in before}] == before
    assert len(rows) == len(before) + 1


async def test_a_damaged_ledger_is_said_to_be_and_calls_go_on(gateway: Gateway) -> None:
    await calls(gateway, 3)
    before = await gateway.level()
    await gateway.stop()
    delete_ledger(gateway)
    (gateway.data / "chatvault.db").write_bytes(b"no database" * 1000)
    await gateway.start()
    await calls(gateway, 2)
    await eventually(lambda: "the ledger:" in gateway.said("err"))
    health = await gateway.health()
    assert health["status"] == "degraded"
    assert "chatvault.db" in " ".join(health["problems"])
    delete_ledger(gateway)
    rows = await gateway.level()
    assert len(rows) == 5
    assert rows[:3] == before
    await gateway.verify()


async def test_a_locked_ledger_holds_up_nothing(gateway: Gateway) -> None:
    await calls(gateway, 1)
    await gateway.level()
    lock = await asyncio.to_thread(_locked, gateway.data / "chatvault.db")
    try:
        await calls(gateway, 5)
        await eventually(lambda: "the ledger:" in gateway.said("err"))
        await calls(gateway, 1)
        assert len(await gateway.rows()) == 1
    finally:
        await asyncio.to_thread(lock.close)
    assert len(await gateway.level()) == 7


def _locked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


@contextmanager
def full_disk(gateway: Gateway) -> Iterator[None]:
    """For the worker: no file of its may grow beyond what its journal has now, and a little."""
    [journal] = (gateway.data / "journal").glob("worker0-*.jsonl")
    pid = gateway.family()["worker0"]
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (journal.stat().st_size + 1500, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


async def test_without_room_for_the_record_no_call_goes_out_and_nothing_is_lost(
    gateway: Gateway, provider: FakeProvider
) -> None:
    await calls(gateway, 2)
    stream = await Stream.begin(gateway, "sim/pace-20ms+events-60")
    async with gateway.client() as client:
        with full_disk(gateway):
            statuses: list[int] = []
            for _ in range(8):
                seen = provider.stats.requests
                answer = await client.post("/chat/completions", json=chat("sim/echo"))
                statuses.append(answer.status_code)
                if answer.status_code == 503:
                    assert provider.stats.requests == seen
                    assert "journal" in answer.json()["error"]["message"]
            assert statuses[-4:] == [503] * 4
            assert (await stream.rest())[-1] == "[DONE]"

            async def shown() -> bool:
                health = await gateway.health()
                return any(problem.startswith("Worker 0: ") for problem in health["problems"])

            await eventually_async(shown)

        async def serves() -> bool:
            return (await client.post("/chat/completions", json=chat("sim/echo"))).status_code == 200

        await eventually_async(serves)
    rows = await gateway.level()
    assert {row["id"] for row in rows if row["state"] != "refused"} == set(provider.stats.ids)
    assert {row["id"]: row["state"] for row in rows}[stream.id] == "completed"

    async def well() -> bool:
        return not (await gateway.health())["problems"]

    await eventually_async(well)
    await gateway.verify()


async def test_a_worker_that_dies_on_a_full_disk_loses_no_call(
    gateway: Gateway, provider: FakeProvider
) -> None:
    await calls(gateway, 1)
    stream = await Stream.begin(gateway, "sim/pace-50ms+events-400")
    async with gateway.client() as client:
        with full_disk(gateway):
            while (await client.post("/chat/completions", json=chat("sim/echo"))).status_code == 200:
                pass
            os.kill(gateway.family()["worker0"], signal.SIGKILL)
            await stream.rest()
    await calls(gateway, 1)
    rows = {row["id"]: row["state"] for row in await gateway.level()}
    assert rows[stream.id] == "interrupted"
    assert {id for id, state in rows.items() if state != "refused"} == set(provider.stats.ids)
    await gateway.verify()


async def test_a_journal_folder_that_cannot_be_written_keeps_a_new_worker_from_serving_until_it_can(
    begin: Begin,
) -> None:
    gateway = await begin()
    await calls(gateway, 1)
    folder = gateway.data / "journal"
    hidden = gateway.data / "journal-hidden"
    folder.rename(hidden)
    folder.write_text("in the way")
    first = gateway.family()["worker0"]
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: gateway.said("err").count("starting it again") >= 2)
    folder.unlink()
    hidden.rename(folder)
    await gateway.member("worker0", but=first)
    await calls(gateway, 1)
    assert {row["state"] for row in await gateway.level()} == {"completed"}
    assert "journal" in gateway.said("err")
    await gateway.verify()
