"""HTTP itself: shapes that smuggle never reach a provider, and what is well formed is served in order."""

import asyncio
import re
from pathlib import Path

import pytest

from chatvault.config.schema import ServerConfig
from tests.fake.raw import chat
from tests.gateway.harness import CHAT, Gate, converse, gateway, until
from tests.gateway.records import Records

BODY = b'{"model":"fake/echo","messages":[{"role":"user","content":"hello"}]}'
SMUGGLED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: 2\r\n\r\n{}"
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"


def post(
    fields: bytes,
    body: bytes = BODY,
    line: bytes = b"POST /v1/chat/completions HTTP/1.1",
    host: bytes = b"host: x\r\n",
) -> bytes:
    return line + b"\r\n" + host + b"authorization: Bearer TOKEN\r\n" + fields + b"\r\n" + body


def get(target: bytes, fields: bytes = b"") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nhost: x\r\nauthorization: Bearer TOKEN\r\n" + fields + b"\r\n"


def chunks(*lines: bytes) -> bytes:
    return post(CHUNKED, b"".join(lines))


ONE = b"%x\r\n%s\r\n" % (len(BODY), BODY)

SHAPES = {
    "CL.TE": post(LENGTH + CHUNKED, b"0\r\n\r\n" + SMUGGLED),
    "TE.CL": post(CHUNKED + b"content-length: 4\r\n", ONE + b"0\r\n\r\n"),
    "TE.TE": post(CHUNKED + b"transfer-encoding: identity\r\n", ONE + b"0\r\n\r\n"),
    "TE twice": post(CHUNKED + CHUNKED, ONE + b"0\r\n\r\n"),
    "TE list": post(b"transfer-encoding: gzip, chunked\r\n", ONE + b"0\r\n\r\n"),
    "TE not last": post(b"transfer-encoding: chunked, identity\r\n", ONE + b"0\r\n\r\n"),
    "TE identity": post(b"transfer-encoding: identity\r\n" + LENGTH),
    "TE odd": post(b"transfer-encoding: xchunked\r\n", ONE + b"0\r\n\r\n"),
    "TE quoted": post(b'transfer-encoding: "chunked"\r\n', ONE + b"0\r\n\r\n"),
    "TE vertical tab": post(b"transfer-encoding: \x0bchunked\r\n", ONE + b"0\r\n\r\n"),
    "TE under 1.0": post(CHUNKED, ONE + b"0\r\n\r\n", b"POST /v1/chat/completions HTTP/1.0"),
    "CL twice": post(LENGTH + LENGTH),
    "CL twice differing": post(LENGTH + b"content-length: 0\r\n", SMUGGLED),
    "CL list": post(b"content-length: 68, 68\r\n"),
    "CL plus": post(b"content-length: +68\r\n"),
    "CL minus": post(b"content-length: -1\r\n"),
    "CL hexadecimal": post(b"content-length: 0x44\r\n"),
    "CL empty": post(b"content-length:\r\n"),
    "CL blank inside": post(b"content-length: 6 8\r\n"),
    "CL huge": post(b"content-length: 99999999999999999999\r\n"),
    "bare LF": post(LENGTH).replace(b"\r\n", b"\n"),
    "bare LF within": post(b"x-a: b\nx-c: d\r\n" + LENGTH),
    "bare LF at the end": post(LENGTH, b"").removesuffix(b"\r\n") + b"\n" + BODY + b"\r\n\r\n",
    "bare CR": post(b"x-a: b\rtransfer-encoding: chunked\r\n" + LENGTH),
    "bare CR in the line": post(LENGTH, line=b"POST /v1/chat/completions\r HTTP/1.1"),
    "obs-fold": post(b"x-a: b\r\n c: d\r\n" + LENGTH),
    "obs-fold of TE": post(b"transfer-encoding:\r\n chunked\r\n" + LENGTH),
    "obs-fold first": post(LENGTH, host=b" x: y\r\nhost: x\r\n"),
    "blank before the colon": post(b"content-length : 68\r\n"),
    "blank before the colon of TE": post(b"transfer-encoding : chunked\r\n" + LENGTH),
    "no colon": post(b"x-nothing\r\n" + LENGTH),
    "no name": post(b": x\r\n" + LENGTH),
    "odd name": post(b"x(a): b\r\n" + LENGTH),
    "name beyond ASCII": post(b"x-\xe4: b\r\n" + LENGTH),
    "NUL in a value": post(b"x-a: b\x00c\r\n" + LENGTH),
    "NUL in a name": post(b"x-\x00a: b\r\n" + LENGTH),
    "DEL in a value": post(b"x-a: b\x7f\r\n" + LENGTH),
    "control character in a value": post(b"x-a: b\x01\r\n" + LENGTH),
    "no host": post(LENGTH, host=b""),
    "host twice": post(LENGTH, host=b"host: x\r\nhost: y\r\n"),
    "host with a path": post(LENGTH, host=b"host: x/y\r\n"),
    "host with a user": post(LENGTH, host=b"host: a@x\r\n"),
    "empty host": post(LENGTH, host=b"host:\r\n"),
    "authorization twice": post(b"authorization: Bearer other\r\n" + LENGTH),
    "content-type twice": post(b"content-type: a/b\r\ncontent-type: multipart/form-data\r\n" + LENGTH),
    "absolute URI": get(b"http://evil.example/v1/models"),
    "authority": get(b"evil.example:80"),
    "CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nhost: x\r\n\r\n",
    "PRI": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "asterisk": get(b"*"),
    "dot segment": get(b"/v1/models/../files"),
    "one dot": get(b"/v1/./files"),
    "trailing dots": get(b"/v1/files/.."),
    "encoded dots": get(b"/v1/%2e%2e/files"),
    "encoded dots, upper case": get(b"/v1/%2E%2E/files"),
    "encoded slash": get(b"/v1/files%2fa"),
    "encoded slash and dots in a model": get(b"/v1/models/a%2f..%2f..%2ffiles"),
    "encoded slashes in a model": get(b"/v1/models/a%2f%2Fb"),
    "encoded backslash": get(b"/v1/models%5cfiles"),
    "backslash": get(b"/v1\\files"),
    "double slash": get(b"//v1/models"),
    "double slash within": get(b"/v1//files"),
    "encoded NUL": get(b"/v1/models%00"),
    "encoded line end": get(b"/v1/models%0d%0ax: y"),
    "broken escape": get(b"/v1/models%zz"),
    "fragment": get(b"/v1/models#x"),
    "fragment in the query": get(b"/v1/models?a#x"),
    "dots before a semicolon": get(b"/v1/..;/files"),
    "beyond ASCII": get("/v1/modèls".encode()),
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "HTTP/1.2": b"GET /v1/models HTTP/1.2\r\nhost: x\r\n\r\n",
    "HTTP/2.0": b"GET /v1/models HTTP/2.0\r\nhost: x\r\n\r\n",
    "http in lower case": b"GET /v1/models http/1.1\r\nhost: x\r\n\r\n",
    "method in lower case": b"get /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    "two blanks": b"GET  /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    "a tab": b"GET\t/v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    "a third word": b"GET /v1/models x HTTP/1.1\r\nhost: x\r\n\r\n",
    "blank before the method": b" GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "chunk size empty": chunks(b"\r\n", ONE, b"0\r\n\r\n"),
    "chunk size not hexadecimal": chunks(b"4g\r\n", BODY),
    "chunk size with 0x": chunks(b"0x44\r\n", BODY, b"\r\n0\r\n\r\n"),
    "chunk size with a sign": chunks(b"+44\r\n", BODY, b"\r\n0\r\n\r\n"),
    "chunk size with a blank before": chunks(b" 44\r\n", BODY, b"\r\n0\r\n\r\n"),
    "chunk size huge": chunks(b"f" * 17 + b"\r\n", BODY),
    "chunk size with underscore": chunks(b"4_4\r\n", BODY, b"\r\n0\r\n\r\n"),
    "chunk ended by LF": chunks(b"44\n", BODY, b"\r\n0\r\n\r\n"),
    "chunk data ended by LF": chunks(b"44\r\n", BODY, b"\n0\r\n\r\n"),
    "chunk data too long": chunks(b"44\r\n", BODY, b"xx\r\n0\r\n\r\n"),
    "chunk extension with CR": chunks(b"44;a\rb\r\n", BODY, b"\r\n0\r\n\r\n"),
    "chunk extension with LF": chunks(b"44;\n", BODY, b"\r\n0\r\n\r\n"),
    "chunk extension with NUL": chunks(b"44;a=\x00\r\n", BODY, b"\r\n0\r\n\r\n"),
    "chunk extension without end": chunks(b"44;" + b"a" * 70_000),
    "trailer without colon": chunks(ONE, b"0\r\nnothing\r\n\r\n"),
    "trailer with fold": chunks(ONE, b"0\r\nx: y\r\n z\r\n\r\n"),
    "trailers without end": chunks(ONE, b"0\r\n", b"x: y\r\n" * 1000),
}


