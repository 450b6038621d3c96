"""What passes through and what does not: headers, bodies, streams, uploads and downloads, byte for byte."""

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from chatvault.config.schema import ModelConfig, ServerConfig
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.fake.request import Request
from tests.fake.raw import Heard, chat, written
from tests.gateway.harness import CHAT, KEY, Gate, converse, gateway, until
from tests.gateway.records import Records
from tests.gateway.shapes import STREAMED, WHOLE, Shape

TINY = b'{"model":"fake/echo","messages":[{"role":"user","content":"hello"}]'


def last(gate: Gate) -> Request:
    assert gate.fake.last is not None
    return gate.fake.last


async def only(gate: Gate) -> "Records":
    return await asyncio.to_thread(Records, gate.journal)


# --- headers


async def test_request_headers_that_pass_and_those_that_do_not(tmp_path: Path) -> None:
    passing = {
        "openai-beta": "assistants=v2",
        "x-unheard-of": "a; b=c",
        "idempotency-key": "k-1",
        "user-agent": "tests/1",
        "accept": "application/json",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "x-stainless-lang": "python",
    }
    stopped = {
        "cookie": "session=1",
        "x-api-key": "sk-1",
        "api-key": "sk-2",
        "x-goog-api-key": "sk-3",
        "proxy-authorization": "Basic x",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
        "keep-alive": "timeout=5",
        "te": "trailers",
        "trailer": "x",
        "upgrade": "websocket",
        "proxy-connection": "keep-alive",
        "connection": "keep-alive, X-Nominated",
        "x-nominated": "1",
        "forwarded": "for=1.2.3.4",
        "via": "1.1 x",
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-host": "x",
        "x-forwarded-proto": "https",
        "x-real-ip": "1.2.3.4",
        "origin": "https://x.example",
        "referer": "https://x.example/",
        "sec-fetch-mode": "cors",
        "x-chatvault-anything": "1",
    }
    async with gateway(tmp_path) as gate:
        path = f"{CHAT}?api-version=7&x=a%2Fb"
        heard = await gate.send(
            gate.post(
                chat("fake/echo"),
                path,
                **passing,
                **stopped,
                **{"x-request-id": "mine", "accept-encoding": "br"},
            )
        )
        assert heard.status == 200
        seen = last(gate)
        assert seen.query == "api-version=7&x=a%2Fb"
        for name, value in passing.items():
            assert seen.headers.get(name) == value, name
        for name in stopped.keys() - {"connection"}:
            assert name not in seen.headers, name
        assert "x-nominated" not in seen.headers.get("connection", "")
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        assert seen.headers["accept-encoding"] == "identity"
        assert seen.headers["x-request-id"] == heard.headers["x-request-id"] != "mine"
        assert seen.headers["host"] == f"127.0.0.1:{gate.fake.port}"
        assert gate.token not in str(seen.headers)
    records = await only(gate)
    assert records.only().trace == "a" * 32


