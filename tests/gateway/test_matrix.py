"""Every way a call can end, whole and streamed, at every endpoint: what the client saw, and what is on record."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.audit.lines import Closed, Opened
from chatvault.config.schema import Timeouts
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.core.usage import Usage
from tests.fake.raw import Heard
from tests.gateway.harness import RATES, Gate, gateway, until
from tests.gateway.records import Records
from tests.gateway.shapes import ALL, STREAMED, WHOLE, Shape

QUICK = Timeouts(connect=1.0, first_byte=0.3, idle=0.3)
every = pytest.mark.parametrize("shape", ALL, ids=str)
whole = pytest.mark.parametrize("shape", WHOLE, ids=str)
streamed = pytest.mark.parametrize("shape", STREAMED, ids=str)


def record_of(records: Records, shape: Shape, heard: Heard | None) -> Closed:
    """The only record there is, with what is true of all: opened and closed once, under the id the client was told."""
    record = records.only()
    (opened,) = records.opened
    if heard is not None:
        assert heard.headers["x-request-id"] == record.id
        assert heard.status == record.status
    assert (opened.endpoint, opened.stream) == (shape.endpoint, shape.stream)
    assert (record.endpoint, record.stream, record.opened_at) == (shape.endpoint, shape.stream, opened.at)
    assert (opened.token, opened.model, opened.target) == (record.token, record.model, record.target)
    assert record.at >= record.opened_at > 1_600_000_000_000_000
    assert 0 < record.latency_us < 5_000_000
    assert record.ttft_us is None or 0 < record.ttft_us <= record.latency_us
    assert opened.reserved is None or record.cost is None or record.cost <= opened.reserved
    if record.cost is None:
        assert record.cost_source == "unknown"
        assert record.bound == opened.reserved
    return record


def priced(usage: Usage | None) -> int:
    assert usage is not None
    plain = usage.input - usage.cached
    return plain * RATES["input"] + usage.cached * RATES["cached"] + usage.output * RATES["output"]


def error_of(heard: Heard) -> dict[str, Any]:
    """OpenAI's error shape, as a whole answer."""
    assert heard.headers["content-type"] == "application/json"
    error = heard.json["error"]
    assert isinstance(error, dict)
    assert error["message"]
    assert {"type", "param", "code"} <= set(error)
    return error


def is_broken(heard: Heard) -> bool:
    """Whether HTTP itself tells that the answer is not whole."""
    return heard.ended in ("eof", "reset") and not heard.whole()


@every
@pytest.mark.both_loops
async def test_completed(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(shape.body("fake/simulated"), shape.path))
    assert heard.status == 200
    assert heard.whole()
    if shape.stream:
        assert shape.ends in heard.events[-1]
        assert shape.error_of(heard) is None
        assert not any('"choices":[]' in event for event in heard.events)
    else:
        assert "usage" in heard.json
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code, record.attempts) == ("completed", None, 1)
    assert (record.usage_source, record.cost_source) == ("provider", "prices")
    assert record.usage is not None
    assert record.usage.input > 0
    assert record.cost == priced(record.usage) > 0
    assert record.ttft_us is not None
    assert (record.model, record.target, record.resolved) == ("fake/simulated", "simulated", "simulated")
    assert record.upstream_id == heard.headers["x-provider-request-id"]
    finish = {"chat.completions": "stop", "completions": "stop", "responses": "completed", "embeddings": None}
    assert record.finish == finish[shape.endpoint]
    assert record.bytes_out == len(heard.body)


@every
@pytest.mark.both_loops
async def test_client_gone_before_the_answer(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        _, writer = await gate.open()
        writer.write(gate.post(shape.body("fake/hang"), shape.path))
        await until(lambda: gate.fake.stats.in_flight)
        left = asyncio.get_running_loop().time()
        writer.transport.abort()
        await until(lambda: gate.fake.stats.aborted)
        assert asyncio.get_running_loop().time() - left < 0.05
        await gate.settled(1)
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, None)
    assert (record.state, record.code, record.status, record.attempts) == ("client_gone", "client_gone", 0, 1)
    assert (record.usage, record.usage_source, record.cost) == (None, "unknown", None)
    assert record.ttft_us is None


@streamed
@pytest.mark.both_loops
async def test_client_gone_within_the_stream(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        writer.write(gate.post(shape.body("fake/pace-20ms+events-200"), shape.path))
        async with asyncio.timeout(5):
            await reader.readuntil(b"data:")
            await asyncio.sleep(0.1)
        left = asyncio.get_running_loop().time()
        writer.transport.abort()
        await until(lambda: gate.fake.stats.aborted)
        assert asyncio.get_running_loop().time() - left < 0.05
        await gate.settled(1)
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, None)
    assert (record.state, record.code, record.status) == ("client_gone", "client_gone", 200)
    assert (record.usage_source, record.cost_source) == ("estimated", "estimated")
    assert record.usage is not None
    assert record.usage.input > 0
    assert 1 <= record.usage.output < 500
    assert record.cost == priced(record.usage)
    assert record.bytes_out > 0
    assert record.ttft_us is not None


