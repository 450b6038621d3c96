"""Bedrock's side of the simulated provider, asked by AWS's own library: what it signs, sends and reads is what counts."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from chatvault.config.snapshot import AwsKeys
from chatvault.core.seam import Request
from chatvault.fake import FakeProvider
from chatvault.fake.errors import Refusal
from chatvault.fake.request import Request as Asked
from chatvault.fake.signature import Account, check
from chatvault.providers.sigv4 import SigV4
from tests.wire.bedrock.published import check as check_request

ACCOUNT = Account("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "token+/=")
NOVA = "us.amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SAID: Any = [{"role": "user", "content": [{"text": "One two three four"}]}]
TOOLS: Any = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}}}]}  # fmt: skip


@pytest.fixture
async def aws() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(aws=ACCOUNT) as fake:
        yield fake


@contextmanager
def client(fake: FakeProvider, secret: str = ACCOUNT.secret_access_key) -> Iterator[Any]:
    made = Session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=fake.url,
        aws_access_key_id=ACCOUNT.access_key_id,
        aws_secret_access_key=secret,
        aws_session_token=ACCOUNT.session_token,
        config=Config(retries={"max_attempts": 0, "mode": "standard"}),
    )
    try:
        yield made
    finally:
        made.close()


async def asked(
    fake: FakeProvider, ask: Callable[[Any], Any], secret: str = ACCOUNT.secret_access_key
) -> Any:
    """In a thread, since the library waits."""

    def run() -> Any:
        with client(fake, secret) as made:
            return ask(made)

    return await asyncio.to_thread(run)


def events_of(stream: Any) -> list[Any]:
    with closing(stream):
        return list(stream)


async def test_converse(aws: FakeProvider) -> None:
    def ask(made: Any) -> tuple[Any, list[Any]]:
        whole = made.converse(modelId=NOVA, messages=SAID, inferenceConfig={"maxTokens": 50})
        stream = made.converse_stream(modelId=NOVA, messages=SAID, inferenceConfig={"maxTokens": 50})
        return whole, events_of(stream["stream"])

    whole, events = await asked(aws, ask)
    text = whole["output"]["message"]["content"][0]["text"]
    deltas = [each["contentBlockDelta"]["delta"]["text"] for each in events if "contentBlockDelta" in each]
    assert "".join(deltas) == text != ""
    assert events[-1]["metadata"]["usage"] == whole["usage"]
    assert events[-2]["messageStop"]["stopReason"] == whole["stopReason"] == "end_turn"
    assert whole["usage"]["totalTokens"] == whole["usage"]["inputTokens"] + whole["usage"]["outputTokens"]
    assert aws.last is not None
    check_request(json.loads(aws.last.body))


async def test_a_loop_of_tools(aws: FakeProvider) -> None:
    def ask(made: Any) -> tuple[Any, Any]:
        one = made.converse(modelId=NOVA, messages=SAID, toolConfig=TOOLS)["output"]["message"]
        id = one["content"][0]["toolUse"]["toolUseId"]
        result = {"role": "user", "content": [{"toolResult": {"toolUseId": id, "content": [{"text": "r"}]}}]}
        two = made.converse(modelId=NOVA, messages=[*SAID, one, result], toolConfig=TOOLS)
        with pytest.raises(ClientError, match="toolConfig field must be defined"):
            made.converse(modelId=NOVA, messages=[*SAID, one, result])
        return one["content"][0]["toolUse"], two

    call, answer = await asked(aws, ask)
    assert (call["name"], list(call["input"])) == ("f", ["a"])
    assert answer["stopReason"] == "end_turn"


async def test_anthropics_messages(aws: FakeProvider) -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "a b"}],
    }

    def ask(made: Any) -> tuple[Any, list[Any]]:
        whole = json.loads(made.invoke_model(modelId=CLAUDE, body=json.dumps(body))["body"].read())
        stream = made.invoke_model_with_response_stream(modelId=CLAUDE, body=json.dumps(body))["body"]
        events = [json.loads(each["chunk"]["bytes"]) for each in events_of(stream)]
        for wrong in (
            body | {"model": "m"},
            body | {"stream": True},
            {**body, "anthropic_version": "2023-06-01"},
        ):
            with pytest.raises(ClientError) as refused:
                made.invoke_model(modelId=CLAUDE, body=json.dumps(wrong))
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        return whole, events

    whole, events = await asked(aws, ask)
    deltas = [each["delta"]["text"] for each in events if each["type"] == "content_block_delta"]
    assert "".join(deltas) == whole["content"][0]["text"] != ""
    assert events[-1]["type"] == "message_stop"


async def test_an_error_inside_a_stream(aws: FakeProvider) -> None:
    def ask(made: Any) -> None:
        # The library takes no `+` in a model's name, so the fault stands in the head.
        made.meta.events.register("before-sign", faulty)
        events_of(made.converse_stream(modelId=NOVA, messages=SAID)["stream"])

    def faulty(request: Any, **_: Any) -> None:
        request.headers.add_header("x-fake-fault", "error-in-stream-after-2")

    with pytest.raises(EventStreamError, match=r"modelStreamErrorException.*broke off"):
        await asked(aws, ask)


@pytest.mark.parametrize(
    "messages", [[], [{"role": "user", "content": []}], [{"role": "user", "content": [{"text": " "}]}]]
)
async def test_what_bedrock_refuses(aws: FakeProvider, messages: Any) -> None:
    with pytest.raises(ClientError, match=r"must start|is empty|is blank"):
        await asked(aws, lambda made: made.converse(modelId=NOVA, messages=messages))


async def test_another_secret_is_refused(aws: FakeProvider) -> None:
    with pytest.raises(ClientError, match="does not match"):
        await asked(aws, lambda made: made.converse(modelId=NOVA, messages=SAID), "another")


# --- signatures


KEYS = AwsKeys(
    region="us-east-1",
    access_key_id=ACCOUNT.access_key_id,
    secret_access_key=ACCOUNT.secret_access_key,
    session_token=ACCOUNT.session_token,
)
SEGMENT = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters="-._~%:+@"),
    min_size=1,
    max_size=20,
)


def now_us() -> int:
    return int(datetime.now(UTC).timestamp() * 1e6)


def ours(path: str, body: bytes, at_us: int) -> Asked:
    """A request as the gateway signs it."""
    headers = [(b"content-type", b"application/json"), (b"x-request-id", b"r")]
    signed = SigV4(KEYS).fields(Request(b"POST", path.encode(), headers, body), b"127.0.0.1:9", at_us)
    fields = {name.decode(): value.decode() for name, value in (*headers, *signed)}
    return Asked(method="POST", path=path, headers={"host": "127.0.0.1:9", **fields}, body=body)


@given(st.lists(SEGMENT, min_size=1, max_size=3), st.binary(max_size=50))
def test_the_gateway_signs_as_the_library_does(segments: list[str], body: bytes) -> None:
    path = "/" + "/".join(segments)
    mine = ours(path, body, now_us())
    request = AWSRequest(
        "POST", f"http://127.0.0.1:9{path}", data=body, headers={"content-type": "application/json"}
    )
    stamp = mine.headers["x-amz-date"]
    credentials = Credentials(ACCOUNT.access_key_id, ACCOUNT.secret_access_key, ACCOUNT.session_token)
    auth = SigV4Auth(credentials, "bedrock", "us-east-1")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    request.headers["X-Amz-Security-Token"] = str(ACCOUNT.session_token)
    canonical = auth.canonical_request(request)
    if "/." in path or "//" in path:
        return  # the library takes such paths apart, which no model's name makes
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    assert mine.headers["authorization"].endswith(f"Signature={signature}")
    check(mine, ACCOUNT)


def test_what_was_not_signed_so_is_refused() -> None:
    right = ours("/model/a%3A0/converse", b"{}", now_us())
    check(right, ACCOUNT)
    headers = right.headers
    scope = headers["authorization"]
    wrong: list[tuple[Asked, str]] = [
        (msgspec.structs.replace(right, body=b"{ }"), "does not match"),
        (msgspec.structs.replace(right, path="/model/b/converse"), "does not match"),
        (msgspec.structs.replace(right, headers={**headers, "content-type": "text/plain"}), "does not match"),
        (msgspec.structs.replace(right, headers={**headers, "x-amz-more": "1"}), "not those of the request"),
        (msgspec.structs.replace(right, headers={**headers, "x-amz-security-token": "t"}), "token included"),
        (msgspec.structs.replace(right, headers={**headers, "authorization": "Bearer k"}), "Missing"),
        (
            msgspec.structs.replace(
                right, headers={**headers, "authorization": scope.replace("us-east-1", "eu-west-1")}
            ),
            "scoped",
        ),
        (
            msgspec.structs.replace(
                right, headers={**headers, "x-amz-date": headers["x-amz-date"][:8] + "soon"}
            ),
            "no form",
        ),
        (ours("/a", b"", now_us() - 3_600_000_000), "expired"),
    ]
    for request, why in wrong:
        with pytest.raises(Refusal, match=why) as refused:
            check(request, ACCOUNT)
        assert refused.value.status == 403
