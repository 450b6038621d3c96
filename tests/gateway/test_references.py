"""What a call may cost is only said where its bytes bound it."""

import json
from typing import Any

import pytest

from chatvault.gateway.references import points_elsewhere, runs_tools
from chatvault.gateway.routes import ENDPOINTS
from chatvault.gateway.speech import speech_of

PLAIN = {"model": "m", "messages": [{"role": "user", "content": "Tell of web_search and googleSearch."}]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
POINTING: list[tuple[str, dict[str, Any]]] = [
    ("openai.chat", {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
    ("openai.chat", {"messages": [{"content": [{"type": "file", "file": {"file_id": "x"}}]}]}),
    ("openai.responses", {"previous_response_id": "x"}),
    ("openai.responses", {"prompt": {"id": "x"}}),
    ("anthropic.messages", {"messages": [{"content": [IMAGE]}]}),
    ("gemini.generate", {"contents": [{"parts": [{"inlineData": {"data": "AA=="}}]}]}),
    ("gemini.generate", {"contents": [{"parts": [{"file_data": {"file_uri": "x"}}]}]}),
    ("gemini.array", {"cachedContent": "cachedContents/x"}),
    ("ollama.chat", {"messages": [{"images": ["AA=="]}]}),
]
TOOLS: list[tuple[str, dict[str, Any]]] = [
    ("openai.chat", {"web_search_options": {}}),
    ("openai.responses", {"tools": [{"type": "web_search_preview"}]}),
    ("openai.responses", {"tools": [{"type": "mcp", "server_label": "x"}]}),
    ("openai.responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ("anthropic.messages", {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}),
    ("anthropic.messages", {"mcp_servers": []}),
    ("gemini.generate", {"tools": [{"googleSearch": {}}]}),
    ("gemini.generate", {"tools": [{"url_context": {}}]}),
]


def asked(dialect: str, fields: dict[str, Any]) -> tuple[Any, bytes]:
    body = json.dumps({"model": "m", **fields}).encode()
    return speech_of(dialect).read_request(body), body


@pytest.mark.parametrize(("dialect", "fields"), POINTING)
def test_what_the_bytes_do_not_hold(dialect: str, fields: dict[str, Any]) -> None:
    request, body = asked(dialect, fields)
    assert points_elsewhere(dialect, request, body)
    assert not runs_tools(request)


@pytest.mark.parametrize(("dialect", "fields"), TOOLS)
def test_tools_that_the_provider_runs(dialect: str, fields: dict[str, Any]) -> None:
    request, body = asked(dialect, fields)
    assert runs_tools(request)
    assert not points_elsewhere(dialect, request, body)


@pytest.mark.parametrize("dialect", sorted({each.dialect for each in ENDPOINTS if each.conversation}))
def test_text_is_bounded_by_its_bytes(dialect: str) -> None:
    functions = {"tools": [{"type": "function", "function": {"name": "search"}}]}
    for fields in (PLAIN, PLAIN | functions):
        request, body = asked(dialect, fields)
        assert not points_elsewhere(dialect, request, body)
        assert not runs_tools(request)


def test_the_text_of_a_prompt_is_no_reference() -> None:
    for dialect in ("openai.completions", "ollama.generate"):
        request, body = asked(dialect, {"prompt": "hi"})
        assert not points_elsewhere(dialect, request, body)
