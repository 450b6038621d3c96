"""Requests that are wrong, in every dialect that asks, of a provider that speaks another: 400 in the dialect's own error
shape, with the path of what is wrong, or passed on; never an error of the gateway's own."""

import json
import logging
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings

from chatvault.fake import FakeProvider
from tests.fake.raw import Heard
from tests.gateway.asked import ASKED, PATHS, TEXT, error_in, least, written
from tests.gateway.faces import provider_of
from tests.gateway.harness import KEY, Gate, gateway
from tests.gateway.mutations import mutated

DIALECTS: Final = tuple(PATHS)
EVERY: Final = pytest.mark.parametrize("dialect", DIALECTS)
OF: Final = {
    "openai.chat": "anthropic.messages",
    "openai.responses": "gemini.generate",
    "anthropic.messages": "openai.chat",
    "gemini.generate": "ollama.chat",
    "ollama.chat": "openai.responses",
}
"""Whom each dialect asks here."""


async def sent(tmp_path: Path, dialect: str, *bodies: bytes, of: str | None = None) -> list[Heard]:
    """What a client of the dialect hears of each body from a provider of another."""
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(
            tmp_path,
            providers={"there": provider_of(fake, of or OF[dialect], "there")},
            default_provider="there",
        ) as gate,
    ):
        return [await gate.send(gate.post(body, PATHS[dialect])) for body in bodies]


