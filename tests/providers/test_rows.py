"""The table agrees with the price book, with the simulated provider, and with what was recorded of the real
ones."""

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest
from genai_prices.data import providers

from chatvault.fake.models import MODELS
from chatvault.pricing.book import PriceBook
from chatvault.providers.row import ProviderRow
from chatvault.providers.rows import ROWS

ADDRESSES = {
    "azure": "https://abc123.openai.azure.com/openai/v1",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com",
    "vertex": "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/google",
}
"""Of providers whose address the operator says."""
PRICED = [row for row in ROWS.values() if row.price_id is not None]


def test_every_row_is_there() -> None:
    names = (
        "openai anthropic gemini vertex bedrock azure deepseek openrouter groq mistral xai together fireworks perplexity cerebras cohere "
        "huggingface nvidia moonshot zai dashscope sambanova vercel github cloudflare ollama lmstudio "
        "llamacpp vllm sglang localai llamafile jan openai-compatible litellm fake"
    )
    assert set(ROWS) == set(names.split())


@pytest.mark.parametrize("row", PRICED, ids=lambda row: row.name)
def test_the_price_book_knows_the_provider_by_the_same_address(row: ProviderRow) -> None:
    theirs = next(provider for provider in providers if provider.id == row.price_id)
    url = re.sub(r"\{\w+\}", "abc123", row.base_url or ADDRESSES[row.name])
    assert re.match(theirs.api_pattern, url)
    assert PriceBook().models(row.price_id)


FAMILIES = {"openai", "anthropic", "gemini", "ollama", "bedrock"}


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_a_row_is_whole(row: ProviderRow) -> None:
    assert row.docs.startswith(("https://", "docs/"))
    assert set(row.faces) <= FAMILIES
    for family, face in row.faces.items():
        assert face.dialects
        assert all(dialect.startswith(f"{family}.") for dialect in face.dialects)
        assert "{key}" in face.auth_format
        assert face.auth_header == face.auth_header.lower()
        assert all(name == name.lower() for name in face.headers)
        assert not face.path or (face.path.startswith("/") and not face.path.endswith("/"))
        versions = ("anthropic-version" in face.headers) + ("anthropic_version" in face.sets)
        assert versions == (family == "anthropic")
    assert len(set(row.dialects)) == len(row.dialects)
    if row.root is not None:
        assert row.root.startswith("http://127.0.0.1:" if row.local else "https://")
        assert not row.root.endswith("/")
        assert row.base_url_env
        assert row.key_env
    assert row.local is False or not row.key_required


def test_who_speaks_what() -> None:
    assert ROWS["anthropic"].dialects == ("anthropic.messages",)
    assert ROWS["gemini"].dialects[:2] == ("gemini.generate", "gemini.embed")
    assert {name for name, row in ROWS.items() if "ollama" in row.faces} == {"ollama"}
    spoken = {name for name, row in ROWS.items() if "anthropic" in row.faces}
    others = "deepseek openrouter moonshot zai dashscope vercel ollama lmstudio llamacpp vllm sglang"
    assert spoken == {"anthropic", "vertex", "bedrock", *others.split()}
    without = {name for name, row in ROWS.items() if "openai.chat" not in row.dialects}
    assert without == {"anthropic", "bedrock"}


def test_no_two_providers_read_the_same_variable() -> None:
    variables = [name for row in ROWS.values() for name in row.variables]
    assert len(variables) == len(set(variables))
    assert "GITHUB_TOKEN" not in variables  # set on many machines for other ends


def test_the_simulated_provider_has_the_models_it_lists() -> None:
    assert ROWS["fake"].models == MODELS


ELSEWHERE = {"alibaba": "dashscope", "vercel-gateway": "vercel"}


def recorded(file: str) -> Iterator[tuple[str, SplitResult]]:
    """The provider (as it is called here) and the URL of each call."""
    path = Path(os.environ["CHATVAULT_RECORDED"]) / f"{file}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            call = json.loads(line)
            yield ELSEWHERE.get(call["provider"], call["provider"]), urlsplit(call.get("url") or "")


@pytest.mark.recorded
@pytest.mark.skipif("CHATVAULT_RECORDED" not in os.environ, reason="CHATVAULT_RECORDED names no folder")
@pytest.mark.parametrize(
    ("file", "family", "path", "names"),
    [
        (
            "openai.chat",
            "openai",
            "/chat/completions",
            "openai openrouter groq mistral xai together cerebras huggingface perplexity dashscope vercel deepseek",
        ),
        ("anthropic.messages", "anthropic", "/messages", "anthropic"),
        ("gemini.generate", "gemini", "/models/gemini-2.5-flash:generateContent", "gemini"),
        ("ollama.chat", "ollama", "/api/chat", "ollama"),
    ],
)
def test_recorded_calls_went_where_the_rows_say(file: str, family: str, path: str, names: str) -> None:
    found: dict[str, set[str]] = {}
    for name, url in recorded(file):
        if name in names.split() and url.netloc:
            found.setdefault(name, set()).add(f"{url.scheme}://{url.netloc}{url.path}")
    assert set(found) == set(names.split())
    for name, urls in found.items():
        row = ROWS[name]
        assert f"{row.root}{row.faces[family].path}{path}" in urls
