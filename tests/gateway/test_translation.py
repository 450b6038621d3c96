"""A client that speaks Anthropic's API, answered by a provider that speaks OpenAI's."""

from pathlib import Path
from typing import Any

import anthropic
import pytest

from chatvault.gateway.outbound import hidden_fields, outbound_headers
from chatvault.wire.http_head import parse_head
from tests.gateway.harness import gateway


async def test_anthropics_library_is_answered_by_an_openai_provider(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        client = anthropic.AsyncAnthropic(
            base_url=gate.base_url.removesuffix("/v1"), api_key=gate.token, max_retries=0
        )
        async with client:
            message = await client.messages.create(
                model="fake/echo",
                max_tokens=64,
                system="Be brief.",
                messages=[{"role": "user", "content": "Say this back"}],
                extra_body={"top_k": 5},
            )
            assert message.content[0].type == "text"
            assert message.content[0].text == "Say this back"
            assert message.stop_reason == "end_turn"
            assert message.usage.output_tokens == 3
            async with client.messages.stream(
                model="fake/echo", max_tokens=64, messages=[{"role": "user", "content": "One two three four"}]
            ) as stream:
                texts = [text async for text in stream.text_stream]
                final = await stream.get_final_message()
            assert "".join(texts) == "One two three four"
            assert len(texts) > 1
            assert final.stop_reason == "end_turn"
            with pytest.raises(anthropic.NotFoundError) as missing:
                await client.messages.create(
                    model="fake/no-such-model", max_tokens=1, messages=[{"role": "user", "content": "x"}]
                )
            assert isinstance(missing.value.body, dict)
            assert missing.value.body["type"] == "error"
            with pytest.raises(anthropic.APIStatusError) as failed:
                await client.messages.create(
                    model="fake/fail-status-503", max_tokens=9, messages=[{"role": "user", "content": "x"}]
                )
            assert failed.value.status_code == 503
            raw = await client.messages.with_raw_response.create(
                model="fake/echo",
                max_tokens=9,
                extra_body={"top_k": 5},
                messages=[{"role": "user", "content": "x"}],
            )
            assert raw.headers["x-chatvault-dropped"] == "top_k"
        await gate.settled(5)
        records = await gate.records()
    assert [line.state for line in records.closed] == [
        "completed",
        "completed",
        "upstream_error",
        "upstream_error",
        "completed",
    ]
    assert [line.endpoint for line in records.closed] == ["messages"] * 5
    assert all(line.usage is not None for line in records.closed if line.state == "completed")


def test_a_client_of_the_same_dialect_says_which_version_it_speaks() -> None:
    said = parse_head(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nanthropic-version: 2026-01-01\r\n\r\n")
    silent = parse_head(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n\r\n")
    ours = [(b"x-api-key", b"k"), (b"anthropic-version", b"2023-06-01")]
    hidden = hidden_fields(ours)
    assert (b"anthropic-version", b"2026-01-01") in outbound_headers(said, ours, hidden)
    assert (b"anthropic-version", b"2023-06-01") not in outbound_headers(said, ours, hidden)
    assert (b"anthropic-version", b"2023-06-01") in outbound_headers(silent, ours, hidden)


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
async def test_a_thread_that_another_provider_would_keep_is_refused_as_the_library_understands(
    tmp_path: Path, thread: dict[str, str]
) -> None:
    """Its library answers this by sending the whole conversation; without it, the model would see the last turn alone."""
    body = {"model": "fake/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    async with gateway(tmp_path) as gate:
        heard = await gate.send(gate.post(body | {"thread": thread}, "/v1/messages"))
        assert heard.status == 400
        error: Any = heard.json["error"]
        assert (error["type"], error["code"], error["param"]) == (
            "invalid_request_error",
            "cannot_carry",
            "thread",
        )
        assert error["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
        assert (await gate.send(gate.post(body | {"thread": None}, "/v1/messages"))).status == 200
        assert gate.fake.stats.requests == 1