async def test_a_nominated_field_cannot_take_away_what_the_gateway_sends(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        fields = "authorization, content-type, x-request-id, host, content-length"
        heard = await gate.send(gate.post(chat("fake/echo"), connection=fields))
        assert heard.status == 200
        assert last(gate).headers["authorization"] == f"Bearer {KEY}"
        assert last(gate).headers["x-request-id"] == heard.headers["x-request-id"]


async def test_answer_headers_that_pass_and_those_that_do_not(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for stream in (False, True):
            heard = await gate.send(gate.post(chat("fake/echo+set-cookie+early-hints", stream=stream)))
            assert heard.status == 200
            for name in (
                "set-cookie",
                "openai-organization",
                "alt-svc",
                "server",
                "keep-alive",
                "connection",
            ):
                assert name not in heard.headers, name
            assert heard.headers["x-ratelimit-limit-requests"] == "10000"
            assert heard.headers["x-provider-request-id"].startswith("req_")
            assert re.fullmatch(r"[0-9a-f]{32}", heard.headers["x-request-id"])
            timing = r"gateway;dur=\d+\.\d{3}, upstream;dur=\d+\.\d{3}"
            assert re.fullmatch(timing, heard.headers["server-timing"])
            names = [line.split(":")[0].lower() for line in heard.head.decode().split("\r\n")[1:]]
            assert len(names) == len(set(names))


# --- bodies


FORWARDED = {
    TINY + b"}": b'{"model":"echo","messages":[{"role":"user","content":"hello"}]}',
    TINY + b',"unheard_of":{"a":[1,2.50,"\\u00e4\\ud83d\\ude00"]},"seed":1e5}': (
        b'{"model":"echo","messages":[{"role":"user","content":"hello"}],"unheard_of":{"a":[1,2.50,'
        b'"\\u00e4\\ud83d\\ude00"]},"seed":1e5}'
    ),
    TINY + b',"metadata":{"model":"fake/echo"}}': (
        b'{"model":"echo","messages":[{"role":"user","content":"hello"}],"metadata":{"model":"fake/echo"}}'
    ),
    TINY
    + b',"x":"\\ud800 alone"}': b'{"model":"echo","messages":[{"role":"user","content":"hello"}],"x":"\\ud800 alone"}',
    b' \n{ "messages" :\t[{"role":"user","content":"h\xc3\xa4"}] , "model" : "fake/echo" }\r\n ': (
        b' \n{ "messages" :\t[{"role":"user","content":"h\xc3\xa4"}] , "model" : "echo" }\r\n '
    ),
    b'{"messages":[{"role":"user","content":"\\"model\\":\\"fake/echo\\""}],"model":"fake\\/echo"}': (
        b'{"messages":[{"role":"user","content":"\\"model\\":\\"fake/echo\\""}],"model":"echo"}'
    ),
}


async def test_bodies_are_forwarded_byte_for_byte_but_for_the_model(tmp_path: Path) -> None:
    async with gateway(tmp_path, models={"echo": ModelConfig(provider="fake", model="echo")}) as gate:
        for body, forwarded in FORWARDED.items():
            assert (await gate.send(gate.post(body))).status == 200
            assert last(gate).body == forwarded
        for same in FORWARDED.values():
            assert (await gate.send(gate.post(same))).status == 200
            assert last(gate).body == same


async def test_a_public_name_becomes_the_providers(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("public")))
        assert heard.status == 200
        assert b'"model": "simulated"' in last(gate).body or b'"model":"simulated"' in last(gate).body
        assert (await gate.send(gate.post(chat("bare-name")))).status == 200
    records = await only(gate)
    assert [(line.model, line.target) for line in records.closed] == [
        ("public", "simulated"),
        ("bare-name", "bare-name"),
    ]


async def test_usage_is_asked_for_and_its_event_hidden_unless_the_client_asked(tmp_path: Path) -> None:
    def usage_events(heard: Heard) -> list[str]:
        return [event for event in heard.events if '"choices":[]' in event]

    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(TINY + b',"stream":true}'))
        assert last(gate).body == TINY.replace(
            b'{"model":"fake/echo"', b'{"stream_options":{"include_usage":true},"model":"echo"'
        ) + (b',"stream":true}')
        assert usage_events(heard) == []
        heard = await gate.send(gate.post(TINY + b',"stream":true,"stream_options":{"include_usage":true}}'))
        assert (
            last(gate).body
            == TINY.replace(b"fake/", b"") + b',"stream":true,"stream_options":{"include_usage":true}}'
        )
        assert len(usage_events(heard)) == 1
        for mine in (b'{"include_usage":false,"x":1}', b'{"x":1}', b"null"):
            heard = await gate.send(gate.post(TINY + b',"stream":true,"stream_options":' + mine + b"}"))
            assert b'"include_usage":true' in last(gate).body
            assert (b'"x":1' in last(gate).body) == (b'"x":1' in mine)
            assert usage_events(heard) == []
        whole = await gate.send(gate.post(TINY + b',"stream":false}'))
        assert b"stream_options" not in last(gate).body
        assert whole.status == 200
    records = await only(gate)
    assert {(line.usage_source, line.state) for line in records.closed} == {("provider", "completed")}


