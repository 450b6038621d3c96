"""How far estimates are from what providers said of recorded requests: the table of docs/dialects.md, and its bounds."""

import gzip
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import pytest

from chatvault.counting.estimate import input_tokens
from chatvault.counting.families import family_of
from chatvault.counting.measure import measured

pytestmark = pytest.mark.recorded

FILES: Final = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generate", "ollama.chat")
BEYOND: Final = re.compile(
    r"image|audio|video|\"file|document|inlineData|inline_data|fileData|search|code_execution|codeExecution|mcp|"
    r"rlContext|url_context|previous_response_id|computer|\"conversation\"|text_editor|\"container\"|encrypted|_20\d{6}\""
)
"""What puts more before a model than the request says: media, tools of the provider's own, what it keeps."""
STRANGE: Final = ("perplexity", "openrouter", "watsonx")
"""Providers that put prompts of their own before the client's, or tell another tokenizer's count."""
BOUNDS: Final = {
    "o200k": 0.06,
    "cl100k": 0.06,
    "gpt-oss": 0.06,
    "mistral": 0.06,
    "claude": 0.16,
    "claude-5": 0.12,
    "glm": 0.08,
}
"""The median of relative errors, by family; each beside at most half of what four bytes a token give."""


def folder() -> Path:
    named = os.environ.get("CHATVAULT_RECORDED")
    if not named or not Path(named).is_dir():
        pytest.skip("CHATVAULT_RECORDED names no folder of recorded exchanges")
    return Path(named)


def told(values: Any) -> int | None:
    """The input tokens that an answer tells."""
    usage = values.get("usage") or values.get("usageMetadata") if isinstance(values, dict) else None
    if isinstance(usage, dict):
        cached = (usage.get("cache_read_input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0)
        if "input_tokens" in usage:
            return int(usage["input_tokens"]) + cached
        found = usage.get("prompt_tokens") or usage.get("promptTokenCount")
        return int(found) if found else None
    found = values.get("prompt_eval_count") if isinstance(values, dict) else None
    return int(found) if found else None


def requests() -> Iterator[tuple[str, bytes, int]]:
    """The model, the request, and what the provider said that it came to: each request once."""
    seen = set()
    for name in FILES:
        with gzip.open(folder() / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                one = json.loads(line)
                body = one.get("request_body")
                if one["status"] != 200 or one["streaming"] or not isinstance(body, dict):
                    continue
                if one["provider"] in STRANGE:
                    continue
                try:
                    count = told(json.loads(one["response_body"] or ""))
                except ValueError:
                    continue
                raw = msgspec.json.encode(body)
                path = re.search(r"models/([^:]+):", one["path"])
                model = str(body.get("model") or (path[1] if path else ""))
                if count and not BEYOND.search(raw.decode()) and (model, raw) not in seen:
                    seen.add((model, raw))
                    yield model, raw, count


def test_estimates_of_recorded_requests() -> None:
    errors: dict[str, list[float]] = defaultdict(list)
    plain: dict[str, list[float]] = defaultdict(list)
    for model, raw, count in requests():
        family = family_of(model)
        errors[family.name].append(abs(input_tokens(measured(raw), family) - count) / count)
        plain[family.name].append(abs(-(-len(raw) // 4) - count) / count)
    for name, values in sorted(errors.items(), key=lambda item: -len(item[1])):
        ranked = sorted(values)
        print(
            f"| {name} | {len(values)} | {median(values):.0%} | {ranked[int(len(ranked) * 0.9)]:.0%} | {median(plain[name]):.0%} |"
        )
    assert sum(map(len, errors.values())) > 1_000
    for name, bound in BOUNDS.items():
        assert median(errors[name]) <= bound, name
        assert median(errors[name]) <= median(plain[name]) / 2, name
