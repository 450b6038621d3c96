"""Usage both ways, and errors both ways by one table."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.errors import ClientError, NotFound, TooLarge, Unavailable, UpstreamError
from chatvault.core.usage import Usage
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.hub.events import Failed

COUNTS = st.integers(0, 1 << 40)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 9))
def test_usage_comes_back(fresh: int, cached: int, short: int, long: int, output: int, searches: int) -> None:
    usage = Usage(
        input=fresh + cached + short + long,
        cached=cached,
        cache_write=short,
        cache_write_1h=long,
        output=output,
        reasoning=output // 2,
        searches=searches,
    )
    assert MESSAGES.read_usage(MESSAGES.write_usage(usage)) == usage


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"input_tokens": 1, "output_tokens": 2}, Usage(input=1, output=2)),
        ({"input_tokens": 1, "cache_creation_input_tokens": 3}, Usage(input=4, cache_write=3)),
        ({"output_tokens": 2, "cache_read_input_tokens": None}, Usage(output=2)),
        (
            {"input_tokens": 0, "cache_creation": {"ephemeral_1h_input_tokens": 5}},
            Usage(input=5, cache_write_1h=5),
        ),
        (
            # What was written in all is the newer word.
            {
                "input_tokens": 0,
                "cache_creation_input_tokens": 8,
                "cache_creation": {"ephemeral_1h_input_tokens": 5},
            },
            Usage(input=8, cache_write=3, cache_write_1h=5),
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "iterations": [
                    {
                        "type": "compaction",
                        "input_tokens": 100,
                        "output_tokens": 50,
                        "cache_read_input_tokens": 7,
                    },
                    {"type": "message", "input_tokens": 10, "output_tokens": 5},
                    {"type": "advisor_message", "input_tokens": 9, "output_tokens": 9},
                ],
            },
            Usage(input=117, cached=7, output=55),
        ),
        ({"input_tokens": -5, "output_tokens": 1 << 60, "server_tool_use": []}, Usage(output=1 << 48)),
        ({"input_tokens": "5"}, None),
        ({}, None),
        ([], None),
    ],
)
def test_usage_is_read(said: Any, usage: Usage | None) -> None:
    assert MESSAGES.read_usage(json.dumps(said).encode()) == usage


def test_usage_that_is_no_json() -> None:
    assert MESSAGES.read_usage(b"{") is None


def test_audio_and_images_are_counted_and_not_told_apart() -> None:
    told = json.loads(MESSAGES.write_usage(Usage(input=9, input_audio=4, output=5, output_image=2)))
    assert (told["input_tokens"], told["output_tokens"]) == (9, 5)


TABLE = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
]


@pytest.mark.parametrize(("status", "kind"), TABLE)
def test_the_table_both_ways(status: int, kind: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": "m"}, "request_id": "r"}).encode()
    failed = MESSAGES.read_error(status, body)
    assert failed == Failed(message="m", kind=kind, status=status)
    assert json.loads(MESSAGES.write_error(failed, status))["error"] == {"type": kind, "message": "m"}
    inside = MESSAGES.stream_reader().feed(b"event: error\ndata: " + body + b"\n\n")
    assert inside == [failed]
    written = json.loads(MESSAGES.write_error(Failed(message="m", kind="of_another", code="c"), status))
    assert written["error"] == {"type": kind, "message": "m", "code": "c", "provider_type": "of_another"}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ClientError("m", code="c", param="messages[0]"), 400, "invalid_request_error"),
        (NotFound("m", code="c"), 404, "not_found_error"),
        (TooLarge("m", code="c"), 413, "request_too_large"),
        (Unavailable("m", code="c"), 503, "overloaded_error"),
        (UpstreamError("m", code="c"), 502, "api_error"),
        (ClientError("m", code="c", status=415), 415, "invalid_request_error"),
    ],
)
def test_errors_of_the_gateway(error: Any, status: int, kind: str) -> None:
    told = json.loads(MESSAGES.write_error(error, status))
    assert told["type"] == "error"
    assert (told["error"]["type"], told["error"]["code"], told["error"].get("param")) == (
        kind,
        "c",
        error.param,
    )
    event = MESSAGES.write_error_event(error)
    assert event.startswith(b"event: error\ndata: {")
    assert json.loads(event.split(b"data: ")[1]) == told


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"openai"}}', "openai"),
        (b'{"message":"plain"}', "plain"),
        (b"<html>", "The provider answered 502 and did not say why."),
        (b"[]", "The provider answered 502 and did not say why."),
    ],
)
def test_errors_of_other_shapes(body: bytes, message: str) -> None:
    assert MESSAGES.read_error(502, body).message == message


def test_an_error_code_is_kept() -> None:
    body = (
        b'{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"spend"}}}'
    )
    assert MESSAGES.read_error(429, body).code == "spend"