async def test_a_provider_that_does_not_know_the_option_is_not_sent_it(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        plain = ProviderSnapshot(
            name="plain",
            kind="fake",
            base_url=gate.fake.base_url,
            headers={"authorization": f"Bearer {KEY}"},
            stream_usage=False,
        )
        snapshot = gate.control.snapshot
        changed = {"providers": {**snapshot.providers, "plain": plain}}
        await gate.control.configure(
            type(snapshot)(**{f: getattr(snapshot, f) for f in snapshot.__struct_fields__} | changed)
        )
        heard = await gate.send(gate.post(chat("plain/echo", stream=True)))
        assert heard.events[-1] == "[DONE]"
        assert b"stream_options" not in last(gate).body
    record = (await only(gate)).only()
    assert (record.state, record.usage_source, record.cost) == ("completed", "unknown", None)


# --- streams

WAYS = (
    "echo", "echo+split-1", "echo+split-7", "echo+chunk-3", "echo+crlf", "echo+crlf+split-1", "echo+cr",
    "echo+cr+split-1", "echo+no-space", "echo+bom", "echo+many-lines", "echo+many-lines+split-1",
    "echo+bare-comment-pings+split-1", "echo+eof-body", "echo+old-http", "echo+gzip", "echo+gzip+split-1",
    "echo+deflate", "echo+trailers", "echo+connection-close", "echo+usage-in-last-chunk", "echo+no-content-type",
    "echo+usage-in-every-chunk", "echo+big-header-8k",
)  # fmt: skip


@pytest.mark.both_loops
async def test_streams_pass_as_the_provider_sent_them(tmp_path: Path) -> None:
    """The bytes that the client gets are those that the provider sends when it is asked directly."""
    async with gateway(tmp_path) as gate:
        for shape in STREAMED:
            for way in WAYS:
                asked = {"stream_options": {"include_usage": True}} if shape.endpoint != "responses" else {}
                mine, theirs = await _both(gate, shape, way, asked)
                if "no-content-type" in way:
                    assert mine.status == 502
                    continue
                assert mine.status == 200, (str(shape), way)
                assert (
                    mine.body == theirs.body if "gzip" not in way and "deflate" not in way else mine.whole()
                )
                assert mine.whole(), (str(shape), way)
    records = await only(gate)
    for record in records.closed:
        if record.state == "completed":
            assert (record.usage_source, record.cost_source) == ("provider", "prices"), record
        else:
            assert record.code == "upstream_not_json"


async def _both(gate: Gate, shape: Shape, way: str, asked: Mapping[str, object]) -> tuple[Heard, Heard]:
    mine = await gate.send(gate.post(shape.body(f"fake/{way}", **asked), shape.path))
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.fake.port)
    try:
        key = {"authorization": f"Bearer {KEY}"}
        theirs = await converse(reader, writer, written(shape.body(way, **asked), shape.path, **key))
    finally:
        writer.close()
    return mine, theirs


