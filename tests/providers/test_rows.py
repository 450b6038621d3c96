"""The table agrees with the price book, with the simulated provider, and with what was recorded of the real
ones."""

import gzip
import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from genai_prices.data import providers

from chatvault.fake.models import MODELS
from chatvault.pricing.book import PriceBook
from chatvault.providers.rows import ROWS, ProviderRow

PRICED = [row for row in ROWS.values() if row.price_id is not None]


def test_every_row_is_there() -> None:
    names = (
        "openai deepseek openrouter groq mistral xai together fireworks perplexity cerebras cohere "
        "huggingface nvidia moonshot zai dashscope sambanova vercel github cloudflare ollama lmstudio "
        "llamacpp vllm sglang localai llamafile jan openai-compatible fake"
    )
    assert set(ROWS) == set(names.split())


@pytest.mark.parametrize("row", PRICED, ids=lambda row: row.name)
def test_the_price_book_knows_the_provider_by_the_same_address(row: ProviderRow) -> None:
    theirs = next(provider for provider in providers if provider.id == row.price_id)
    url = re.sub(r"\{\w+\}", "abc123", row.base_url or "")
    assert re.match(theirs.api_pattern, url)
    assert PriceBook().models(row.price_id)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_a_row_is_whole(row: ProviderRow) -> None:
    assert row.docs.startswith(("https://", "docs/"))
    assert "openai.chat" in row.dialects
    assert "{key}" in row.auth_format
    assert row.auth_header == row.auth_header.lower()
    if row.base_url is not None:
        assert row.base_url.startswith("http://127.0.0.1:" if row.local else "https://")
        assert not row.base_url.endswith("/")
        assert row.base_url_env
        assert row.key_env
    assert row.local is False or not row.key_required


def test_no_two_providers_read_the_same_variable() -> None:
    variables = [name for row in ROWS.values() for name in (*row.key_env, row.base_url_env) if name]
    assert len(variables) == len(set(variables))
    assert "GITHUB_TOKEN" not in variables  # set on many machines for other ends


def test_the_simulated_provider_has_the_models_it_lists() -> None:
    assert ROWS["fake"].models == MODELS


@pytest.mark.recorded
@pytest.mark.skipif("CHATVAULT_RECORDED" not in os.environ, reason="CHATVAULT_RECORDED names no folder")
def test_recorded_calls_went_where_the_rows_say() -> None:
    names = {"alibaba": "dashscope", "vercel-gateway": "vercel"} | {
        name: name
        for name in (
            "openai",
            "openrouter",
            "groq",
            "mistral",
            "xai",
            "together",
            "cerebras",
            "huggingface",
            "perplexity",
        )
    }
    found: dict[str, set[str]] = {}
    with gzip.open(
        Path(os.environ["CHATVAULT_RECORDED"]) / "openai.chat.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        for line in lines:
            call = json.loads(line)
            url = urlsplit(call.get("url") or "")
            if url.scheme == "https" and call["provider"] in names:
                found.setdefault(names[call["provider"]], set()).add(f"https://{url.netloc}{url.path}")
    assert len(found) == len(names)
    for name, urls in found.items():
        assert f"{ROWS[name].base_url}/chat/completions" in urls