@whole
async def test_client_gone_within_the_whole_answer(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        _, writer = await gate.open()
        writer.write(gate.post(shape.body("fake/stall-after-20"), shape.path))
        await until(lambda: gate.fake.stats.in_flight)
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await until(lambda: gate.fake.stats.aborted)
        await gate.settled(1)
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, None)
    assert (record.state, record.status, record.cost, record.cost_source) == (
        "client_gone",
        0,
        None,
        "unknown",
    )


@whole
async def test_upstream_cut_whole(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(shape.body("fake/cut-after-20"), shape.path))
    assert heard.status == 502
    assert error_of(heard)["code"] == "upstream_cut"
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code, record.upstream_status) == ("upstream_cut", "upstream_cut", 200)
    assert (record.usage_source, record.cost, record.cost_source) == ("unknown", None, "unknown")


@pytest.mark.parametrize("fault", ["cut-after-3", "reset-after-3", "no-done+no-finish"])
@streamed
async def test_upstream_cut_streamed(tmp_path: Path, shape: Shape, fault: str) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(shape.body(f"fake/{fault}"), shape.path))
    assert heard.status == 200
    assert is_broken(heard)
    error = shape.error_of(heard)
    assert error is not None
    assert error["code"] == "upstream_cut"
    assert shape.ends not in heard.events[-1]
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code) == ("upstream_cut", "upstream_cut")
    told = fault.startswith("no-done") and shape.endpoint != "responses"
    assert record.usage_source == ("provider" if told else "estimated")
    assert record.cost == priced(record.usage) > 0


@streamed
async def test_a_stream_without_any_event_is_an_error_with_a_status(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(shape.body("fake/cut-after-0"), shape.path))
    assert heard.status == 502
    assert heard.whole()
    assert error_of(heard)["code"] == "upstream_cut"
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.usage, record.cost) == ("upstream_cut", None, None)


@every
@pytest.mark.both_loops
async def test_stalled(tmp_path: Path, shape: Shape) -> None:
    after = 3 if shape.stream else 20
    async with gateway(tmp_path, timeouts=QUICK) as gate:
        heard = await gate.send(gate.post(shape.body(f"fake/stall-after-{after}"), shape.path))
        await until(lambda: gate.fake.stats.aborted == 1)
    if shape.stream:
        assert heard.status == 200
        assert is_broken(heard)
        error = shape.error_of(heard)
        assert error is not None
    else:
        assert heard.status == 504
        error = error_of(heard)
    assert error["code"] == "upstream_stalled"
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code) == ("stalled", "upstream_stalled")
    assert record.usage_source == ("estimated" if shape.stream else "unknown")
    assert (record.cost is None) is not shape.stream


@every
@pytest.mark.both_loops
async def test_error_in_band(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(shape.body("fake/error-in-stream-after-3"), shape.path))
    assert heard.status == (
        200 if shape.stream else 502
    )  # a whole answer that is an error alone is no success
    if shape.stream:
        assert shape.error_of(heard) is not None
        assert shape.ends not in heard.events[-1]
    else:
        assert heard.whole()
        assert "error" in heard.json
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code) == ("error_in_band", "upstream_error_in_answer")
    assert record.usage_source == ("estimated" if shape.stream else "unknown")
    assert (record.cost is None) is not shape.stream


@streamed
async def test_an_error_as_the_first_event_is_an_error_with_a_status(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(shape.body("fake/error-in-stream-after-0"), shape.path))
    assert heard.status >= 400
    assert heard.whole()
    error_of(heard)
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code) == ("error_in_band", "upstream_error_in_answer")
    assert record.upstream_status == 200


UPSTREAM_ERRORS = {
    "fail-400": (400, "upstream_status", 0, "free"),
    "fail-429-retry-after-7": (429, "upstream_status", 0, "free"),
    "fail-500": (500, "upstream_status", None, "unknown"),
    "html": (502, "upstream_status", None, "unknown"),
    "garbage": (502, "upstream_not_json", None, "unknown"),
    "empty": (502, "upstream_not_json", None, "unknown"),
    "redirect": (502, "upstream_redirect", None, "unknown"),
    "not-http": (502, "upstream_protocol_error", None, "unknown"),
    "reset": (502, "upstream_reset", None, "unknown"),
    "close": (502, "upstream_reset", None, "unknown"),
    "hang": (504, "upstream_timeout", None, "unknown"),
    "two-lengths": (502, "upstream_protocol_error", None, "unknown"),
    "gzip-corrupt": (502, "upstream_protocol_error", None, "unknown"),
}


