"""The server itself: HTTP, counting, and life and death of the process."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chatvault.fake import FakeProvider
from chatvault.fake.script import Step
from chatvault.fake.stats import Stats
from tests.fake.raw import CHAT, Heard, ask, chat, converse, written

SOURCE = str(Path(__file__).parents[2] / "src")


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


async def stats(fake: FakeProvider) -> dict[str, object]:
    return (await ask(fake, get("/stats"))).json


async def until(condition: object) -> None:
    """Waits up to a second until `condition()` holds."""
    assert callable(condition)
    async with asyncio.timeout(1):
        while not condition():
            await asyncio.sleep(0.005)


async def test_what_was_seen_is_counted(fake: FakeProvider) -> None:
    first = written(chat("echo"), x_call_id="one")
    await ask(fake, first)
    await ask(fake, written(chat("echo", stream=True), x_call_id="two"))
    await ask(fake, written(chat("cut-after-1", stream=True), x_call_id="three"), quiet=1)
    seen = await stats(fake)
    assert seen["ids"] == ["one", "two", "three"]
    assert [seen[k] for k in ("requests", "completed", "broken", "aborted", "in_flight")] == [3, 2, 1, 0, 0]
    assert seen["connections"] == 4
    assert (await ask(fake, get("/stats?ids=0"))).json["ids"] == []
    assert (await ask(fake, get("/stats", "DELETE"))).json == {"cleared": True}
    seen = await stats(fake)
    assert (seen["requests"], seen["ids"], seen["body_bytes"]) == (0, [], 0)


async def test_another_header_can_be_the_marker() -> None:
    async with FakeProvider(marker="X-Other") as fake:
        await ask(fake, written(chat("echo"), x_other="me"))
        assert list(fake.stats.ids) == ["me"]


async def test_a_peer_that_leaves_is_noted(fake: FakeProvider) -> None:
    heard = await ask(fake, written(chat("stall-after-4", stream=True), x_call_id="gone"), quiet=0.1)
    assert heard.ended == "open"
    before = time.monotonic()
    await until(lambda: fake.stats.aborted)
    abort = fake.stats.snapshot().aborts[0]
    assert (abort.id, abort.events_sent) == ("gone", 4)
    assert before - 0.2 <= abort.at <= time.monotonic()
    assert fake.stats.in_flight == 0
    assert (await stats(fake))["aborts"] == [{"id": "gone", "at": abort.at, "events_sent": 4}]


async def test_a_request_cut_off_is_partial(fake: FakeProvider) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    writer.write(written(chat("echo"))[:-5])
    await asyncio.sleep(0.02)
    writer.close()
    await until(lambda: fake.stats.partial)
    assert fake.stats.requests == 0


def test_only_so_many_ids_are_kept() -> None:
    counters = Stats()
    for number in range(100_005):
        counters.begin(str(number), 1)
    seen = counters.snapshot()
    assert (len(seen.ids), seen.ids[0], seen.dropped, seen.requests) == (100_000, "5", 5, 100_005)


async def test_the_last_request_is_shown(fake: FakeProvider) -> None:
    assert (await ask(fake, get("/last"))).json == {}
    await ask(fake, written(chat("echo"), CHAT + "?a=b", x_some="thing"))
    last = (await ask(fake, get("/last"))).json
    assert (last["method"], last["path"], last["query"]) == ("POST", CHAT, "a=b")
    assert isinstance(last["headers"], dict)
    assert last["headers"]["x-some"] == "thing"
    assert json.loads(str(last["body"])) == chat("echo")
    await ask(fake, written(b"\xff\xfe"))
    assert (await ask(fake, get("/last"))).json["body_b64"] == "//4="


async def test_requests_may_be_pipelined_and_cut_anywhere(fake: FakeProvider) -> None:
    bodies = [{"model": "echo", "messages": [{"role": "user", "content": f"number {n}"}]} for n in range(50)]
    wire = b"".join(written(body) for body in bodies)
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    for start in range(0, len(wire), 611):
        writer.write(wire[start : start + 611])
        await asyncio.sleep(0)
    data = b""
    async with asyncio.timeout(5):
        while data.count(b"HTTP/1.1 200") < 50 or not data.endswith(b"}"):
            data += await reader.read(65_536)
    writer.close()
    places = [data.index(f'"content":"number {n}"'.encode()) for n in range(50)]
    assert places == sorted(places)


async def test_a_client_may_wait_for_100_continue(fake: FakeProvider) -> None:
    request = written(chat("echo"), expect="100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    writer.write(head + b"\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await converse(reader, writer, body)).status == 200
    writer.close()


async def test_head_has_no_body_and_unknown_paths_are_404(fake: FakeProvider) -> None:
    heard = await ask(fake, get("/v1/models", "HEAD"), quiet=0.1)
    assert heard.status == 200
    assert int(heard.headers["content-length"]) > 0
    assert heard.raw_body == b""
    assert (await ask(fake, get("/"))).body.startswith(b"This is ChatVault's simulated provider")
    assert (await ask(fake, get("/v1/nothing"))).status == 404
    assert (await ask(fake, get(CHAT))).status == 404


async def test_what_is_no_request_ends_the_connection(fake: FakeProvider) -> None:
    heard = await ask(fake, b"this is not HTTP\r\n\r\n", quiet=1)
    assert (heard.status, heard.ended) == (400, "eof")
    assert (await ask(fake, written(b"{not json"))).status == 400
    heard = await ask(fake, written(chat("echo"), connection="close"), quiet=1)
    assert (heard.status, heard.ended) == (200, "eof")
    upgrade = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: other\r\n\r\nother talk"
    upgraded = await ask(fake, upgrade, quiet=0.1)
    assert upgraded.status == 200


async def test_a_lone_surrogate_does_no_harm(fake: FakeProvider) -> None:
    body = b'{"model":"echo","messages":[{"role":"user","content":"a\\ud800b"}]}'
    assert b'"content":"a?b"' in (await ask(fake, written(body))).body
    assert (await ask(fake, written(b'{"model":"echo\\ud800'))).status == 400


async def test_the_same_request_gets_the_same_bytes_from_any_provider(fake: FakeProvider) -> None:
    async with FakeProvider() as other:
        for stream in (False, True):
            answers = [await ask(f, written(chat("gpt", stream=stream))) for f in (fake, fake, other)]
            assert len({answer.data for answer in answers}) == 1


async def test_many_different_requests_do_not_pile_up(fake: FakeProvider) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    for number in range(200):
        heard = await converse(reader, writer, written(chat("echo", seed=number)))
        assert heard.status == 200
    writer.close()
    assert len(fake.routes._scripts) <= 128


async def test_a_slow_reader_holds_the_provider_back(fake: FakeProvider) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", fake.port, limit=1024)
    writer.write(written(chat("events-2000+event-size-32k", stream=True)))
    await until(lambda: fake.stats.requests)
    await asyncio.sleep(0.1)
    (connection,) = fake.connections
    assert connection._transport.get_write_buffer_size() < 4 << 20
    assert fake.stats.in_flight == 1
    writer.close()


async def test_a_large_answer_arrives_whole(fake: FakeProvider) -> None:
    heard = await ask(fake, written(chat("events-50+event-size-64k", stream=True)))
    assert len(heard.body) > 50 << 16
    assert heard.events[-1] == "[DONE]"


async def test_the_pace_may_be_the_providers() -> None:
    async with FakeProvider(pace_ms=20) as fake:
        heard = await ask(fake, written(chat("events-4", stream=True)))
        assert heard.packets[-1][0] >= 0.095
        heard = await ask(fake, written(chat("pace-0ms+events-4", stream=True)))
        assert heard.packets[-1][0] < 0.095


async def test_patience_with_a_stalled_answer_ends() -> None:
    async with FakeProvider(patience_s=0.05) as fake:
        heard = await ask(fake, written(chat("hang")), quiet=1)
        assert heard.ended in ("eof", "reset")
        assert (fake.stats.broken, fake.stats.in_flight) == (1, 0)


async def test_leaving_ends_all_connections() -> None:
    async with FakeProvider() as fake:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        await until(lambda: fake.connections)
    assert not fake.connections
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        pass
    writer.close()


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with FakeProvider(unix=path) as fake:
        assert fake.url == f"unix:{path}"
        reader, writer = await asyncio.open_unix_connection(path)
        assert (await converse(reader, writer, written(chat("echo")))).status == 200
        heard = await converse(reader, writer, written(chat("reset")), quiet=1)
        writer.close()
        assert heard.ended == "eof"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


async def test_the_process_says_when_it_listens_and_ends_on_sigterm(tmp_path: Path) -> None:
    cert_file, key_file = certificate(tmp_path)
    command = [sys.executable, "-m", "chatvault.fake", "--port", "0", "--pace-ms", "1", "--api-key", "k"]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--tls-cert",
        str(cert_file),
        "--tls-key",
        str(key_file),
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(10):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=cert_file)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(line.rsplit(":", 1)[1]), ssl=trusting, server_hostname="localhost"
        )
        heard: Heard = await converse(
            reader, writer, written(chat("echo", stream=True), authorization="Bearer k")
        )
        assert heard.events[-1] == "[DONE]"
        assert (await converse(reader, writer, written(chat("echo")))).status == 401
        writer.close()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_importing_is_light() -> None:
    """It drags in nothing heavy, and of the project only itself and the core."""
    code = "import sys, chatvault.fake; print(*sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    modules = set(ran.stdout.split())
    assert not modules & {"fastapi", "sqlalchemy", "pydantic", "yaml", "cryptography", "openai", "uvloop"}
    ours = {name.split(".")[1] for name in modules if name.startswith("chatvault.")}
    assert ours <= {"fake", "core"}


def test_a_step_is_a_value() -> None:
    with pytest.raises(AttributeError):
        Step(b"x").data = b"y"  # type: ignore[misc]
