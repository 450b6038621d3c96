"""What goes up as it comes, and what comes down as it is: forms, sound, images."""

import asyncio
import os
import re
from pathlib import Path

import msgspec
import pytest

from chatvault.config.schema import ServerConfig
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.fake.request import Request
from tests.gateway.harness import Gate, gateway, until
from tests.gateway.records import Records


def last(gate: Gate) -> Request:
    assert gate.fake.last is not None
    return gate.fake.last


async def only(gate: Gate) -> "Records":
    return await asyncio.to_thread(Records, gate.journal)


def form(model: str | None, content: bytes, *, model_last: bool = False) -> tuple[bytes, str]:
    border = "-----x7"
    parts = [
        f'--{border}\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n'
        f"content-type: audio/wav\r\n\r\n".encode()
        + content
        + b"\r\n"
    ]
    if model is not None:
        part = f'--{border}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'.encode()
        parts.insert(1 if model_last else 0, part)
    return b"".join(parts) + f"--{border}--\r\n".encode(), f"multipart/form-data; boundary={border}"


@pytest.mark.parametrize("model_last", [False, True], ids=["model first", "model last"])
async def test_an_upload_is_renamed_inside_its_form(tmp_path: Path, model_last: bool) -> None:
    content = os.urandom(300_000)
    async with gateway(tmp_path) as gate:
        body, kind = form("fake/simulated", content, model_last=model_last)
        theirs, _ = form("simulated", content, model_last=model_last)
        request = gate.post(body, "/v1/audio/transcriptions", **{"content-type": kind})
        heard = await gate.send(request)
        assert heard.status == 200
        assert last(gate).body == theirs
        assert last(gate).headers["content-length"] == str(len(theirs))
        head, _, _ = request.partition(b"\r\n\r\n")
        head = re.sub(rb"content-length: \d+", b"transfer-encoding: chunked", head)
        pieces = [body[at : at + 9973] for at in range(0, len(body), 9973)]
        data = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        heard = await gate.send(head + b"\r\n\r\n" + data)
        assert heard.status == 200
        assert last(gate).body == theirs
        assert "content-length" not in last(gate).headers
    records = await only(gate)
    for record in records.closed:
        assert (record.endpoint, record.model, record.target, record.state) == (
            "audio.transcriptions",
            "fake/simulated",
            "simulated",
            "completed",
        )


async def test_uploads_that_are_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, default_provider=None) as gate:
        for body, kind, wanted in (
            (*form("nobody/x", b"a"), (404, "model_not_found")),
            (*form(None, b"a"), (400, "model_missing")),
            (form("fake/echo", b"a")[0], "multipart/form-data", (400, "bad_multipart")),
        ):
            heard = await gate.send(gate.post(body, "/v1/audio/transcriptions", **{"content-type": kind}))
            error = heard.json["error"]
            assert isinstance(error, dict)
            assert (heard.status, error["code"]) == wanted
        body, kind = form("fake/echo", b"a")
        heard = await gate.send(gate.post(body, **{"content-type": kind}))
        assert heard.status == 415
        assert gate.fake.stats.requests == 0


async def test_a_large_upload_waits_for_a_slow_provider(tmp_path: Path) -> None:
    """What the provider does not take stays with the client; nothing of it piles up between."""
    taken = bytearray()
    go = asyncio.Event()

    async def provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await go.wait()
        size = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        while len(taken) < size:
            taken.extend(await reader.read(1 << 20))
        writer.write(
            b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"text":"hey"}'
        )
        writer.close()

    async with gateway(tmp_path) as gate, await asyncio.start_server(provider, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        slow = ProviderSnapshot(name="slow", kind="fake", base_url=address)
        await gate.control.configure(
            msgspec.structs.replace(gate.control.snapshot, providers={"slow": slow}, default_provider=None)
        )
        body, kind = form("slow/any", os.urandom(1 << 20) * 40)
        reader, writer = await gate.open()
        writer.write(gate.post(body, "/v1/audio/transcriptions", **{"content-type": kind}))
        await until(lambda: gate.worker.calls)
        waiting = -1
        while waiting != writer.transport.get_write_buffer_size():
            waiting = writer.transport.get_write_buffer_size()
            await asyncio.sleep(0.1)
        assert waiting > 20_000_000, "the client still holds most of it"
        assert gate.worker.held == 0
        go.set()
        async with asyncio.timeout(10):
            assert b" 200 " in await reader.readuntil(b"\r\n")
    assert bytes(taken) == body.replace(b"slow/any", b"any")


async def test_an_upload_over_its_limit_is_cut_off(tmp_path: Path) -> None:
    async with gateway(tmp_path, server=ServerConfig(max_upload=200_000, drain_timeout=0.2)) as gate:
        body, kind = form("fake/echo", b"\0" * 500_000)
        request = gate.post(body, "/v1/audio/transcriptions", **{"content-type": kind})
        head, _, _ = request.partition(b"\r\n\r\n")
        head = re.sub(rb"content-length: \d+", b"transfer-encoding: chunked", head) + b"\r\n\r\n"
        pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
        heard = await gate.send(
            head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        )
        assert heard.status == 413
        assert gate.fake.stats.requests == 0
        await until(lambda: not gate.worker.calls)


async def test_a_client_that_leaves_during_its_upload(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        body, kind = form("fake/echo", b"\0" * 300_000)
        request = gate.post(body, "/v1/audio/transcriptions", **{"content-type": kind})
        _, writer = await gate.open()
        writer.write(request[:200_000])
        await until(lambda: gate.worker.calls and gate.fake.connections)
        writer.transport.abort()
        await until(lambda: gate.worker.served == 1)
        await until(lambda: gate.fake.stats.partial == 1)
    record = (await only(gate)).only()
    assert (record.state, record.status, record.attempts) == ("client_gone", 0, 1)


async def test_sound_and_images_come_down_as_they_are(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        speech = {"model": "fake/simulated-speech", "input": "some words to say", "voice": "alloy"}
        heard = await gate.send(gate.post(speech, "/v1/audio/speech"))
        assert (heard.status, heard.headers["content-type"]) == (200, "audio/wav")
        assert heard.body.startswith(b"RIFF")
        cut = await gate.send(gate.post(speech, "/v1/audio/speech", **{"x-fake-fault": "cut-after-1"}))
        assert cut.ended in ("eof", "reset")
        assert not cut.whole()
        events = await gate.send(gate.post({**speech, "stream_format": "sse"}, "/v1/audio/speech"))
        assert "speech.audio.done" in events.events[-1]
    states = [(record.endpoint, record.state, record.usage_source) for record in (await only(gate)).closed]
    assert states == [
        ("audio.speech", "completed", "unknown"),
        ("audio.speech", "upstream_cut", "unknown"),
        ("audio.speech", "completed", "provider"),
    ]
