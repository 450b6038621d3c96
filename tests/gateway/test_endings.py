"""Leaving, slowness, revocation, shutdown, a control plane that is away: what becomes of the calls under way."""

import asyncio
import socket
from pathlib import Path
from typing import cast

import msgspec
import pytest

from chatvault.config.schema import ServerConfig, Timeouts
from chatvault.config.snapshot import Snapshot
from tests.fake.raw import Heard, chat
from tests.gateway.harness import Gate, converse, gateway, until
from tests.gateway.records import Records


async def records_of(gate: Gate) -> Records:
    return await asyncio.to_thread(Records, gate.journal)


def code_of(heard: Heard) -> str:
    error = heard.json["error"]
    assert isinstance(error, dict)
    return str(error["code"])


def changed(snapshot: Snapshot, **changes: object) -> Snapshot:
    return msgspec.structs.replace(snapshot, **changes)


# --- the provider's connection


@pytest.mark.parametrize("fault", ["close-reused", "reset-reused"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_stale_connection_is_tried_once_again_with_a_line_before(
    tmp_path: Path, fault: str, stream: bool
) -> None:
    async with gateway(tmp_path) as gate:
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        heard = await gate.send(gate.post(chat(f"fake/echo+{fault}", stream=stream)))
        assert heard.status == 200
        assert heard.whole()
        assert gate.fake.stats.connections == 2
        seen = gate.fake.stats.seen  # type: ignore[attr-defined]
    records = await records_of(gate)
    call = heard.headers["x-request-id"]
    (attempt,) = records.attempted
    assert (attempt.id, attempt.number, attempt.after, attempt.target) == (
        call,
        2,
        "stale_connection",
        f"echo+{fault}",
    )
    record = records.of(call)
    assert (record.state, record.attempts, record.usage_source) == ("completed", 2, "provider")
    assert [marker for marker, _ in seen].count(call) == 2


async def test_each_attempt_may_have_been_billed(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        heard = await gate.send(gate.post(chat("fake/fail-500+close-reused", max_tokens=7)))
        assert heard.status == 500
    records = await records_of(gate)
    record = records.of(heard.headers["x-request-id"])
    (attempt,) = records.attempted
    assert attempt.reserved
    assert (record.attempts, record.cost, record.bound) == (2, None, 2 * attempt.reserved)


async def test_a_fresh_connection_that_dies_is_not_tried_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/close")))
        assert heard.status == 502
        assert gate.fake.stats.requests == 1
    assert (await records_of(gate)).only().attempts == 1


# --- the client leaves


async def test_an_answer_whose_client_left_is_read_on_if_so_configured(tmp_path: Path) -> None:
    server = ServerConfig(client_gone="drain", drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/echo+pace-10ms+events-20", stream=True)))
        await reader.readuntil(b"data:")
        writer.transport.abort()
        _other, leaving = await gate.open()
        leaving.write(gate.post(chat("fake/echo+slow-first-byte-100ms")))
        await until(lambda: len(gate.worker.calls) == 2)
        leaving.transport.abort()
        await gate.settled(2)
        assert gate.fake.stats.completed == 2
    for record in (await records_of(gate)).closed:
        assert (record.state, record.code) == ("client_gone", "client_gone")
        assert (record.usage_source, record.cost_source) == ("provider", "prices")
        assert record.usage is not None
        if record.stream:
            assert record.usage.output == 20


async def test_leaving_while_the_provider_is_dialled(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        async with gateway(tmp_path, timeouts=Timeouts(connect=5.0)) as gate:
            address = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
            provider = msgspec.structs.replace(
                gate.control.snapshot.providers["fake"], name="full", base_url=address
            )
            providers = {**gate.control.snapshot.providers, "full": provider}
            await gate.control.configure(changed(gate.control.snapshot, providers=providers))
            for _ in range(3):
                _, writer = await gate.open()
                writer.write(gate.post(chat("full/any")))
            await until(lambda: len(gate.worker.calls) == 3)
            for connection in [*gate.worker.connections]:
                connection._transport.abort()
            await gate.settled(3)
    assert {record.state for record in (await records_of(gate)).closed} == {"client_gone"}


# --- slow clients


async def test_a_slow_client_holds_the_provider_back(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", gate.port))
        model = "fake/event-size-64k+events-1000"
        await loop.sock_sendall(connection, gate.post(chat(model, stream=True)))
        await until(lambda: gate.worker.calls)
        (call,) = gate.worker.calls
        await until(lambda: call.paused)
        await asyncio.sleep(0.2)
        passed, last = call.bytes_out, -1
        assert passed < 16_000_000, "64 MB were to come"
        while last != call.bytes_out:
            last = call.bytes_out
            await asyncio.sleep(0.1)
        (served,) = gate.worker.connections
        assert served._transport.get_write_buffer_size() < 2_000_000
        size = 0
        async with asyncio.timeout(20):
            while data := await loop.sock_recv(connection, 1 << 20):
                size += len(data)
                if data.endswith(b"0\r\n\r\n"):
                    break
        assert size > 64_000_000
        connection.close()
    assert (await records_of(gate)).only().state == "completed"


async def test_a_client_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    server = ServerConfig(send_timeout=0.2, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        _, writer = await gate.open()
        cast(asyncio.Transport, writer.transport).pause_reading()
        writer.write(gate.post(chat("fake/event-size-64k+events-1000", stream=True)))
        await gate.settled(1)
        await until(lambda: gate.fake.stats.aborted == 1)
        await until(lambda: not gate.worker.connections)
    record = (await records_of(gate)).only()
    assert (record.state, record.usage_source) == ("client_gone", "estimated")


# --- what control says


async def test_a_revocation_ends_what_is_under_way_in_every_phase(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        other = gate.control.token()
        streaming_reader, streaming = await gate.open()
        streaming.write(gate.post(chat("fake/pace-20ms+events-500", stream=True)))
        waiting_reader, waiting = await gate.open()
        waiting.write(gate.post(chat("fake/hang")))
        sending_reader, sending = await gate.open()
        request = gate.post(chat("fake/echo"))
        sending.write(request[:-10])
        kept_reader, kept = await gate.open()
        kept.write(gate.post(chat("fake/echo+slow-first-byte-150ms"), token=other))
        await until(lambda: len(gate.worker.calls) == 3 and gate.fake.stats.in_flight == 3)
        await gate.control.revoke(gate.token)
        for reader in (streaming_reader, waiting_reader):
            async with asyncio.timeout(1):
                await reader.readuntil(b"token_revoked")
        sending.write(request[-10:])
        async with asyncio.timeout(1):
            await sending_reader.readuntil(b"token_revoked")
        again = await gate.send(gate.post(chat("fake/echo")))
        assert (again.status, code_of(again)) == (401, "token_revoked")
        assert (await converse(kept_reader, kept, b"")).status == 200
    records = await records_of(gate)
    states = sorted(record.state for record in records.closed)
    assert states == ["completed", "ended_by_gateway", "ended_by_gateway"]


async def test_a_token_that_expires_does_not_open_any_more(tmp_path: Path) -> None:
    from chatvault.core.clock import now_us

    async with gateway(tmp_path) as gate:
        token = gate.control.token(expires_at=now_us() + 150_000)
        assert (await gate.send(gate.post(chat("fake/echo"), token=token))).status == 200
        await asyncio.sleep(0.2)
        heard = await gate.send(gate.post(chat("fake/echo"), token=token))
        assert (heard.status, code_of(heard)) == (401, "token_expired")


async def test_while_control_is_away_known_tokens_work_and_others_are_told_so(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        new = gate.control.token()
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        await gate.control.stop()
        await until(lambda: not gate.worker.feed.connected)
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200
        heard = await gate.send(gate.post(chat("fake/echo"), token=new))
        assert (heard.status, code_of(heard), heard.headers["retry-after"]) == (
            503,
            "control_unavailable",
            "2",
        )
        await gate.control.start()
        await until(lambda: gate.worker.feed.connected)
        assert (await gate.send(gate.post(chat("fake/echo"), token=new))).status == 200


async def test_a_look_up_that_is_under_way_survives_controls_return(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.deaf = True
        answer = asyncio.get_running_loop().create_task(gate.send(gate.post(chat("fake/echo"))))
        await until(lambda: gate.control.lookups == 1)
        await gate.control.stop()
        gate.control.deaf = False
        await gate.control.start()
        assert (await answer).status == 200
        assert gate.control.lookups == 2


async def test_a_look_up_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatvault.gateway.grants._PATIENCE", 0.15)
    async with gateway(tmp_path) as gate:
        gate.control.deaf = True
        heards = await asyncio.gather(*(gate.send(gate.post(chat("fake/echo"))) for _ in range(3)))
        assert {(heard.status, code_of(heard)) for heard in heards} == {(503, "control_unavailable")}
        gate.control.deaf = False
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200


async def test_a_client_that_leaves_during_its_look_up(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.deaf = True
        _, writer = await gate.open()
        writer.write(gate.get("/v1/models"))
        await until(lambda: gate.control.lookups == 1)
        for connection in [*gate.worker.connections]:
            connection._transport.abort()
        await until(lambda: not gate.worker.connections)
        await gate.control.stop()
        gate.control.deaf = False
        await gate.control.start()
        await until(lambda: gate.worker.feed.connected)
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200


async def test_what_is_no_message_makes_the_worker_connect_again(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.control.say(b"\x00\x00\x00\x05hello")
        await asyncio.sleep(0.05)
        await until(lambda: gate.worker.feed.connected)
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 200


async def test_a_worker_tells_how_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatvault.gateway.feed_client.HEARTBEAT", 0.05)
    async with gateway(tmp_path) as gate:
        await gate.send(gate.post(chat("fake/echo")))
        await until(lambda: gate.control.health is not None and gate.control.health.served == 1)
        health = gate.control.health
        assert health is not None
        assert (health.calls, health.journal_fault) == (0, None)
        assert health.journal_lines >= 4
        assert health.journal_bytes > 500
        assert health.rss > 10_000_000


async def test_a_control_that_fell_silent_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatvault.gateway.feed_client.HEARTBEAT", 0.05)
    monkeypatch.setattr("chatvault.gateway.feed_client.SILENCE", 0.2)
    async with gateway(tmp_path) as gate:
        assert gate.control._beating is not None
        gate.control._beating.cancel()
        pending = gate.worker.feed._pending
        await until(lambda: gate.worker.feed._pending is not pending)
        await until(lambda: gate.worker.feed.connected)


async def test_a_configuration_is_swapped_while_streams_run(tmp_path: Path) -> None:
    async with gateway(tmp_path, names=("fake", "other")) as gate:
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/pace-10ms+events-30", stream=True)))
        await reader.readuntil(b"data:")
        snapshot = gate.control.snapshot
        only_other = changed(
            snapshot, version=2, providers={"other": snapshot.providers["other"]}, models={}, default_provider=None,
            known={"other": ("echo",)}, prices={"other/*": {"input": 7, "output": 9}},
        )  # fmt: skip
        await gate.control.configure(only_other)
        assert (await gate.send(gate.post(chat("fake/echo")))).status == 404
        assert (await gate.send(gate.post(chat("other/echo")))).status == 200
        async with asyncio.timeout(5):
            assert b"[DONE]" in await reader.readuntil(b"0\r\n\r\n")
        await gate.settled(2)
    records = await records_of(gate)
    first, second = sorted(records.closed, key=lambda record: record.opened_at)
    assert (first.provider, first.state, first.cost_source, second.provider) == (
        "fake",
        "completed",
        "prices",
        "other",
    )
    assert first.usage is not None
    assert second.usage is not None
    assert first.cost == first.usage.input * 1_000_000 + first.usage.output * 4_000_000
    assert second.cost == second.usage.input * 7 + second.usage.output * 9
    assert {price.version for price in records.priced} == {first.price, second.price}


async def test_draining_lets_streams_end_that_can(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        gate.drain_s = 0.5
        quick, slow = await gate.open(), await gate.open()
        quick[1].write(gate.post(chat("fake/echo+pace-10ms+events-20", stream=True)))
        slow[1].write(gate.post(chat("fake/pace-20ms+events-1000", stream=True)))
        for reader, _ in (quick, slow):
            await reader.readuntil(b"data:")
        gate.stop.set()
        async with asyncio.timeout(3):
            whole, broken = await quick[0].read(), await slow[0].read()
        assert whole.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert b'"code":"draining"' in broken
        assert not broken.endswith(b"0\r\n\r\n")
    states = sorted(record.state for record in (await records_of(gate)).closed)
    assert states == ["completed", "ended_by_gateway"]
