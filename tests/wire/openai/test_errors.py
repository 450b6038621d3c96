"""Errors in OpenAI's shape, and the message in everyone else's."""

import json

import pytest

from chatvault.core.errors import ClientError, UpstreamError
from chatvault.wire.openai.errors import error_body, error_event, error_text
from chatvault.wire.sse import data_of, events


def test_the_shape() -> None:
    error = ClientError('no "model"', code="missing_model", param="model")
    assert json.loads(error_body(error)) == {
        "error": {
            "message": 'no "model"',
            "type": "invalid_request_error",
            "param": "model",
            "code": "missing_model",
        }
    }


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.completions", "openai.responses"])
def test_an_error_within_a_stream_is_one_event(dialect: str) -> None:
    error = UpstreamError("cut\nshort", code="upstream_cut")
    event = error_event(error, dialect)
    assert len(events(event)) == 1
    data = data_of(event)
    assert data is not None
    value = json.loads(data)
    inner = value if dialect == "openai.responses" else value["error"]
    assert (inner["message"], inner["code"]) == ("cut\nshort", "upstream_cut")
    assert (dialect == "openai.responses") is (value.get("type") == "error")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"message": "m", "type": "t"}}, "m"),
        ({"error": "m"}, "m"),
        ({"message": "m"}, "m"),
        ({"object": "error", "message": "m", "code": 400}, "m"),
        ({"detail": "m"}, "m"),
        ({"detail": [{"loc": ["body"], "msg": "m", "type": "missing"}]}, "m"),
        ({"detail": {"message": "m"}}, "m"),
        ([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}], "m"),
        ({"error": {"message": {"detail": "m"}}}, "m"),
        ({"error": {"code": 1}}, None),
        ({"error": []}, None),
        ({}, None),
        ([], None),
        ("m", "m"),
        (5, None),
        (None, None),
    ],
)
def test_the_message_in_an_error_answer(body: object, text: str | None) -> None:
    assert error_text(json.dumps(body).encode()) == text


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"\xff", b'{"error":"\\ud800"}'])
def test_what_has_no_message(body: bytes) -> None:
    assert error_text(body) is None
