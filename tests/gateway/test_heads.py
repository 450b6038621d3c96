"""Heads on their way through: fields of one hop, lengths without bodies, credentials in a query."""

from pathlib import Path

import pytest

from chatvault.gateway.outbound import outbound_query
from tests.fake.raw import chat
from tests.gateway.harness import CHAT, converse, gateway
from tests.gateway.upstream import SSE, before, event, sized
from tests.net.peers import Peer, answering, closing

NOMINATING = {
    "one": b"connection: x-hop\r\n",
    "a list": b"connection: keep-alive, X-Hop ,x-other\r\n",
    "two lines": b"connection: x-other\r\nconnection: X-HOP\r\n",
}
HOP = b"x-hop: 1\r\nX-Other: 2\r\nx-end: 3\r\n"


@pytest.mark.parametrize("kind", NOMINATING)
async def test_fields_a_provider_nominates_stay_with_the_gateway(tmp_path: Path, kind: str) -> None:
    async with before(tmp_path, answering(sized(b"{}", more=NOMINATING[kind] + HOP))) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m")))
        assert heard.status == 200
        assert "x-hop" not in heard.headers
        assert ("x-other" in heard.headers) == (kind == "one")
        assert heard.headers["x-end"] == "3"
        assert "connection" not in heard.headers


async def test_the_same_of_a_stream_and_of_an_error(tmp_path: Path) -> None:
    more = NOMINATING["a list"] + HOP
    error = b"HTTP/1.1 429 x\r\ncontent-type: application/json\r\n%scontent-length: 2\r\n\r\n{}" % more
    stream = SSE[:-2] + more + b"\r\n" + event("a")
    for number, (answer, status) in enumerate(((error, 429), (stream, 200))):
        async with before(tmp_path / str(number), closing(answer)) as (gate, _):
            heard = await gate.send(gate.post(chat("raw/m", stream=True)))
            assert heard.status == status
            assert not {"x-hop", "x-other"} & heard.headers.keys()
            assert heard.headers["x-end"] == "3"


@pytest.mark.parametrize("length", [b"content-length: 123456\r\n", b""], ids=["announced", "not announced"])
async def test_head_keeps_the_providers_length(tmp_path: Path, length: bytes) -> None:
    heads: list[bytes] = []

    async def handle(peer: Peer) -> None:
        while head := (await peer.request())[0]:
            heads.append(head)
            await peer.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\n" + length + b"\r\n")

    async with before(tmp_path, handle, default_provider="raw") as (gate, _):
        token = gate.control.token(endpoints=("*", "account.*"))
        reader, writer = await gate.open()
        for _ in range(2):
            writer.write(gate.get("/v1/files/file-1/content", "HEAD", token=token))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.count(b"content-length: 123456\r\n") == (1 if length else 0)
            assert answer.count(b"content-length") == answer.count(b"content-length: 123456")
            assert b"content-type: audio/mpeg\r\n" in answer
        assert (await converse(reader, writer, gate.get("/health"))).body == b'{"status":"ok"}'
        assert [head.split()[0] for head in heads] == [b"HEAD", b"HEAD"]
    records = await gate.records()
    assert [(record.state, record.bytes_out) for record in records.closed] == [("completed", 0)] * 2


QUERIES = {
    "": "",
    "?": "?",
    "?a=1": "?a=1",
    "?key=s": "",
    "?key=s&a=1": "?a=1",
    "?a=1&key=s": "?a=1",
    "?a=1&key=s&b=2": "?a=1&b=2",
    "?api_key=s&api-key=t&access_token=u&a=1": "?a=1",
    "?KEY=s&Api_Key=t&a=1": "?a=1",
    "?%6bey=s&api%5Fkey=t&a=1": "?a=1",
    "?key&a=1": "?a=1",
    "?key=&a=1": "?a=1",
    "?monkey=1&keys=2&key_id=3&a.key=4": "?monkey=1&keys=2&key_id=3&a.key=4",
    "?alt=sse&pageToken=x&access=1": "?alt=sse&pageToken=x&access=1",
    "?a=key=s&b=%26key=s": "?a=key=s&b=%26key=s",
    "?a=1&&b=%zz&": "?a=1&&b=%zz&",
    "?key=s=t?u&a=b?c": "?a=b?c",
}


@pytest.mark.parametrize("query", QUERIES)
def test_credentials_are_taken_out_of_a_query(query: str) -> None:
    assert outbound_query(query.encode()).decode() == QUERIES[query]


async def test_credentials_in_a_query_do_not_go_upstream(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def handle(peer: Peer) -> None:
        while head := (await peer.request())[0]:
            heads.append(head)
            await peer.write(sized(b"{}"))

    async with before(tmp_path, handle) as (gate, _):
        for query in (
            "?key=sk-mine&api-version=7",
            "?api-version=7&api_key=sk-mine",
            "?Key=sk-mine&api-version=7",
        ):
            assert (await gate.send(gate.post(chat("raw/m"), CHAT + query))).status == 200
    assert len(heads) == 3
    for head in heads:
        assert head.startswith(b"POST /v1/chat/completions?api-version=7 HTTP/1.1\r\n")
        assert b"sk-mine" not in head


async def test_a_credential_in_a_query_opens_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.get(f"/v1/models?key={gate.token}", authorization=""))
        assert heard.status == 400, "a token does not belong in an address"