@pytest.mark.parametrize("cut", [None, 1], ids=["at once", "byte by byte"])
async def test_shapes_that_smuggle_are_refused_and_never_reach_a_provider(
    tmp_path: Path, cut: int | None
) -> None:
    async with gateway(tmp_path, server=ServerConfig(header_timeout=0.5, drain_timeout=0.2)) as gate:
        names = [name for name, request in SHAPES.items() if cut is None or len(request) < 1000]
        gathered = await asyncio.gather(*(_smuggle(gate, SHAPES[name], cut) for name in names))
        for name, (status, closed, answers) in zip(names, gathered, strict=True):
            assert status in (400, 501), name
            assert closed, name
            assert answers == 1, name
        assert gate.fake.stats.connections == 0
    records = await asyncio.to_thread(Records, gate.journal)
    assert not records.opened
    assert records.refused


async def _smuggle(gate: Gate, request: bytes, cut: int | None) -> tuple[int, bool, int]:
    """Status, whether the connection was closed, and how many answers came."""
    request = request.replace(b"TOKEN", gate.token.encode()).replace(b"%s", gate.token.encode())
    reader, writer = await gate.open()
    sent = [request[at : at + cut] for at in range(0, len(request), cut)] if cut else [request]
    for part in sent:
        if writer.is_closing() or reader.at_eof():
            break
        writer.write(part)
        if cut:
            await asyncio.sleep(0)
    data = b""
    closed = False
    async with asyncio.timeout(8):
        try:
            while True:
                more = await asyncio.wait_for(reader.read(65536), 0.1 if data else 5)
                if not more:
                    closed = True
                    break
                data += more
        except ConnectionError:
            closed = True
        except TimeoutError:
            pass
    writer.close()
    assert data, request
    return int(data.split(b" ", 2)[1]), closed, len(re.findall(rb"HTTP/1\.1 \d{3} ", data))