async def test_hidden_usage_leaves_the_rest_of_the_stream_as_it_was(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for way in WAYS:
            if "no-content-type" in way:
                continue
            heard = await gate.send(gate.post(chat(f"fake/{way}", stream=True)))
            body = heard.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            assert b'"choices":[]' not in body.replace(b"data:", b"").replace(b"\n", b"").replace(
                b" ", b""
            ), way
            assert body.rstrip().endswith(b"[DONE]"), way
            assert (b": ping" in body) == ("pings" in way)
    assert {record.usage_source for record in (await only(gate)).closed} == {"provider"}


async def test_the_head_comes_with_the_first_event_and_not_before(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/echo+slow-body-150ms", stream=True)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        heard = await converse(reader, writer, b"")
        assert heard.packets[0][1].startswith(b"HTTP/1.1 200")
        assert b"data:" in heard.packets[0][1]


async def test_pings_before_the_first_event_do_not_commit(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(
            gate.post(chat("fake/bare-comment-pings+error-in-stream-after-0", stream=True))
        )
        assert heard.status >= 400
        assert "error" in heard.json


async def test_events_are_passed_on_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/echo+pace-30ms+events-5", stream=True)))
        times = [at for at, packet in heard.packets if b'"content"' in packet]
        assert len(times) >= 5
        assert times[4] - times[0] > 0.09


async def test_a_stream_whose_connection_stays_open_behind_done_is_ended(tmp_path: Path) -> None:
    """Some providers keep the answer open after the last event; a client must not wait for that."""
    async with gateway(tmp_path) as gate:
        whole = await gate.send(gate.post(chat("fake/echo+events-3", stream=True)))
        events = len(whole.events) + 1  # and the one that is hidden
        heard = await gate.send(gate.post(chat(f"fake/echo+events-3+stall-after-{events}", stream=True)))
        assert heard.events[-1] == "[DONE]"
        assert heard.whole()
    assert {record.state for record in (await only(gate)).closed} == {"completed"}


# --- whole answers


async def test_whole_answers_pass_byte_for_byte(tmp_path: Path) -> None:
    ways = (
        "echo", "echo+split-1", "echo+chunk-5", "echo+eof-body", "echo+old-http", "echo+gzip", "echo+deflate",
        "echo+trailers", "echo+lone-surrogate", "echo+size-100k", "echo+no-usage", "echo+usage-null",
    )  # fmt: skip
    async with gateway(tmp_path) as gate:
        for way in ways:
            mine, theirs = await _both(gate, WHOLE[0], way, {})
            assert mine.status == 200, way
            assert "content-encoding" not in mine.headers
            assert int(mine.headers["content-length"]) == len(mine.body)
            assert mine.body == (theirs.unzipped if "content-encoding" in theirs.headers else theirs.body), (
                way
            )
    records = await only(gate)
    unknown = [record for record in records.closed if record.usage is None]
    assert len(unknown) == 2
    assert all(
        (record.cost, record.cost_source, record.usage_source) == (None, "unknown", "unknown")
        for record in unknown
    )


async def test_a_large_answer_streams_and_its_usage_is_found(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for way in ("size-3000k", "size-3000k+chunk-10000", "size-3000k+eof-body"):
            heard = await gate.send(gate.post(chat(f"fake/{way}")))
            assert heard.status == 200
            assert len(heard.body) > 3_000_000
            assert heard.json["object"] == "chat.completion"
    for record in (await only(gate)).closed:
        assert (record.state, record.usage_source) == ("completed", "provider")
        assert record.bytes_out > 3_000_000


async def test_a_large_answer_that_is_cut_breaks_the_connection(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/size-3000k+cut-after-1000000")))
        assert heard.status == 200
        assert heard.ended in ("eof", "reset")
        assert not heard.whole()
        held = await gate.send(gate.post(chat("fake/size-3000k+chunk-10000+cut-after-1000000")))
        assert held.status == 502
        assert held.whole()
    records = await only(gate)
    assert [(record.state, record.usage_source) for record in records.closed] == [
        ("upstream_cut", "unknown")
    ] * 2


async def test_a_large_error_is_an_error_on_record(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/fail-500"), **{"x-fake-fault": "big-header-8k"}))
        assert heard.status == 500
    assert (await only(gate)).only().state == "upstream_error"


async def test_a_compression_bomb_stays_small(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(chat("fake/gzip-bomb-16m")))
        assert heard.status in (200, 502)
    assert len((await only(gate)).closed) == 1


# --- uploads and downloads


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
