import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.audit.redaction import redact, redact_bytes

CANARY = "Zq7canaryZq7canaryZq7"


@pytest.mark.parametrize(
    "text",
    [
        f"cv-{CANARY}",
        f"Incorrect API key provided: sk-proj-{CANARY}_x. You can find",
        f"sk-ant-api03-{CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"authorization: bearer  {CANARY}",
        f"Authorization: Basic {CANARY}==",
        f"Authorization: {CANARY}",
        f'{{"Authorization": "Token {CANARY}"}}',
        f'{{"api_key": "{CANARY}"}}',
        f'{{"api-key":"{CANARY} with blanks, and commas"}}',
        f'{{"text": "{{\\"api_key\\": \\"{CANARY}\\"}}"}}',
        f"x-api-key: {CANARY}",
        f"OPENAI_API_KEY={CANARY}",
        f"AWS_SECRET_ACCESS_KEY = '{CANARY}/+x'",
        f"https://example.com/v1?key={CANARY}&alt=sse",
        f"https://example.com/v1?a=1&api_key={CANARY}",
        f"postgresql://user:{CANARY}@host/db",
        f"gsk_{CANARY}",
        f"hf_{CANARY}",
        f"xai-{CANARY}",
        f"ghp_{CANARY}",
        f"AIza{CANARY}{CANARY}",
        f"ya29.{CANARY}",
        f"eyJhbGciOi{CANARY}.{CANARY}.{CANARY}",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY} cut off",
        f"client_secret={CANARY}",
        f'{{"password": "it\\"s {CANARY} there"}}',
        f"{{'password': 'it is {CANARY} there'}}",
        f'{{"password": "pre\\\\{CANARY}"}}',
    ],
)
def test_no_secret_stays(text: str) -> None:
    for found in (redact(text), redact_bytes(text.encode()).decode()):
        assert CANARY not in found
        assert "[redacted]" in found
    assert redact(redact(text)) == redact(text)


def test_an_aws_key_id_goes() -> None:
    assert redact("key AKIAIOSFODNN7EXAMPLE.") == "key [redacted]."
    assert redact("sent ABSKQmVkcm9ja0FQSUtleS1h+/= on") == "sent [redacted] on"
    assert redact("sent bedrock-api-key-YmVkcm9jay5h on") == "sent [redacted] on"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The task-management-toolkit says: risk-averse-people-matter",
        '{"max_tokens": 12, "usage": {"prompt_tokens": 5}}',
        "No such model: gpt-4o-mini. Did you mean gpt-4o?",
        "The bearer of this letter",
        "https://example.com:8080/path?monkey=1",
        "chatcmpl-0123456789abcdef0123",
        "desk_0123456789012345",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text
    assert redact_bytes(text.encode()) == text.encode()


@given(st.text(max_size=60), st.sampled_from(["api_key", "Authorization", "password", "note"]))
def test_json_stays_json(value: str, name: str) -> None:
    for ascii_only in (True, False):
        text = json.dumps({name: value, "after": [1, "x"]}, ensure_ascii=ascii_only)
        found = json.loads(redact(text))
        assert set(found) == {name, "after"}
        assert found["after"] == [1, "x"]
        assert json.loads(redact_bytes(text.encode()).decode()) == found


def test_long_texts_take_linear_time() -> None:
    started = time.process_time()
    for text in (
        "a-" * 100_000,
        "api_key" * 40_000,
        "-----BEGIN PRIVATE KEY-----" * 3_000,
        "x://" * 50_000,
        "_" * 200_000,
    ):
        redact(text)
    assert time.process_time() - started < 5
