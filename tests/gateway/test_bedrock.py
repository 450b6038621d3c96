"""Amazon Bedrock behind the gateway, which checks each signature: Converse and Anthropic's messages, asked by the
libraries of OpenAI and Anthropic, whole and streamed, and every way such an answer can break."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import openai
import pytest

from chatvault.config.schema import Config, ModelConfig, ProviderConfig
from chatvault.core.usage import Usage
from chatvault.fake import FakeProvider
from chatvault.fake.frames import event, exception
from chatvault.fake.signature import Account
from chatvault.providers.resolve import resolve
from tests.fake.raw import Heard
from tests.gateway.harness import Gate, decoded, gateway
from tests.gateway.records import Records
from tests.gateway.scripted import scripted
from tests.gateway.speakers import ARGUMENTS, PARAMETERS, RESULT, TOOL, Chat, Claude

ACCOUNT = Account("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "lent-token+/=")
KEYS = {
    name: getattr(ACCOUNT, name) for name in ("access_key_id", "secret_access_key", "session_token", "region")
}
NOVA = "bedrock/us.amazon.nova-lite-v1:0"
CLAUDE = "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-6-v1"
SAID = "One two three four"
ASK: Any = {"max_tokens": 99, "messages": [{"role": "user", "content": SAID}]}
both = pytest.mark.parametrize("model", [NOVA, CLAUDE], ids=["converse", "invoke"])


class Amazon:
    def __init__(self, gate: Gate, fake: FakeProvider) -> None:
        self.gate, self.fake = gate, fake

    def seen(self) -> tuple[str, dict[str, Any]]:
        """The path and the body of the last request."""
        last = self.fake.last
        assert last is not None
        assert self.gate.token not in "".join(last.headers.values())
        return last.path, msgspec.json.decode(last.body)

    def anthropic(self) -> anthropic.AsyncAnthropic:
        url = self.gate.base_url.removesuffix("/v1")
        client = anthropic.AsyncAnthropic(base_url=url, api_key=self.gate.token, max_retries=0)
        self.gate.on_exit(client.close)
        return client

    async def ask(self, model: str, *, path: str = "/v1/messages", **fields: Any) -> Heard:
        return await self.gate.send(self.gate.post({"model": model, **ASK, **fields}, path))

    async def record(self) -> Any:
        await self.gate.settled(1)
        return (await asyncio.to_thread(Records, self.gate.journal)).only()


@asynccontextmanager
async def amazon(tmp_path: Path, **said: Any) -> AsyncIterator[Amazon]:
    async with FakeProvider(aws=ACCOUNT) as fake, gateway(tmp_path) as gate:
        await serve(gate, ProviderConfig(kind="bedrock", **{"base_url": fake.url, **KEYS, **said}))
        yield Amazon(gate, fake)


async def serve(gate: Gate, account: ProviderConfig) -> None:
    found = resolve(Config(providers={"bedrock": account}), {}, False, None)
    old = gate.control.snapshot
    models = {"claude": ModelConfig(provider="bedrock", model=ARN)}
    new = msgspec.structs.replace(
        old, providers={**old.providers, **found.providers}, models=models, version=2
    )
    await gate.control.configure(new)


# --- what is sent


async def test_a_client_of_anthropic_keeps_its_bytes_but_for_what_the_path_says(tmp_path: Path) -> None:
    body = b'{"model": "%s","stream":true, "max_tokens": 9 , "x":"\\ud800 \xc3\xa9",\n"messages":[{"role":"user","content":"a b"}]}'
    async with amazon(tmp_path) as aws:
        heard = await aws.gate.send(aws.gate.post(body % CLAUDE.encode(), "/v1/messages?beta=true"))
        assert heard.status == 200, heard.body
        assert aws.fake.last is not None
        assert aws.fake.last.body == (
            b'{"anthropic_version":"bedrock-2023-05-31", "max_tokens": 9 , "x":"\\ud800 \xc3\xa9",\n'
            b'"messages":[{"role":"user","content":"a b"}]}'
        )
        path = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"
        assert (aws.fake.last.path, aws.fake.last.query) == (path, "")
        assert aws.fake.last.headers["accept"] == "application/json"


async def test_betas_and_versions_stand_in_the_body(tmp_path: Path) -> None:
    async with amazon(tmp_path) as aws:
        said = {
            "anthropic-beta": "a-2025,b-2026",
            "anthropic-version": "2026-10-21",
            "x-amz-security-token": "mine",
        }
        heard = await aws.gate.send(aws.gate.post({"model": CLAUDE, **ASK}, "/v1/messages", **said))
        assert heard.status == 200, heard.body
        _, body = aws.seen()
        assert body["anthropic_beta"] == ["a-2025", "b-2026"]
        assert body["anthropic_version"] == "bedrock-2023-05-31"
        assert aws.fake.last is not None
        assert not {"anthropic-beta", "anthropic-version"} & aws.fake.last.headers.keys()
        own = {"model": CLAUDE, **ASK, "anthropic_beta": ["mine"]}
        await aws.gate.send(aws.gate.post(own, "/v1/messages", **said))
        assert aws.seen()[1]["anthropic_beta"] == ["mine"]


async def test_a_name_that_leads_to_an_arn(tmp_path: Path) -> None:
    async with amazon(tmp_path) as aws:
        assert (await aws.ask("claude")).status == 200
        assert aws.seen()[0] == (
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-opus-4-6-v1/invoke"
        )
        assert (await aws.record()).target == ARN


@both
async def test_chat_is_told_in_what_the_model_is_asked_in(tmp_path: Path, model: str) -> None:
    async with amazon(tmp_path) as aws:
        chat = Chat(aws.gate)
        whole, streamed = await chat.ask(model, SAID), await chat.ask(model, SAID, stream=True)
        assert whole.text == streamed.text != ""
        assert (whole.finish, whole.input, whole.output) == (streamed.finish, streamed.input, streamed.output)
        path, body = aws.seen()
        if model is CLAUDE:
            assert path.endswith("/invoke-with-response-stream")
            assert body["anthropic_version"] == "bedrock-2023-05-31"
            assert not {"model", "stream"} & body.keys()
        else:
            assert path == "/model/us.amazon.nova-lite-v1%3A0/converse-stream"
            assert body == {"messages": [{"role": "user", "content": [{"text": SAID}]}]}


@both
async def test_anthropics_library_hears_the_same(tmp_path: Path, model: str) -> None:
    async with amazon(tmp_path) as aws:
        messages = Claude(aws.gate)
        whole, streamed = await messages.ask(model, SAID), await messages.ask(model, SAID, stream=True)
        assert whole.text == streamed.text != ""
        assert (whole.finish, whole.input, whole.output) == (streamed.finish, streamed.input, streamed.output)


@both
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("speaker", [Chat, Claude])
async def test_a_loop_of_tools(tmp_path: Path, model: str, stream: bool, speaker: Any) -> None:
    async with amazon(tmp_path) as aws:
        client = speaker(aws.gate)
        said = await client.ask(model, SAID, stream=stream, tools=True)
        assert said.calls == [(TOOL, ARGUMENTS)]
        assert said.finish == client.words["call"]
        after = await client.ask(model, SAID, stream=stream, tools=True, after=said)
        assert after.text
        body = aws.seen()[1]
        assert RESULT in json.dumps(body["messages"][2])
        if model is NOVA:
            (tool,) = body["toolConfig"]["tools"]
            assert tool["toolSpec"]["inputSchema"]["json"] == PARAMETERS


@both
async def test_usage_is_on_record(tmp_path: Path, model: str) -> None:
    async with amazon(tmp_path) as aws:
        heard = await aws.ask(f"{model}+cached-3", stream=True)
        assert heard.status == 200
        record = await aws.record()
        assert (record.state, record.usage_source, record.attempts) == ("completed", "provider", 1)
        assert record.usage == Usage(input=record.usage.input, cached=3, output=record.usage.output)
        assert record.usage.input > 3
        assert record.upstream_id == heard.headers["x-provider-request-id"]


async def test_tokens_are_estimated_where_nothing_counts_them(tmp_path: Path) -> None:
    async with amazon(tmp_path) as aws:
        heard = await aws.ask(CLAUDE, path="/v1/messages/count_tokens")
        assert heard.status == 200
        assert decoded(heard)["input_tokens"] > 0
        assert aws.fake.last is None


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/audio/speech", "/v1/images/generations"])
async def test_what_it_does_not_speak_is_refused_here(tmp_path: Path, path: str) -> None:
    async with amazon(tmp_path) as aws:
        heard = await aws.gate.send(
            aws.gate.post({"model": NOVA, "input": "a", "prompt": "a", "voice": "v"}, path)
        )
        assert (heard.status, decoded(heard)["error"]["code"]) == (400, "dialect_not_spoken")
        assert aws.fake.last is None


# --- who is asked


async def test_a_wrong_key_is_refused_by_the_provider(tmp_path: Path) -> None:
    async with amazon(tmp_path, secret_access_key="another") as aws:
        for model in (NOVA, CLAUDE):
            with pytest.raises(openai.PermissionDeniedError, match="signature we calculated does not match"):
                await aws.gate.client().chat.completions.create(model=model, messages=ASK["messages"])
            with pytest.raises(anthropic.PermissionDeniedError) as refused:
                await aws.anthropic().messages.create(model=model, **ASK)
            assert "signature we calculated does not match" in refused.value.message


async def test_a_key_of_bedrocks_own(tmp_path: Path) -> None:
    async with FakeProvider(api_key="ABSKkey") as fake, gateway(tmp_path) as gate:
        await serve(gate, ProviderConfig(kind="bedrock", base_url=fake.url, api_key="ABSKkey"))
        heard = await Amazon(gate, fake).ask(CLAUDE)
        assert heard.status == 200
        assert fake.last is not None
        assert fake.last.headers["authorization"] == "Bearer ABSKkey"


async def test_a_retry_is_signed_again(tmp_path: Path) -> None:
    async with amazon(tmp_path) as aws:
        assert (await aws.ask(CLAUDE)).status == 200
        heard = await aws.ask(f"{CLAUDE}+close-reused")
        assert heard.status == 200, heard.body
        await aws.gate.settled(2)
        records = await asyncio.to_thread(Records, aws.gate.journal)
        assert len(records.attempted) == 1


async def test_no_secret_is_told_or_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with amazon(
        tmp_path, secret_access_key="canary-secret", session_token=ACCOUNT.session_token
    ) as aws:
        heard = [await aws.ask(model, stream=stream) for model in (NOVA, CLAUDE) for stream in (False, True)]
        await aws.gate.settled(4)
        kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        told = b"".join(each.data for each in heard)
    for secret in (b"canary-secret", str(ACCOUNT.session_token).encode()):
        assert secret not in kept + told + caplog.text.encode()


# --- errors


@both
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (424, "api_error"),
        (429, "rate_limit_error"),
        (503, "overloaded_error"),
    ],
)
async def test_errors_are_told_in_the_clients_own_words(
    tmp_path: Path, model: str, status: int, kind: str
) -> None:
    async with amazon(tmp_path) as aws:
        heard = await aws.ask(f"{model}+fail-{status}")
        assert heard.status == status
        assert heard.headers["content-type"] == "application/json"
        assert heard.json["type"] == "error"
        assert "as it was told to" in decoded(heard)["error"]["message"]
        if model is CLAUDE:
            assert decoded(heard)["error"]["type"] == kind
        with pytest.raises(openai.APIStatusError) as refused:
            await aws.gate.client().chat.completions.create(
                model=f"{model}+fail-{status}", messages=ASK["messages"]
            )
        assert refused.value.status_code == status
        assert "as it was told to" in refused.value.message


@both
@pytest.mark.parametrize("after", [0, 3])
async def test_an_exception_inside_a_stream_is_an_error(tmp_path: Path, model: str, after: int) -> None:
    name = f"{model}+error-in-stream-after-{after}"
    async with amazon(tmp_path) as aws:
        with pytest.raises(openai.APIError, match="The simulated model broke off") as failed:
            async for _ in await aws.gate.client().chat.completions.create(
                model=name, messages=ASK["messages"], stream=True
            ):
                pass
        assert isinstance(failed.value, openai.APIStatusError) is (after == 0)
        record = await aws.record()
        assert (record.state, record.code) == ("error_in_band", "upstream_error_in_answer")
        with pytest.raises(anthropic.APIStatusError, match="The simulated model broke off"):
            await Claude(aws.gate).ask(name, SAID, stream=True)


@both
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize(
    "fault", ["cut-after-4", "reset-after-4", "truncated-json", "garbage-after-4", "no-finish+no-done"]
)
async def test_a_broken_stream_never_looks_whole(tmp_path: Path, model: str, path: str, fault: str) -> None:
    async with amazon(tmp_path) as aws:
        heard = await aws.ask(f"{model}+events-9+{fault}", path=path, stream=True)
        text = heard.body.decode()
        assert "[DONE]" not in text
        assert "message_stop" not in text
        if heard.status == 200:
            assert not heard.whole()
            assert "error" in heard.events[-1]
        else:
            assert heard.status == 502
        record = await aws.record()
        assert record.state == "upstream_cut"
        assert record.code == "upstream_cut"


@both
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_garbage_is_no_answer(tmp_path: Path, model: str, path: str) -> None:
    async with amazon(tmp_path) as aws:
        for stream in (False, True):
            heard = await aws.ask(f"{model}+garbage", path=path, stream=stream)
            assert heard.status == 502


@both
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
async def test_byte_by_byte_is_the_same(tmp_path: Path, model: str, path: str) -> None:
    async with amazon(tmp_path) as aws:
        fields = {"input": SAID, "messages": ..., "max_tokens": ...} if path == "/v1/responses" else {}
        asked = {
            key: value
            for key, value in ({"model": model, "stream": True, **ASK} | fields).items()
            if value is not ...
        }
        one = await aws.gate.send(aws.gate.post(asked, path))
        two = await aws.gate.send(aws.gate.post(asked | {"model": f"{model}+split-1"}, path))
        assert one.status == two.status == 200
        assert told(one) == told(two) != ""


def told(heard: Heard) -> str:
    """All text of a stream."""
    events = [json.loads(each) for each in heard.events if each.startswith("{")]
    text = ""
    for each in events:
        delta = each.get("delta") or (each.get("choices") or [{}])[0].get("delta") or {}
        text += delta if isinstance(delta, str) else str(delta.get("text") or delta.get("content") or "")
    return text


async def test_the_metrics_that_bedrock_adds_pass(tmp_path: Path) -> None:
    """A stream as it was recorded: the bytes of Anthropic's events are the client's."""
    said = [
        b'{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":8}}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}',
        b'{"type":"content_block_stop","index":0}',
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":4}}',
        b'{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":8,"outputTokenCount":4}}',
    ]
    frames = [
        event("chunk", json.dumps({"bytes": base64.b64encode(each).decode(), "p": "ab"}).encode())
        for each in said
    ]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\nconnection: close\r\n\r\n"
    async with gateway(tmp_path) as gate, scripted(gate, head, *frames):
        await as_bedrock(gate)
        heard = await gate.send(
            gate.post({"model": "bedrock/anthropic.claude-x", "stream": True, **ASK}, "/v1/messages")
        )
        assert heard.headers["content-type"].startswith("text/event-stream")
        kinds = [json.loads(each)["type"] for each in said]
        expected = b"".join(
            b"event: %s\ndata: %s\n\n" % (kind.encode(), each) for kind, each in zip(kinds, said, strict=True)
        )
        assert heard.body == expected


async def test_an_exception_behind_the_first_text_ends_the_record_in_band(tmp_path: Path) -> None:
    frames = [
        event("messageStart", b'{"role":"assistant"}'),
        event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"half"}}'),
        exception("throttlingException", b'{"message":"Too many tokens, please wait before trying again."}'),
    ]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\nconnection: close\r\n\r\n"
    async with gateway(tmp_path) as gate, scripted(gate, head, *frames):
        await as_bedrock(gate)
        heard = await gate.send(
            gate.post({"model": "bedrock/amazon.nova-lite-v1:0", "stream": True, "messages": ASK["messages"]})
        )
        assert "half" in heard.body.decode()
        assert "Too many tokens" in heard.events[-1]
        assert not heard.whole()
        await gate.settled(1)
        record = (await asyncio.to_thread(Records, gate.journal)).only()
        assert (record.state, record.code) == ("error_in_band", "upstream_error_in_answer")


async def as_bedrock(gate: Gate) -> None:
    """The scripted provider as an account of Bedrock's."""
    url = gate.control.snapshot.providers["scripted"].base_url.removesuffix("/v1")
    await serve(gate, ProviderConfig(kind="bedrock", base_url=url, **KEYS))
