"""No record, no call: what happens when the journal cannot be written, and what is kept when it can."""

import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest

from chatvault.audit.lines import Opened
from chatvault.config.schema import AuditConfig
from tests.fake.raw import Heard, chat
from tests.gateway.harness import Gate, gateway, until
from tests.gateway.records import Records

SMALL = AuditConfig(reserve=1 << 16)


class Disk:
    """What the journal writes with: as it should, or not at all, or half of it."""

    def __init__(self) -> None:
        self.fault: int | None = None
        self.half = False
        self.passed = 0
        self.most: int | None = None
        """Writes that still succeed."""

    def write(self, handle: int, data: bytes) -> int:
        if self.most is not None and self.passed >= self.most:
            self.fault = errno.ENOSPC
        if self.fault is not None:
            if self.half:
                os.write(handle, data[: len(data) // 2])
            raise OSError(self.fault, os.strerror(self.fault))
        self.passed += 1
        return os.write(handle, data)


async def records_of(gate: Gate) -> Records:
    return await asyncio.to_thread(Records, gate.journal)


def code_of(heard: Heard) -> str:
    error = heard.json["error"]
    assert isinstance(error, dict)
    return str(error["code"])


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EIO], ids=["full", "read-only", "broken"])
async def test_calls_are_refused_while_the_journal_cannot_be_written(tmp_path: Path, fault: int) -> None:
    disk = Disk()
    async with gateway(tmp_path, write=disk.write) as gate:
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        disk.fault = fault
        for stream in (False, True):
            heard = await gate.send(gate.post(chat("fake/echo", stream=stream)))
            assert (heard.status, code_of(heard), heard.headers["retry-after"]) == (
                503,
                "journal_unavailable",
                "5",
            )
            assert "no" in str(heard.json)
        assert (await gate.send(gate.get("/v1/models"))).status == 200
        assert gate.fake.stats.requests == 1
        disk.fault = None
        await until(lambda: gate.worker.journal.fault is None)
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
    assert {record.state for record in (await records_of(gate)).closed} == {"completed"}


async def test_calls_go_on_without_a_record_if_so_configured(tmp_path: Path) -> None:
    disk = Disk()
    audit = AuditConfig(reserve=1 << 16, on_failure="continue")
    async with gateway(tmp_path, write=disk.write, audit=audit, check=False) as gate:
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        disk.fault = errno.ENOSPC
        for stream in (False, True):
            assert (await gate.send(gate.post(chat("fake/echo", stream=stream)))).status == 200
        disk.fault = None
        await until(lambda: gate.worker.journal.fault is None)
    records = await records_of(gate)
    assert len(records.opened) == 1
    assert len(records.closed) == 3


async def test_what_is_open_when_the_disk_fills_is_closed_on_record_once_there_is_room(
    tmp_path: Path,
) -> None:
    disk = Disk()
    async with gateway(tmp_path, write=disk.write) as gate:
        streams = [
            asyncio.get_running_loop().create_task(
                gate.send(gate.post(chat(f"fake/echo+pace-5ms+events-{20 + n}", stream=True)))
            )
            for n in range(4)
        ]
        await until(lambda: len(gate.worker.calls) == 4)
        disk.fault, disk.half = errno.ENOSPC, True
        for heard in await asyncio.gather(*streams):
            assert heard.events[-1] == "[DONE]"
        disk.fault = None
        await until(lambda: gate.worker.journal.fault is None)
    records = await records_of(gate)
    assert [record.state for record in records.closed] == ["completed"] * 4


async def test_the_line_before_a_second_attempt_cannot_be_written(tmp_path: Path) -> None:
    disk = Disk()
    async with gateway(tmp_path, write=disk.write) as gate:
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        answer = asyncio.get_running_loop().create_task(
            gate.send(gate.post(chat("fake/echo+slow-first-byte-100ms+close-reused")))
        )
        await until(lambda: gate.fake.stats.requests == 2 and gate.worker.calls)
        disk.fault = errno.ENOSPC
        heard = await answer
        assert (heard.status, code_of(heard)) == (503, "journal_unavailable")
        assert gate.fake.stats.requests == 2
        disk.fault = None
        await until(lambda: gate.worker.journal.fault is None)
    record = (await records_of(gate)).of(heard.headers["x-request-id"])
    assert (record.state, record.code, record.attempts) == ("gateway_error", "journal_unavailable", 1)
    assert (record.cost, record.cost_source) == (None, "unknown")