async def test_well_formed_oddities_are_served(tmp_path: Path) -> None:
    served = {
        "chunked": post(CHUNKED, ONE + b"0\r\n\r\n"),
        "chunked, many": post(CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
        "chunk extension": post(CHUNKED, b"44;a=b\r\n" + BODY + b"\r\n0\r\n\r\n"),
        "trailer": post(CHUNKED, ONE + b"0\r\nx-sum: 1\r\n\r\n"),
        "upper case": post(b"Content-Length: %d\r\n" % len(BODY)),
        "no blank": post(b"content-length:%d\r\n" % len(BODY)),
        "leading line end": b"\r\n" + post(LENGTH),
        "query": post(LENGTH, line=b"POST /v1/chat/completions?api-version=1&x=%2f HTTP/1.1"),
        "latin-1 value": post(b"x-a: \xe4\r\n" + LENGTH),
        "IPv6 host": post(LENGTH, host=b"host: [::1]:4000\r\n"),
        "h2c upgrade": post(
            b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAM\r\n" + LENGTH
        ),
        "http/1.0": post(LENGTH, line=b"POST /v1/chat/completions HTTP/1.0"),
    }
    async with gateway(tmp_path) as gate:
        assert len(BODY) == 0x44
        for name, request in served.items():
            for cut in (len(request), 1):
                status, closed, answers = await _smuggle(gate, request, cut)
                assert (status, answers) == (200, 1), name
                assert closed == (name == "http/1.0"), name
            assert gate.fake.last is not None
            assert "upgrade" not in gate.fake.last.headers
            assert "http2-settings" not in gate.fake.last.headers
            assert "transfer-encoding" not in gate.fake.last.headers


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        texts = [f"number {index} {'x' * (index * 37 % 500)}" for index in range(60)]
        requests = []
        for index, text in enumerate(texts):
            # The first are the slowest: were they run side by side, they would come last.
            model = f"fake/echo+slow-first-byte-{max(0, 40 - index * 10)}ms"
            body = chat(model, stream=index % 3 == 0)
            body["messages"] = [{"role": "user", "content": text}]
            requests.append(gate.post(body))
            if index % 7 == 0:
                requests.append(gate.get("/health"))
        writer.write(b"".join(requests))
        data = b""
        async with asyncio.timeout(10):
            while data.count(b"HTTP/1.1 200 OK") < len(requests) or not data.endswith((b"}", b"0\r\n\r\n")):
                data += await reader.read(65536)
        at = 0
        for text in texts:
            found = data.find(b'"content":"%s"' % text.encode(), at)
            if found < 0:
                found = data.find(text.split()[1].encode(), at)
            assert found >= at, text
            at = found
        ids = [line[14:] for line in data.split(b"\r\n") if line.startswith(b"x-request-id: ")]
        assert len(set(ids)) == len(requests)


async def test_a_next_request_that_waits_is_bounded_and_not_lost(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/echo+slow-first-byte-150ms")))
        await until(lambda: gate.worker.calls)
        filling = chat("fake/echo")
        filling["messages"] = [{"role": "user", "content": "y" * 500_000}]
        writer.write(gate.post(filling))
        await asyncio.sleep(0.05)
        (connection,) = gate.worker.connections
        assert len(connection._ahead) < 400_000
        async with asyncio.timeout(5):
            first = await converse(reader, writer, b"")
            assert first.status == 200
            second = await converse(reader, writer, b"")
        assert second.status == 200
        assert b"y" * 8000 in second.body


async def test_connections_live_on_and_close_when_asked(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        for _ in range(5):
            heard = await converse(reader, writer, gate.post(chat("fake/echo")))
            assert heard.status == 200
            assert "connection" not in heard.headers
        assert len(gate.worker.connections) == 1
        heard = await converse(reader, writer, gate.post(chat("fake/echo"), connection="close"))
        assert heard.headers["connection"] == "close"
        assert await reader.read() == b""
        assert gate.fake.stats.connections == 1


async def test_errors_keep_a_connection_whose_request_was_read(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        reader, writer = await gate.open()
        for _ in range(3):
            heard = await converse(reader, writer, gate.post(b"not json"))
            assert (heard.status, "connection" in heard.headers) == (400, False)
        heard = await converse(reader, writer, gate.post(chat("fake/fail-500")))
        assert heard.status == 500
        assert (await converse(reader, writer, gate.post(chat("fake/echo")))).status == 200


async def test_head_requests_get_no_body(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token(endpoints=("*", "account.*"))
        reader, writer = await gate.open()
        writer.write(
            gate.get("/v1/models", "HEAD")
            + gate.get("/v1/nothing", "HEAD", token=token)
            + gate.get("/health")
        )
        async with asyncio.timeout(3):
            first = await reader.readuntil(b"\r\n\r\n")
            second = await reader.readuntil(b"\r\n\r\n")
            third = await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(15) == b'{"status":"ok"}'
        assert first.startswith(b"HTTP/1.1 200")
        assert second.startswith(b"HTTP/1.1 404")
        assert third.startswith(b"HTTP/1.1 200")
        assert gate.fake.last is not None
        assert gate.fake.last.method == "HEAD"
    record = (await asyncio.to_thread(Records, gate.journal)).only()
    assert (record.state, record.status, record.code) == ("upstream_error", 404, "upstream_status")
    assert (record.cost, record.cost_source) == (0, "free")


async def test_an_old_client_gets_its_stream_without_chunks(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        request = gate.post(chat("fake/echo", stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0")
        heard = await gate.send(request, quiet=1)
        assert heard.ended == "eof"
        assert "transfer-encoding" not in heard.headers
        assert heard.events[-1] == "[DONE]"
        cut = gate.post(chat("fake/cut-after-2", stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0")
        heard = await gate.send(cut, quiet=1)
        assert heard.ended == "reset"
        assert "[DONE]" not in heard.events


async def test_a_draining_worker_closes_idle_connections_and_answers_the_last(tmp_path: Path) -> None:
    async with gateway(tmp_path, server=ServerConfig(drain_timeout=2)) as gate:
        gate.drain_s = 2.0
        idle_reader, idle_writer = await gate.open()
        assert (await converse(idle_reader, idle_writer, gate.get("/health"))).status == 200
        reader, writer = await gate.open()
        writer.write(gate.post(chat("fake/echo+slow-first-byte-200ms")))
        await until(lambda: gate.worker.calls)
        gate.stop.set()
        async with asyncio.timeout(2):
            assert await idle_reader.read() == b""
        heard = await converse(reader, writer, b"")
        assert (heard.status, heard.headers["connection"]) == (200, "close")
        with pytest.raises(OSError):  # nobody listens any more
            await asyncio.open_connection("127.0.0.1", gate.port)
    assert (await asyncio.to_thread(Records, gate.journal)).only().state == "completed"


def test_the_path_of_a_chat_is_the_one_all_tests_use() -> None:
    assert post(b"").split()[1].decode() == CHAT