@pytest.mark.parametrize("fault", UPSTREAM_ERRORS)
async def test_upstream_error(tmp_path: Path, fault: str) -> None:
    """All endpoints at once: each must get the same."""
    status, code, cost, source = UPSTREAM_ERRORS[fault]
    async with gateway(tmp_path, timeouts=QUICK) as gate:
        heards = await asyncio.gather(*(gate.send(gate.post(s.body(f"fake/{fault}"), s.path)) for s in ALL))
    records = await asyncio.to_thread(Records, gate.journal)
    for shape, heard in zip(ALL, heards, strict=True):
        no_event = shape.stream and fault in ("garbage", "empty")
        assert heard.status == status, str(shape)
        assert heard.whole()
        error = error_of(heard)
        record = records.of(heard.headers["x-request-id"])
        what = ("upstream_cut", "upstream_cut") if no_event else ("upstream_error", code)
        assert (record.state, record.code, record.status) == (*what, status), str(shape)
        assert (record.usage, record.cost, record.cost_source) == (None, cost, source)
        if code != "upstream_status":
            assert error["code"] == record.code
    if "retry-after" in fault:
        assert all(heard.headers["retry-after"] == "7" for heard in heards)


@every
async def test_upstream_error_nobody_listens(tmp_path: Path, shape: Shape, free_port: int) -> None:
    dead = ProviderSnapshot(name="dead", kind="fake", base_url=f"http://127.0.0.1:{free_port}/v1")
    async with gateway(tmp_path, providers={"dead": dead}, prices={"dead/*": RATES}) as gate:
        heard = await gate.send(gate.post(shape.body("dead/any"), shape.path))
    assert heard.status == 502
    assert error_of(heard)["code"] == "upstream_unreachable"
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code) == ("upstream_error", "upstream_unreachable")
    assert (record.usage, record.cost, record.cost_source, record.attempts) == (None, 0, "free", 1)


@every
async def test_refused(tmp_path: Path, shape: Shape) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token(models=("fake/echo",))
        heard = await gate.send(gate.post(shape.body("fake/simulated"), shape.path, token=token))
        assert gate.fake.stats.requests == 0
    assert heard.status == 403
    assert heard.whole()
    error = error_of(heard)
    assert (error["code"], error["param"]) == ("model_not_allowed", "model")
    assert "'fake/echo'" in error["message"]
    records = await asyncio.to_thread(Records, gate.journal)
    assert not records.opened
    assert not records.closed
    (refused,) = records.refused
    assert (refused.id, refused.status) == (heard.headers["x-request-id"], 403)
    assert (refused.code, refused.endpoint, refused.count) == ("model_not_allowed", shape.endpoint, 1)
    assert refused.token == gate.control.grant(token).token


@pytest.mark.parametrize("why", ["revoked", "drained"])
@every
async def test_ended_by_gateway(tmp_path: Path, shape: Shape, why: str) -> None:
    model = "fake/pace-20ms+events-500" if shape.stream else "fake/hang"
    async with gateway(tmp_path) as gate:
        answer = asyncio.get_running_loop().create_task(gate.send(gate.post(shape.body(model), shape.path)))
        await until(lambda: gate.fake.stats.in_flight)
        await asyncio.sleep(0.08)
        if why == "revoked":
            await gate.control.revoke(gate.token)
        else:
            gate.drain_s = 0.05
            gate.stop.set()
        heard = await answer
        await until(lambda: gate.fake.stats.aborted == 1)
    code, status = ("token_revoked", 403) if why == "revoked" else ("draining", 503)
    if shape.stream:
        assert heard.status == 200
        assert is_broken(heard)
        error = shape.error_of(heard)
        assert error is not None
    else:
        assert heard.status == status
        error = error_of(heard)
    assert error["code"] == code
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code) == ("ended_by_gateway", code)
    assert record.usage_source == ("estimated" if shape.stream else "unknown")
    assert (record.cost is None) is not shape.stream


@every
async def test_gateway_error(tmp_path: Path, shape: Shape) -> None:
    """The provider's configuration turns out to be unusable when its first call is about to go out."""
    broken = ProviderSnapshot(
        name="broken", kind="fake", base_url="https://127.0.0.1:1/v1", ca_file="/nowhere.pem"
    )
    async with gateway(tmp_path, providers={"broken": broken}, prices={"broken/*": RATES}) as gate:
        heard = await gate.send(gate.post(shape.body("broken/any"), shape.path))
    assert heard.status == 500
    error = error_of(heard)
    assert "/nowhere.pem" not in error["message"]
    record = record_of(await asyncio.to_thread(Records, gate.journal), shape, heard)
    assert (record.state, record.code) == ("gateway_error", error["code"])
    assert (record.usage, record.cost, record.cost_source) == (None, 0, "free")


async def test_a_record_is_written_before_the_provider_sees_the_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(ALL[0].body("fake/simulated")))
        (seen,) = gate.fake.stats.seen  # type: ignore[attr-defined]
    assert seen[0] == heard.headers["x-request-id"]
    records = await asyncio.to_thread(Records, gate.journal)
    kinds = [type(line) for line in records.lines if isinstance(line, Opened | Closed)]
    assert kinds == [Opened, Closed]
    assert records.ends[seen[0]] <= seen[1]
    assert msgspec.json.encode(gate.token).strip(b'"') not in await asyncio.to_thread(_bytes, gate)


def _bytes(gate: Gate) -> bytes:
    return b"".join(path.read_bytes() for path in gate.journal.parent.rglob("*") if path.is_file())
