"""What passes through of a request, and what does not: headers and bodies, byte for byte."""

import asyncio
import re
from pathlib import Path

import pytest

from chatvault.config.schema import ModelConfig, ServerConfig
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.fake.request import Request
from tests.fake.raw import Heard, chat
from tests.gateway.harness import CHAT, KEY, Gate, converse, gateway
from tests.gateway.records import Records

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


async def test_every_connection_line_nominates(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        request = gate.post(
            chat("fake/echo"), **{"x-one": "1", "x-two": "2", "x-three": "3", "x_openai_organization": "o"}
        )
        lines = b"connection: X-One\r\nconnection: keep-alive, x-two\r\n"
        assert (await gate.send(request.replace(b"\r\n", b"\r\n" + lines, 1))).status == 200
        seen = last(gate).headers
        assert ("x-one" in seen, "x-two" in seen, seen.get("x-three")) == (False, False, "3")
        raw = request.replace(b"x-openai-organization", b"openai_organization")
        assert (await gate.send(raw)).status == 200
        assert "openai_organization" not in last(gate).headers


async def test_credentials_in_a_query_do_not_pass(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for query, passed in {
            "?key=secret": "",
            "?a=1&api_key=secret&b=2": "a=1&b=2",
            "?API-KEY=secret&keys=1": "keys=1",
            "?%6bey=secret": "",
            "?access_token=x&monkey=key": "monkey=key",
        }.items():
            assert (await gate.send(gate.post(chat("fake/echo"), CHAT + query))).status == 200
            assert last(gate).query == passed


@pytest.mark.parametrize(
    ("trusted", "address"),
    [((), "127.0.0.1"), (("127.0.0.0/8",), "9.9.9.9"), (("10.0.0.1",), "127.0.0.1")],
    ids=str,
)
async def test_forwarded_addresses_are_believed_from_trusted_proxies_only(
    tmp_path: Path, trusted: tuple[str, ...], address: str
) -> None:
    async with gateway(tmp_path, server=ServerConfig(trusted_proxies=trusted, drain_timeout=0.2)) as gate:
        reader, writer = await gate.open()
        request = gate.post(chat("fake/echo"), **{"x-forwarded-for": "1.1.1.1, 9.9.9.9"})
        assert (await converse(reader, writer, request)).status == 200
        again = gate.post(chat("fake/echo"), **{"x-forwarded-for": "8.8.8.8"})
        assert (await converse(reader, writer, again)).status == 200
    records = await only(gate)
    found = [records.private(line, line.client) for line in records.opened]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0]["address"] == address
    assert found[1]["address"] == ("8.8.8.8" if address == "9.9.9.9" else address)


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
    assert (record.state, record.usage_source, record.cost) == ("completed", "estimated", None)
