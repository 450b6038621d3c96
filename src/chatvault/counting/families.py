"""What a token is, by family of models: rates of letters, and what a request costs beyond its text.

Fitted in November 2026. `rates`, tokens a hundred characters of each kind: by non-negative least squares of
relative errors over 1,700 texts (prose and code, schemas, 18 languages) against the families' own tokenizers
(splintr-rs 0.22; for Claude ctok 1.3, a reconstruction). The rest: over 3,000 recorded requests without images
and server-side tools, three in five of them for the fit, against what the providers said of them. How far it
is off stands in docs/dialects.md; tests/counting holds it to that.
"""

from typing import Final

import msgspec

from chatvault.core.sizes import Letters

Rates = tuple[int, ...]
"""In the order of `Letters`."""


class Family(msgspec.Struct, frozen=True):
    """Figures are hundredths of a token, where they are not whole tokens."""

    name: str
    rates: Rates
    schema: int = 100
    """Of a hundred tokens of definitions as JSON, so many are what the model is shown."""
    message: int = 0
    """Hundredths of a token a message."""
    tools: int = 0
    """Tokens, once, if there are tools."""
    base: int = 3
    """Tokens of any request."""
    media: int = 1_000
    """Tokens of an image: a usual one, since nothing is known of it."""
    vocabulary: str | None = None
    """The name of its tokenizer in splintr-rs; None: there is none."""


_O200K: Final = (7, 35, 58, 8, 27, 67, 101, 29, 26, 39, 80, 75, 47, 91, 60)
_GEMMA: Final = (9, 43, 115, 11, 61, 78, 120, 29, 32, 29, 80, 56, 45, 86, 42)

OTHER: Final = Family("other", _O200K, 60, 350, 0, 6)
"""For models of no known family: tokenizers of today are much alike."""

FAMILIES: Final = (
    # https://platform.openai.com/docs/guides/images-vision (2026-11): 765 for 1024x1024, high detail.
    Family("o200k", _O200K, 64, 350, 0, 4, 765, "o200k_base"),
    # Its prompt begins with some 60 tokens of its own: https://cookbook.openai.com/articles/openai-harmony (2026-11).
    Family("gpt-oss", _O200K, 40, 800, 26, 60, 765, "gpt_oss"),
    Family(
        "cl100k",
        (4, 39, 56, 9, 8, 68, 240, 53, 74, 101, 80, 115, 95, 192, 71),
        71,
        420,
        0,
        3,
        765,
        "cl100k_base",
    ),
    # https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview (2026-11): tools bring a system prompt of some
    # 300 tokens; https://docs.claude.com/en/docs/build-with-claude/vision: width x height / 750, at most some 1,600.
    Family("claude", (9, 48, 68, 11, 68, 82, 223, 39, 73, 93, 87, 107, 122, 405, 48), 120, 0, 311, 7, 1_500),
    Family(
        "claude-5", (28, 92, 61, 8, 37, 97, 218, 46, 82, 99, 111, 108, 135, 420, 5), 110, 0, 312, 7, 1_500
    ),
    # https://ai.google.dev/gemini-api/docs/tokens (2026-11): 258 an image. Its tokenizer is Gemma's.
    Family("gemini", _GEMMA, 40, 0, 0, 1, 258, "gemma3"),
    Family("gemma", _GEMMA, 100, 400, 0, 5, 258, "gemma3"),
    Family(
        "mistral",
        (8, 51, 112, 7, 22, 71, 140, 32, 26, 52, 80, 83, 44, 303, 52),
        40,
        40,
        58,
        3,
        vocabulary="mistral_v3",
    ),
    Family(
        "llama",
        (7, 40, 57, 9, 14, 66, 143, 29, 33, 52, 80, 73, 52, 214, 62),
        40,
        400,
        90,
        25,
        vocabulary="llama3",
    ),
    Family(
        "deepseek",
        (5, 42, 54, 8, 4, 77, 197, 36, 33, 48, 80, 52, 62, 154, 68),
        120,
        380,
        185,
        0,
        vocabulary="deepseek_v3",
    ),
    Family(
        "qwen",
        (5, 41, 114, 10, 4, 66, 222, 43, 44, 60, 80, 54, 58, 183, 66),
        100,
        600,
        134,
        3,
        vocabulary="qwen3",
    ),
    Family(
        "glm",
        (6, 40, 76, 9, 10, 66, 169, 30, 37, 101, 80, 75, 79, 209, 65),
        109,
        100,
        80,
        12,
        vocabulary="glm4",
    ),
    Family(
        "kimi",
        (6, 42, 56, 8, 11, 67, 233, 38, 47, 74, 80, 80, 93, 147, 63),
        104,
        500,
        9,
        0,
        vocabulary="kimi_k2",
    ),
)
_BY_NAME: Final = {family.name: family for family in (*FAMILIES, OTHER)}

_MODELS: Final = (
    ("claude-opus-4-7", "claude-5"), ("claude-opus-4.7", "claude-5"),
    ("claude-opus-4-8", "claude-5"), ("claude-opus-4.8", "claude-5"),
    ("claude-opus-5", "claude-5"), ("claude-sonnet-5", "claude-5"), ("claude-haiku-5", "claude-5"),
    ("claude-fable", "claude-5"), ("claude-mythos", "claude-5"), ("claude", "claude"),
    ("gpt-oss", "gpt-oss"), ("gpt-4o", "o200k"), ("gpt-4.", "o200k"), ("chatgpt-4o", "o200k"),
    ("gpt-4", "cl100k"), ("gpt-3", "cl100k"), ("gpt-35", "cl100k"), ("text-embedding", "cl100k"),
    ("gpt-", "o200k"), ("o1", "o200k"), ("o3", "o200k"), ("o4", "o200k"), ("codex", "o200k"),
    ("gemini", "gemini"), ("gemma", "gemma"), ("deepseek", "deepseek"), ("qwen", "qwen"), ("qwq", "qwen"),
    ("llama", "llama"), ("mistral", "mistral"), ("ministral", "mistral"), ("magistral", "mistral"),
    ("codestral", "mistral"), ("devstral", "mistral"), ("pixtral", "mistral"), ("glm", "glm"), ("kimi", "kimi"),
)  # fmt: skip
"""What a model's name holds, the more telling first. Claude's newer tokenizer came with Opus 4.7:
https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7 (2026-11)."""


def family_of(model: str | None) -> Family:
    """By the name of a model as its provider knows it."""
    name = (model or "").lower()
    found = next((family for part, family in _MODELS if part in name), "other")
    return _BY_NAME[found]


def tokens(counts: Letters, family: Family) -> int:
    """Hundredths of tokens of a text."""
    values = (getattr(counts, field) for field in Letters.__struct_fields__)
    return sum(value * rate for value, rate in zip(values, family.rates, strict=True))
