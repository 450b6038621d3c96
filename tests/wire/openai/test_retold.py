"""Errors and usage of many providers, told again in OpenAI's shapes."""

import json
import os
from pathlib import Path

import pytest

from chatvault.core.errors import ClientError
from chatvault.core.usage import Usage
from chatvault.wire.hub.events import Failed
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.retold import failure_in, tier_of, usage_of

CHAT = ChatDialect()


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (
            b'{"error": {"message": "m", "type": "t", "code": "c"}}',
            Failed(message="m", kind="t", code="c", status=418),
        ),
        (b'{"error": "m"}', Failed(message="m", status=418)),
        (b'[{"error": {"message": "m", "code": 400}}]', Failed(message="m", code="400", status=418)),
        (b'{"message": "m", "type": "t"}', Failed(message="m", kind="t", status=418)),
        (b'{"detail": [{"msg": "m"}]}', Failed(message="m", status=418)),
        (
            b'{"object": "error", "message": "m", "code": 40001}',
            Failed(message="m", code="40001", status=418),
        ),
        (b"<html>teapot</html>", Failed(message="<html>teapot</html>", status=418)),
        (b"", Failed(message="The provider answered 418.", status=418)),
        (b'{"oops": 1}', Failed(message='{"oops":1}', status=418)),
        (b"null", Failed(message="null", status=418)),
    ],
)
def test_error_answers_of_any_shape(body: bytes, failed: Failed) -> None:
    assert failure_in(body, 418) == failed


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (429, "rate_limit_error"),
        (422, "invalid_request_error"),
        (503, "api_error"),
    ],
)
def test_an_error_without_a_type_gets_that_of_its_status(status: int, kind: str) -> None:
    assert json.loads(CHAT.write_error(Failed(message="m"), status))["error"]["type"] == kind


def test_errors_of_our_own_keep_their_field() -> None:
    error = ClientError("No.", code="invalid_field", param="stop")
    assert json.loads(CHAT.write_error(error, 400))["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "stop",
        "code": "invalid_field",
    }


@pytest.mark.recorded
def test_recorded_errors_keep_type_code_and_message() -> None:
    folder = os.environ.get("CHATVAULT_RECORDED")
    if not folder:
        pytest.skip("CHATVAULT_RECORDED names no folder")
    for recorded in json.loads((Path(folder) / "openai-errors.json").read_text()):
        error = {name: recorded[name] for name in ("message", "type", "code")}
        failed = CHAT.read_error(recorded["status"], json.dumps({"error": error}).encode())
        written = json.loads(CHAT.write_error(failed, recorded["status"]))["error"]
        assert {name: written[name] for name in error} == error


def test_usage_with_odd_members_is_read_as_far_as_it_can_be() -> None:
    assert usage_of({"prompt_tokens": 3, "completion_tokens": "x", "prompt_tokens_details": []}) == Usage(
        input=3
    )
    assert usage_of({"seconds": 3}) is None
    assert usage_of("x") is None


def test_service_tiers_in_our_words() -> None:
    assert [tier_of(word) for word in (None, "flex", "standard_only", "on_demand", "x")] == [
        None,
        "flex",
        "default",
        "default",
        None,
    ]