async def test_with_power_durability_a_call_waits_for_the_disk(tmp_path: Path) -> None:
    from threading import Event

    from chatvault.audit.durable import sync_data

    go, begun = Event(), Event()

    def sync(handle: int) -> None:
        begun.set()
        go.wait(5)
        sync_data(handle)

    audit = AuditConfig(reserve=1 << 16, durability="power")
    go.set()
    async with gateway(tmp_path, audit=audit, sync=sync) as gate:
        await gate.send(gate.get("/v1/models"))
        go.clear()
        begun.clear()
        answer = asyncio.get_running_loop().create_task(gate.send(gate.post(chat("fake/echo"))))
        await until(begun.is_set)
        await asyncio.sleep(0.05)
        assert gate.fake.stats.requests == 0
        go.set()
        assert (await answer).status == 200
        stream = await gate.send(gate.post(chat("fake/echo", stream=True)))
        assert stream.events[-1] == "[DONE]"
        heards = await asyncio.gather(*(gate.send(gate.post(chat("fake/echo", seed=n))) for n in range(20)))
        assert {heard.status for heard in heards} == {200}
    assert len((await records_of(gate)).closed) == 22


async def test_with_power_durability_a_client_may_leave_while_the_disk_is_awaited(tmp_path: Path) -> None:
    from threading import Event

    go, begun = Event(), Event()

    def sync(handle: int) -> None:
        begun.set()
        go.wait(5)

    audit = AuditConfig(reserve=1 << 16, durability="power")
    go.set()
    async with gateway(tmp_path, audit=audit, sync=sync) as gate:
        await gate.send(gate.get("/v1/models"))
        go.clear()
        begun.clear()
        _, writer = await gate.open()
        writer.write(gate.post(chat("fake/echo")))
        await until(begun.is_set)
        writer.transport.abort()
        await gate.settled(1)
        go.set()
        await asyncio.sleep(0.05)
        assert gate.fake.stats.requests == 0
    record = (await records_of(gate)).only()
    assert (record.state, record.attempts, record.cost, record.cost_source) == ("client_gone", 0, 0, "free")


async def test_with_power_durability_a_sync_that_fails_refuses_the_call(tmp_path: Path) -> None:
    broken = False

    def sync(handle: int) -> None:
        if broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    audit = AuditConfig(reserve=1 << 16, durability="power")
    async with gateway(tmp_path, audit=audit, sync=sync, check=False) as gate:
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        broken = True
        for _ in range(2):
            heard = await gate.send(gate.post(chat("fake/echo")))
            assert (heard.status, code_of(heard)) == (503, "journal_unavailable")
        assert gate.fake.stats.requests == 1


async def test_bodies_are_kept_when_asked_for_without_their_secrets(tmp_path: Path) -> None:
    secret = "sk-proj-abcdefghijklmnop1234"
    audit = AuditConfig(reserve=1 << 16, bodies="full")
    async with gateway(tmp_path, audit=audit) as gate:
        body = chat("fake/echo", user="someone", metadata={"team": "red"})
        body["messages"] = [{"role": "user", "content": f"my key is {secret}, is it not?"}]
        assert secret in (await gate.send(gate.post(body))).body.decode()
        streamed = await gate.send(gate.post({**body, "stream": True}))
        assert streamed.status == 200
        failed = await gate.send(gate.post({**body, "model": "fake/fail-401"}))
        assert failed.status == 401
    records = await records_of(gate)
    text = await asyncio.to_thread(_all_text, tmp_path)
    assert secret not in text
    assert gate.token not in text
    first, second, third = records.closed
    for line in records.opened:
        kept = records.private(line, line.private)
        assert kept is not None
        assert "is it not?" in str(kept["request"])
        assert "[redacted]" in str(kept["request"])
    whole = records.private(first, first.private)
    assert whole is not None
    assert whole["metadata"] == {"metadata": {"team": "red"}, "user": "someone"}
    assert "is it not?" in str(whole["response"])
    events = records.private(second, second.private)
    assert events is not None
    assert "[DONE]" in str(events["response"])
    error = records.private(third, third.private)
    assert error is not None
    assert error["error"]