WRONG: Final[dict[str, dict[str, tuple[dict[str, Any], str]]]] = {
    "openai.chat": {
        "no list": ({"messages": "x"}, "messages"),
        "an empty list": ({"messages": []}, "messages"),
        "no message": ({"messages": [TEXT, 3]}, "messages[1]"),
        "no role": ({"messages": [{"content": "x"}]}, "messages[0].role"),
        "an unknown part": ({"messages": [TEXT, {"role": "user", "content": [{"text": "x"}]}]}, "messages[1].content[0].type"),
        "a number": ({"temperature": "hot", "messages": [TEXT]}, "temperature"),
        "a tool": ({"messages": [TEXT], "tools": [{"type": "function"}]}, "tools[0].function"),
    },
    "openai.responses": {
        "no text": ({"input": 3}, "input"),
        "no item": ({"input": [3]}, "input[0]"),
        "a number": ({"input": "x", "max_output_tokens": "many"}, "max_output_tokens"),
    },
    "anthropic.messages": {
        "no list": ({"max_tokens": 1, "messages": "x"}, "messages"),
        "an unknown part": ({"max_tokens": 1, "messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        "no content": ({"max_tokens": 1, "messages": [{"role": "user"}]}, "messages[0].content"),
        "a number": ({"max_tokens": "x", "messages": [TEXT]}, "max_tokens"),
    },
    "gemini.generate": {
        "no list": ({"contents": "x"}, "contents"),
        "no part": ({"contents": [{"role": "user", "parts": [3]}]}, "contents[0].parts[0]"),
    },
    "ollama.chat": {
        "no list": ({"messages": "x"}, "messages"),
        "a role": ({"messages": [{"role": 3, "content": "x"}]}, "messages[0].role"),
    },
}  # fmt: skip


@pytest.mark.parametrize(("dialect", "way"), [(dialect, way) for dialect in WRONG for way in WRONG[dialect]])
async def test_what_is_wrong_is_named_by_its_path(tmp_path: Path, dialect: str, way: str) -> None:
    fields, path = WRONG[dialect][way]
    (heard,) = await sent(tmp_path, dialect, written({"model": "m", "stream": False} | fields))
    assert heard.status == 400
    error_in(dialect, heard)
    assert re.search(rf"\b{re.escape(path)}(?![\w.\[])", heard.body.decode()), heard.body


def texts(dialect: str, text: str) -> bytes:
    """A least request with something else in the place of its text."""
    return json.dumps(least(dialect, stream=False)).replace('"x"', text).encode("utf-8", "surrogatepass")


@EVERY
async def test_bytes_that_are_no_json_in_utf_8(tmp_path: Path, dialect: str) -> None:
    good = texts(dialect, '"x"')
    bodies = (
        b"\xef\xbb\xbf" + good,
        good.decode().encode("utf-16"),
        good.replace(b'"x"', b'"\xff\xfe"'),
        good[:-1],
        good + good,
        b"[" + good + b"]",
        b"null",
        b"",
        good.replace(b"{", b'{"model":"m","model":"m",', 1),
        good.replace(b'"x"', b"NaN"),
        good.replace(b'"x"', b"[" * 100_000 + b"]" * 100_000),
    )
    for body, heard in zip(bodies, await sent(tmp_path, dialect, *bodies), strict=True):
        assert heard.status == 400, (body[:60], heard.body)
        error_in(dialect, heard)


@EVERY
async def test_odd_values_pass_or_are_refused(tmp_path: Path, dialect: str) -> None:
    deep = '{"type":"object","properties":{"a":' * 400 + "{}" + "}}" * 400
    odd = (
        '"\\ud83d"',
        '"\\u0000"',
        "null",
        '""',
        "1e400",
        "9" * 400,
        '{"a":1,"a":2}',
        deep,
        "[[]]",
        "[null]",
    )
    for text, heard in zip(
        odd, await sent(tmp_path, dialect, *(texts(dialect, each) for each in odd)), strict=True
    ):
        assert heard.status in (200, 400), (text[:40], heard.body)
        if heard.status == 400:
            error_in(dialect, heard)


@pytest.mark.parametrize("of", ["anthropic.messages", "gemini.generate", "openai.responses", "ollama.chat"])
async def test_conversations_that_are_out_of_order(tmp_path: Path, of: str) -> None:
    """Results without calls, systems anywhere, turns of one role: a provider may judge them, the gateway never fails."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"broken'}}
    result = {"role": "tool", "tool_call_id": "c", "content": "r"}
    system = {"role": "system", "content": "s"}
    conversations = (
        [result],
        [TEXT, result, TEXT],
        [TEXT, {"role": "assistant", "tool_calls": [call]}],
        [TEXT, {"role": "assistant", "tool_calls": [call, call]}, result, result],
        [system],
        [TEXT, system, TEXT, {"role": "developer", "content": "d"}],
        [{"role": "assistant", "content": "a"}],
        [{"role": "assistant", "content": "a"}] * 3,
        [{"role": "function", "name": "f", "content": "r"}],
        [{"role": "user", "content": None}, TEXT],
        [{"role": "user", "content": []}, TEXT],
    )
    bodies = [written({"model": "m", "messages": messages}) for messages in conversations]
    for messages, heard in zip(
        conversations, await sent(tmp_path, "openai.chat", *bodies, of=of), strict=True
    ):
        assert heard.status in (200, 400), (messages, heard.body)


async def test_a_body_over_the_limit_is_refused_in_the_dialects_shape(tmp_path: Path) -> None:
    async with FakeProvider(api_key=KEY, marker="x-request-id") as fake:
        there = provider_of(fake, "openai.chat", "there")
        async with gateway(tmp_path, providers={"there": there}, default_provider="there") as gate:
            limit = gate.worker.snapshot.server.max_body
            image = {"mimeType": "image/png", "data": "x" * 16}
            body = {"contents": [{"role": "user", "parts": [{"inlineData": image}]}]}
            data = written(body)
            head = gate.post(b"", PATHS["gemini.generate"]).replace(
                b"content-length: 0", b"content-length: %d" % (limit + 1)
            )
            heard = await gate.send(head + data, quiet=0.5)
    assert heard.status == 413
    assert error_in("gemini.generate", heard)["code"] == 413


@EVERY
@pytest.mark.parametrize("of", DIALECTS)
async def test_mutated_requests_never_fail_within_the_gateway(
    tmp_path: Path, dialect: str, of: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever becomes of a request: an answer, or an error of the 4xx class in the dialect's shape."""
    async with (
        FakeProvider(api_key=KEY, marker="x-request-id") as fake,
        gateway(
            tmp_path, providers={"there": provider_of(fake, of, "there")}, default_provider="there"
        ) as gate,
    ):
        found: list[bytes] = []

        @settings(max_examples=25, suppress_health_check=list(HealthCheck))
        @given(mutated([ASKED[dialect], least(dialect, stream=False)]))
        def gather(value: Any) -> None:
            found.append(written(value))

        gather()
        for body in found:
            await judged(gate, dialect, body)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def judged(gate: Gate, dialect: str, body: bytes) -> None:
    heard = await gate.send(gate.post(body, PATHS[dialect]))
    assert heard.status < 500, (body, heard.body)
    if heard.status >= 400:
        error_in(dialect, heard)
