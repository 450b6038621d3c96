"""Anthropic's events inside Bedrock's stream."""

import base64
import json

import pytest

from chatvault.fake.frames import event, exception, frame
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.bedrock.chunks import ChunkReader, anthropic_error
from chatvault.wire.hub.events import Failed


def chunk(said: bytes) -> bytes:
    return event("chunk", json.dumps({"bytes": base64.b64encode(said).decode(), "p": "abc"}).encode())


def test_a_chunk_is_an_event_of_anthropics() -> None:
    said = b'{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}'
    data, reader = chunk(b'{"type":\r\n"ping"}') + chunk(said), ChunkReader()
    out = b"".join(reader.feed(data[at : at + 1]) for at in range(len(data)))
    assert out == b'event: ping\ndata: {"type":  "ping"}\n\nevent: message_stop\ndata: ' + said + b"\n\n"
    assert not reader.partial


def test_a_message_that_has_begun_is_partial() -> None:
    reader = ChunkReader()
    assert reader.feed(chunk(b'{"type":"ping"}')[:-1]) == b""
    assert reader.partial


def test_an_event_of_another_kind_says_nothing() -> None:
    assert ChunkReader().feed(event("initial-response", b"{}")) == b""


@pytest.mark.parametrize(
    "data",
    [
        event("chunk", b"{"),
        event("chunk", b'{"bytes":1}'),
        event("chunk", b'{"bytes":"*"}'),
        chunk(b"no JSON"),
        chunk(b'{"completion":"a"}'),
        chunk(b'{"a":' + b"[" * 100_000),
        b"event: message_start\ndata: {}\n\n",
    ],
)
def test_what_holds_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="stream"):
        ChunkReader().feed(data)


@pytest.mark.parametrize(
    ("data", "kind", "status", "message"),
    [
        (exception("throttlingException", b'{"message":"slow down"}'), "rate_limit_error", 429, "slow down"),
        (exception("validationException", b'{"Message":"no"}'), "invalid_request_error", 400, "no"),
        (exception("internalServerException", b"{}"), "api_error", 500, "InternalServerException"),
        (
            exception("serviceUnavailableException", b"no JSON"),
            "overloaded_error",
            503,
            "ServiceUnavailableException",
        ),
        (exception("modelTimeoutException", b'{"message":"late"}'), "timeout_error", 408, "late"),
        (
            exception(
                "modelStreamErrorException",
                b'{"message":"bad","originalStatusCode":529,"originalMessage":"x"}',
            ),
            "overloaded_error",
            529,
            "bad",
        ),
        (exception("strangerException", b'{"message":"m"}'), "api_error", None, "m"),
        (
            frame({":message-type": "error", ":error-code": "InternalFailure", ":error-message": "oh"}, b""),
            "api_error",
            None,
            "oh",
        ),
    ],
)
def test_an_exception_is_an_error_of_anthropics(
    data: bytes, kind: str, status: int | None, message: str
) -> None:
    out = ChunkReader().feed(data)
    assert out.startswith(b"event: error\ndata: ")
    said = json.loads(out.partition(b"data: ")[2])
    assert said["type"] == "error"
    assert (said["error"]["type"], said["error"]["message"]) == (kind, message)
    reader = MESSAGES.stream_reader()
    (failed,) = reader.feed(out) + reader.end()
    assert isinstance(failed, Failed)
    assert failed.message == message


def test_an_error_answer_is_told_as_anthropics() -> None:
    said = json.loads(anthropic_error(429, b'{"message":"Too many tokens, please wait."}'))
    assert said["error"]["type"] == "rate_limit_error"
    assert said["error"]["message"] == "Too many tokens, please wait."
    assert said["error"]["provider_type"] == "ThrottlingException"
    assert json.loads(anthropic_error(424, b"{}"))["error"]["type"] == "api_error"