async def test_kept_bodies_are_bounded(tmp_path: Path) -> None:
    audit = AuditConfig(reserve=1 << 16, bodies="full", max_kept_body=1000)
    async with gateway(tmp_path, audit=audit) as gate:
        await gate.send(gate.post(chat("fake/echo+size-100k", more="z" * 50_000, stream=True)))
    records = await records_of(gate)
    opened, closed = records.opened[0], records.only()
    request, response = records.private(opened, opened.private), records.private(closed, closed.private)
    assert request is not None
    assert response is not None
    assert len(str(request["request"])) <= 1000
    assert isinstance(request["request_size"], int)
    assert request["request_size"] > 50_000
    assert len(str(response["response"])) <= 1000


async def test_without_bodies_a_record_holds_who_and_why_but_not_what(tmp_path: Path) -> None:
    async with gateway(tmp_path, audit=SMALL) as gate:
        body = chat("fake/fail-500", user="someone")
        await gate.send(gate.post(body, **{"user-agent": "tests/7"}))
    records = await records_of(gate)
    closed, opened = records.only(), records.opened[0]
    private = records.private(closed, closed.private)
    assert private is not None
    assert set(private) == {"error", "metadata"}
    who = records.private(opened, opened.client)
    assert who == {"address": "127.0.0.1", "user_agent": "tests/7"}
    chained = b"".join(msgspec.json.encode(line) for line in records.lines)
    assert b"someone" not in chained
    assert b"127.0.0.1" not in chained
    assert "hello there" not in await asyncio.to_thread(_all_text, tmp_path)


async def test_a_price_is_on_record_once_before_what_refers_to_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, prices={"fake/*": {"input": 3, "output": 5, "request": 1000}}) as gate:
        for _ in range(3):
            assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
    records = await records_of(gate)
    (price,) = records.priced
    assert price.rates == {"input": 3, "output": 5, "request": 1000}
    first = next(line for line in records.lines if isinstance(line, Opened))
    assert price.seq < first.seq
    for record in records.closed:
        assert record.usage is not None
        assert record.price == price.version
        assert record.cost == 1000 + 3 * record.usage.input + 5 * record.usage.output


async def test_what_nobody_has_a_price_for_costs_nobody_knows_what(tmp_path: Path) -> None:
    async with gateway(tmp_path, prices={}) as gate:
        for stream in (False, True):
            await gate.send(gate.post(chat("fake/echo", stream=stream)))
        free = msgspec.structs.replace(gate.control.snapshot.providers["fake"], free=True)
        await gate.control.configure(msgspec.structs.replace(gate.control.snapshot, providers={"fake": free}))
        await gate.send(gate.post(chat("fake/echo")))
    *unknown, free_call = (await records_of(gate)).closed
    for record in unknown:
        assert (record.usage_source, record.cost, record.cost_source, record.price) == (
            "provider",
            None,
            "unknown",
            None,
        )
    assert (free_call.cost, free_call.cost_source) == (0, "free")


async def test_a_worst_case_is_known_before_the_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        await gate.send(gate.post(chat("fake/echo", max_tokens=50)))
        await gate.send(gate.post(chat("fake/echo")))
    bounded, open_ended = (await records_of(gate)).opened
    assert bounded.reserved is not None
    assert 50 * 4_000_000 < bounded.reserved <= 50 * 4_000_000 + bounded.input_bytes * 1_000_000
    assert open_ended.reserved is None


def _all_text(folder: Path) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())
