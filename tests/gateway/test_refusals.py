"""Who is turned away, with which words, and what of it is on record."""

import asyncio
import gzip
import zlib
from pathlib import Path

import pytest

from chatvault.config.schema import AuditConfig, ServerConfig
from chatvault.core.clock import now_us
from tests.fake.raw import Heard, chat, written
from tests.gateway.harness import CHAT, Gate, gateway, until
from tests.gateway.records import Records

HELLO = chat("fake/echo")


async def records_of(gate: Gate) -> Records:
    return await asyncio.to_thread(Records, gate.journal)


def code_of(heard: Heard) -> str:
    error = heard.json["error"]
    assert isinstance(error, dict)
    assert error["message"]
    return str(error["code"])


def message_of(heard: Heard) -> str:
    error = heard.json["error"]
    assert isinstance(error, dict)
    return str(error["message"])


async def test_tokens_that_do_not_open(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        good = gate.token
        revoked, expired = gate.control.token(revoked=True), gate.control.token(expires_at=now_us() - 1)
        unknown = gate.control.token()
        gate.control.grants.popitem()
        body = written(HELLO, CHAT)
        wanted = {
            body: "token_missing",
            gate.post(HELLO, authorization="Basic dXNlcjpwYXNz"): "token_malformed",
            gate.post(HELLO, authorization="Bearer"): "token_missing",
            gate.post(HELLO, authorization="Bearer "): "token_missing",
            gate.post(HELLO, authorization="Bearer sk-abcdef"): "token_malformed",
            gate.post(HELLO, authorization=f"Bearer {good[:-1]}"): "token_malformed",
            gate.post(
                HELLO, authorization=f"Bearer {good[:-1]}{'a' if good[-1] != 'a' else 'b'}"
            ): "token_malformed",
            gate.post(HELLO, authorization=f"Bearer {good.upper()}"): "token_malformed",
            gate.post(HELLO, token=unknown): "token_unknown",
            gate.post(HELLO, token=revoked): "token_revoked",
            gate.post(HELLO, token=expired): "token_expired",
        }
        for request, code in wanted.items():
            heard = await gate.send(request)
            assert (heard.status, code_of(heard)) == (401, code)
            assert heard.headers["www-authenticate"] == "Bearer"
            assert len(heard.headers["x-request-id"]) == 32
        assert gate.fake.stats.requests + gate.fake.stats.partial == 0
    records = await records_of(gate)
    assert not records.opened
    text = await asyncio.to_thread(_all_text, tmp_path)
    for token in (good, revoked, expired, unknown):
        assert token not in text
    assert {line.token for line in records.refused if line.code == "token_expired"} == {
        gate.control.grant(expired).token
    }
    assert all(line.token is None for line in records.refused if line.code != "token_expired")


def _all_text(folder: Path) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("field", ["x-api-key", "api-key", "x-goog-api-key"])
async def test_each_form_of_credential_opens(tmp_path: Path, field: str) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(written(HELLO, CHAT, **{field: gate.token}))
        assert heard.status == 200
        assert gate.fake.last is not None
        assert field not in gate.fake.last.headers


async def test_a_token_is_looked_up_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        await asyncio.gather(*(gate.send(gate.post(HELLO)) for _ in range(20)))
        assert gate.control.lookups == 1
        unknown = gate.control.token()
        gate.control.grants.popitem()
        await asyncio.gather(*(gate.send(gate.post(HELLO, token=unknown)) for _ in range(5)))
        assert gate.control.lookups == 2


async def test_an_unknown_token_that_is_made_later_opens(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token()
        key, made = gate.control.grants.popitem()
        assert (await gate.send(gate.post(HELLO, token=token))).status == 401
        gate.control.grants[key] = made
        await gate.control.forget(token)
        assert (await gate.send(gate.post(HELLO, token=token))).status == 200


async def test_a_flood_of_refusals_is_counted_not_listed(tmp_path: Path) -> None:
    async with gateway(tmp_path, tick=None) as gate:
        reader, writer = await gate.open()
        one = gate.get("/v1/models", authorization="Bearer sk-guess")
        before = gate.worker.journal.bytes
        for _ in range(20):
            writer.write(one * 100)
            async with asyncio.timeout(5):
                for _ in range(100):
                    head = await reader.readuntil(b"\r\n\r\n")
                    assert head.split()[1] in (b"401", b"429")
                    await reader.readexactly(
                        int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    )
    records = await records_of(gate)
    assert sum(line.count for line in records.refused) == 2000
    assert len(records.refused) <= 20
    assert gate.worker.journal.bytes - before < 20_000


BODIES = {
    b"": (400, "invalid_json", None),
    b"hello": (400, "invalid_json", None),
    b'{"model": "fake/echo"': (400, "invalid_json", None),
    b'["fake/echo"]': (400, "invalid_json", None),
    b'{"model": "fake/echo", "x": "\xff"}': (400, "invalid_utf8", None),
    b'{"model": "fake/echo", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}": (400, "json_too_deep", None),
    b'{"messages": []}': (400, "model_missing", "model"),
    b'{"model": null}': (400, "invalid_field", "model"),
    b'{"model": 7}': (400, "invalid_field", "model"),
    b'{"model": ""}': (404, "model_not_found", "model"),
    b'{"model": "fake/echo", "model": "other"}': (400, "duplicate_field", None),
    b'{"model": "fake/echo", "Model": "other"}': (400, "ambiguous_field", "model"),
    b'{"model": "fake/echo", "\\u004dodel": "other"}': (400, "ambiguous_field", "model"),
    b'{"model": "fake/echo", "stream": "yes"}': (400, "invalid_field", "stream"),
    b'{"model": "nobody/has-this"}': (404, "model_not_found", "model"),
    b'{"model": "' + b"x" * 300 + b'"}': (404, "model_not_found", "model"),
}


async def test_bodies_that_cannot_be_understood(tmp_path: Path) -> None:
    async with gateway(tmp_path, default_provider=None) as gate:
        for body, (status, code, param) in BODIES.items():
            heard = await gate.send(gate.post(body))
            error = heard.json["error"]
            assert isinstance(error, dict)
            assert (heard.status, error["code"], error["param"]) == (status, code, param), body[:80]
        assert gate.fake.stats.requests == 0
    records = await records_of(gate)
    assert not records.opened
    assert {line.code for line in records.refused} == {code for _, code, _ in BODIES.values()}


async def test_suggestions_come_only_from_what_the_token_may_use(tmp_path: Path) -> None:
    async with gateway(tmp_path, default_provider=None) as gate:
        limited = gate.control.token(models=("fake/echo",))
        heard = await gate.send(gate.post(chat("fake/simulatd"), token=limited))
        assert (heard.status, code_of(heard)) == (403, "model_not_allowed")
        assert "'fake/echo'" in message_of(heard)
        assert "simulated" not in message_of(heard)
        heard = await gate.send(gate.post(chat("simulatd")))
        assert (heard.status, code_of(heard)) == (404, "model_not_found")
        assert "'fake/simulated'" in message_of(heard)
        listed = await gate.client(limited).models.list()
        assert [model.id for model in listed.data] == ["fake/echo"]


async def test_bodies_over_their_limits(tmp_path: Path) -> None:
    server = ServerConfig(max_body=10_000, max_upload=20_000, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        long = chat("fake/echo", more="x" * 10_000)
        heard = await gate.send(gate.post(long))
        assert (heard.status, code_of(heard)) == (413, "body_too_large")
        assert heard.headers["connection"] == "close"
        chunk = b"%x\r\n%s\r\n" % (6000, b" " * 6000)
        head = gate.get(CHAT, "POST", transfer_encoding="chunked")
        heard = await gate.send(head + chunk * 2)
        assert (heard.status, code_of(heard)) == (413, "body_too_large")
        form = b"\xff" * 30_000
        heard = await gate.send(gate.post(form, "/v1/audio/transcriptions", **{"content-type": "audio/wav"}))
        assert (heard.status, code_of(heard)) == (413, "upload_too_large")
        exact = b'{"model":"fake/echo","messages":[{"role":"user","content":"x"}]}'
        assert (await gate.send(gate.post(exact + b" " * (10_000 - len(exact))))).status == 200
    assert len((await records_of(gate)).opened) == 1


async def test_an_answered_body_too_large_arrives_though_the_client_goes_on_sending(tmp_path: Path) -> None:
    server = ServerConfig(max_body=10_000, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        reader, writer = await gate.open()
        writer.write(gate.get(CHAT, "POST", content_length="5000000"))
        writer.write(b" " * 200_000)
        async with asyncio.timeout(2):
            head = await reader.readuntil(b"\r\n\r\n")
        assert b" 413 " in head.splitlines()[0]
        writer.write(b" " * 200_000)


async def test_a_head_that_is_too_large(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for request in (gate.get("/v1/models", x_long="y" * 70_000), b"GET /" + b"a" * 70_000):
            heard = await gate.send(request)
            assert (heard.status, code_of(heard)) == (431, "head_too_large")
            assert heard.headers["connection"] == "close"


async def test_slow_and_silent_clients(tmp_path: Path) -> None:
    server = ServerConfig(header_timeout=0.15, body_timeout=0.15, idle_timeout=0.3, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        silent, head, body = await asyncio.gather(
            gate.send(b"", quiet=2),
            gate.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n"),
            gate.send(gate.get(CHAT, "POST", content_length="100") + b'{"model":'),
        )
        assert (silent.ended, silent.data) == ("eof", b"")
        assert (head.status, code_of(head)) == (408, "head_timeout")
        assert (body.status, code_of(body)) == (408, "body_timeout")
        kept = await gate.send(gate.get("/v1/models"), quiet=2)
        assert (kept.ended, kept.status) == ("eof", 200)
        assert not gate.worker.connections


async def test_a_head_that_trickles_does_not_hold_its_connection(tmp_path: Path) -> None:
    server = ServerConfig(header_timeout=0.2, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        reader, writer = await gate.open()
        writer.write(b"GET /v1/models HTTP/1.1\r\n")
        data = b""
        async with asyncio.timeout(2):
            while not data:
                writer.write(b"x-a: b\r\n")
                try:
                    data = await asyncio.wait_for(reader.read(100), 0.05)
                except TimeoutError:
                    continue
        assert b" 408 " in data


async def test_expectations(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        request = gate.post(HELLO, expect="100-continue")
        head, _, body = request.partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        async with asyncio.timeout(2):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert gate.fake.last is not None
        assert "expect" not in gate.fake.last.headers
        refused = await gate.send(
            gate.get(CHAT, "POST", expect="100-continue", content_length="9", authorization="")
        )
        assert refused.status == 401
        odd = await gate.send(gate.post(HELLO, expect="the-moon"))
        assert (odd.status, code_of(odd)) == (417, "expectation_failed")


async def test_compressed_requests(tmp_path: Path) -> None:
    plain = b'{"model":"fake/echo","messages":[{"role":"user","content":"hello"}]}'
    server = ServerConfig(max_body=100_000, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        for coding, body in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain))):
            heard = await gate.send(gate.post(body, content_encoding=coding))
            assert heard.status == 200
            assert gate.fake.last is not None
            assert "content-encoding" not in gate.fake.last.headers
            assert gate.fake.last.body == plain.replace(b"fake/echo", b"echo")
        bad = {
            (gzip.compress(b" " * 10_000_000), "gzip"): (413, "body_too_large"),
            (plain, "gzip"): (400, "bad_encoding"),
            (gzip.compress(plain)[:-8], "gzip"): (400, "bad_encoding"),
            (plain, "br"): (415, "unsupported_encoding"),
            (plain, "gzip, gzip"): (415, "unsupported_encoding"),
        }
        for (body, coding), wanted in bad.items():
            heard = await gate.send(gate.post(body, content_encoding=coding))
            assert (heard.status, code_of(heard)) == wanted, coding
        assert gate.worker.held == 0
    assert len((await records_of(gate)).opened) == 2


async def test_what_follows_a_compressed_body_is_refused(tmp_path: Path) -> None:
    """Behind the end of a gzip stream another may follow; two readers could differ on what the body is."""
    async with gateway(tmp_path) as gate:
        body = gzip.compress(b'{"model":"fake/echo","messages":[{"role":"user","content":"a"}]}')
        heard = await gate.send(gate.post(body + gzip.compress(b" "), content_encoding="gzip"))
        assert (heard.status, code_of(heard)) == (400, "bad_encoding")


async def test_account_wide_endpoints_are_closed_and_can_be_opened(tmp_path: Path) -> None:
    paths = (
        "/v1/files",
        "/v1/files/file_1/content",
        "/v1/batches",
        "/v1/responses/resp_1",
        "/v1/fine_tuning/jobs",
    )
    async with gateway(tmp_path) as gate:
        for path in (*paths, "/v1/anything/else"):
            heard = await gate.send(gate.get(path))
            assert (heard.status, code_of(heard)) == (403, "endpoint_not_allowed"), path
        heard = await gate.send(gate.post({"purpose": "x"}, "/v1/something/new"))
        assert (heard.status, code_of(heard)) == (404, "endpoint_not_found")
        assert gate.fake.stats.requests == 0
        opened = gate.control.token(endpoints=("account.files",))
        heard = await gate.send(gate.get("/v1/files", token=opened))
        assert heard.status == 200
        for path in ("/v1/batches", "/v1/models"):
            heard = await gate.send(gate.get(path, token=opened))
            assert (heard.status, code_of(heard)) == (403, "endpoint_not_allowed")
        limited = gate.control.token(endpoints=("account.*",), models=("fake/echo",))
        heard = await gate.send(gate.get("/v1/files", token=limited))
        assert (heard.status, code_of(heard)) == (403, "model_missing")


async def test_a_token_limited_to_endpoints(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token(endpoints=("embeddings", "models"))
        assert (await gate.send(gate.post(HELLO, token=token))).status == 403
        body = {"model": "fake/echo", "input": "x"}
        assert (await gate.send(gate.post(body, "/v1/embeddings", token=token))).status == 200


async def test_an_unknown_endpoint_that_names_a_model_passes(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post({"model": "fake/echo"}, "/v1/rerank"))
        assert heard.status == 404
        assert gate.fake.last is not None
        assert gate.fake.last.path == "/v1/rerank"
        heard = await gate.send(
            gate.post({"model": "nobody"}, "/v1/rerank", token=gate.control.token(models=("a",)))
        )
        assert heard.status == 403
    record = (await records_of(gate)).only()
    assert (record.endpoint, record.state) == ("other", "upstream_error")


async def test_what_answers_without_a_token(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        health = await gate.send(gate.get("/health", authorization=""))
        assert (health.status, health.body) == (200, b'{"status":"ok"}')
        root = await gate.send(gate.get("/", authorization=""))
        assert root.json["api"] == "/v1"
        for path in ("/health", "/"):
            head = await gate.send(gate.get(path, "HEAD", authorization=""), quiet=0.1)
            assert (head.status, head.raw_body) == (200, b"")
            assert int(head.headers["content-length"]) > 0
        for path in ("/manage/tokens", "/usage", "/docs"):
            heard = await gate.send(gate.get(path, authorization=""))
            assert (heard.status, code_of(heard)) == (404, "control_plane_path")
            assert "127.0.0.1:4001" in message_of(heard)
        heard = await gate.send(gate.get("/nowhere", authorization=""))
        assert (heard.status, code_of(heard)) == (404, "endpoint_not_found")
        post = await gate.send(gate.get("/health", "POST", authorization="", content_length="0"))
        assert post.status == 404


async def test_options_and_cross_origin_requests(tmp_path: Path) -> None:
    asked = {"origin": "https://app.example", "access_control_request_method": "POST"}
    async with gateway(tmp_path) as gate:
        plain = await gate.send(gate.get("/v1/models", "OPTIONS", authorization=""), quiet=0.1)
        assert plain.status == 204
        assert "POST" in plain.headers["allow"]
        heard = await gate.send(gate.get(CHAT, "OPTIONS", authorization="", **asked))
        assert (heard.status, code_of(heard)) == (403, "origin_not_allowed")
        heard = await gate.send(gate.post(HELLO, origin="https://app.example"))
        assert not [name for name in heard.headers if name.startswith("access-control")]
    server = ServerConfig(cors_origins=("https://app.example",), drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        names = {"access_control_request_headers": "Authorization, X-Stainless-Lang, bad name, ,x"}
        heard = await gate.send(gate.get(CHAT, "OPTIONS", authorization="", **asked, **names), quiet=0.1)
        assert heard.status == 204
        assert heard.headers["access-control-allow-headers"] == "Authorization, X-Stainless-Lang, x"
        assert heard.headers["access-control-allow-origin"] == "https://app.example"
        assert "POST" in heard.headers["access-control-allow-methods"]
        heard = await gate.send(gate.post(HELLO, origin="https://app.example"))
        assert heard.headers["access-control-allow-origin"] == "https://app.example"
        assert heard.headers["vary"] == "origin"
        assert "origin" not in gate.fake.last.headers  # type: ignore[union-attr]
        heard = await gate.send(gate.post(HELLO, origin="https://evil.example"))
        assert heard.status == 200
        assert "access-control-allow-origin" not in heard.headers
        heard = await gate.send(gate.post(HELLO, origin="https://app.example", authorization="Bearer x"))
        assert (heard.status, heard.headers["access-control-allow-origin"]) == (401, "https://app.example")


async def test_bodies_wait_for_room_then_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatvault.gateway.intake._ROOM_WAIT", 0.2)
    server = ServerConfig(max_body=100_000, max_bodies=150_000, drain_timeout=0.2)
    async with gateway(tmp_path, server=server) as gate:
        _, writer = await gate.open()
        writer.write(gate.get(CHAT, "POST", content_length="100000") + b" " * 99_999)
        await until(lambda: gate.worker.held >= 99_999)
        head = gate.get(CHAT, "POST", content_length="90000")
        late = await gate.send(head + b" " * 80_000)
        assert (late.status, code_of(late), late.headers["retry-after"]) == (503, "memory_exhausted", "5")
        await until(lambda: gate.worker.held == 99_999)
        _, patient = second = await gate.open()
        patient.write(gate.get(CHAT, "POST", content_length="60020") + b" " * 60_000)
        await until(lambda: gate.worker.held > 150_000)
        writer.transport.abort()
        patient.write(b'{"model":  "fake/x"}')
        async with asyncio.timeout(2):
            assert b" 400 " in await second[0].readuntil(b"\r\n")
        await until(lambda: gate.worker.held == 0)


async def test_bodies_off_by_default(tmp_path: Path) -> None:
    async with gateway(tmp_path, audit=AuditConfig(reserve=1 << 16)) as gate:
        await gate.send(gate.post(chat("fake/echo", user="a-name-of-a-user")))
    assert "hello there" not in await asyncio.to_thread(_all_text, tmp_path)
