"""What LiteLLM calls providers, and what they are called here.

https://docs.litellm.ai/docs/providers (2026-10)
"""

import re
from typing import Final

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """A kind of ours. `key` and `base_url` are what LiteLLM takes where its file says nothing, if that is not
    what is taken here too."""

    name: str
    key: str | None = None
    base_url: str | None = None


_AZURE: Final = Kind("azure", "${AZURE_API_KEY}", "${AZURE_API_BASE}")
_VERTEX: Final = Kind("vertex")
_BEDROCK: Final = Kind("bedrock")
_BEDROCK_ROUTE: Final = re.compile(r"(?:(?:converse|converse_like|invoke)/)?(?:([a-z]{2}(?:-[a-z]+)+-\d)/)?")
"""What may stand before a model there: the API it is asked by, which its name decides here, and a region.
https://docs.litellm.ai/docs/providers/bedrock (2026-11)"""
VERTEX_LOCATION: Final = "${VERTEXAI_LOCATION:-us-central1}"
_OLLAMA: Final = Kind("ollama", None, "${OLLAMA_API_BASE:-http://127.0.0.1:11434}")
_VLLM: Final = Kind("vllm", "${HOSTED_VLLM_API_KEY:-none}", "${HOSTED_VLLM_API_BASE}")
_COMPATIBLE: Final = Kind("openai-compatible")

KINDS: Final[dict[str, Kind]] = {
    "openai": Kind("openai"),
    "text-completion-openai": Kind("openai"),
    "anthropic": Kind("anthropic"),
    "gemini": Kind("gemini"),
    # Where nothing is said it asks us-central1. https://docs.litellm.ai/docs/providers/vertex (2026-11)
    "vertex_ai": _VERTEX,
    "vertex_ai_beta": _VERTEX,
    "bedrock": _BEDROCK,
    "bedrock_converse": _BEDROCK,
    "azure": _AZURE,
    "azure_text": _AZURE,
    "deepseek": Kind("deepseek"),
    "openrouter": Kind("openrouter"),
    "groq": Kind("groq"),
    "mistral": Kind("mistral"),
    "xai": Kind("xai"),
    "together_ai": Kind("together", "${TOGETHERAI_API_KEY}"),
    "fireworks_ai": Kind("fireworks"),
    "perplexity": Kind("perplexity", "${PERPLEXITYAI_API_KEY}"),
    "cerebras": Kind("cerebras"),
    "cohere": Kind("cohere"),
    "cohere_chat": Kind("cohere"),
    "huggingface": Kind("huggingface"),
    "nvidia_nim": Kind("nvidia", "${NVIDIA_NIM_API_KEY}"),
    "moonshot": Kind("moonshot"),
    "zai": Kind("zai"),
    "dashscope": Kind("dashscope"),
    "sambanova": Kind("sambanova"),
    "vercel_ai_gateway": Kind("vercel", "${VERCEL_AI_GATEWAY_API_KEY}"),
    "github": Kind("github", "${GITHUB_API_KEY}"),
    "cloudflare": Kind("cloudflare", "${CLOUDFLARE_API_KEY}"),
    "ollama": _OLLAMA,
    "ollama_chat": _OLLAMA,
    "hosted_vllm": _VLLM,
    "lm_studio": Kind("lmstudio", "${LM_STUDIO_API_KEY:-none}", "${LM_STUDIO_API_BASE}"),
    "llamafile": Kind("llamafile", None, "${LLAMAFILE_API_BASE:-http://127.0.0.1:8080/v1}"),
    "openai_like": _COMPATIBLE,
    "custom_openai": _COMPATIBLE,
    "litellm_proxy": Kind("openai-compatible", "${LITELLM_PROXY_API_KEY}", "${LITELLM_PROXY_API_BASE}"),
}

RESERVED: Final = frozenset(
    {kind.name for kind in KINDS.values()} | {"fake", "jan", "litellm", "llamacpp", "localai", "sglang"}
)
"""Names that make a provider be of that kind."""

_HINTS: Final = ("responses/", "o_series/", "gpt5_series/")
"""LiteLLM's hints before a model's name, as to which of a provider's endpoints is meant."""
_BARE: Final = (
    (re.compile(r"gpt-|o[134](-|$)|chatgpt-|text-embedding-|dall-e|whisper|tts-|omni-moderation"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
)
"""Names without a provider, as far as LiteLLM's guess is plain."""


def provider_of(model: str, said: str | None) -> tuple[str | None, str]:
    """LiteLLM's name of the provider (None: it cannot be told) and the model there, of `azure/my-deployment`.
    `said` is what the file names as `custom_llm_provider`."""
    first, slash, rest = model.partition("/")
    if said is not None:
        return said, _there(said, rest if slash and first == said else model)
    if slash and re.fullmatch(r"[a-z0-9_-]+", first):
        return first, _there(first, rest)
    return next((provider for names, provider in _BARE if names.match(model)), None), model


def bedrock_model(there: str) -> tuple[str, str | None]:
    """The model alone, and the region that stands before it."""
    found = _BEDROCK_ROUTE.match(there)
    return (there[found.end() :], found[1]) if found is not None else (there, None)


def _there(provider: str, model: str) -> str:
    for hint in _HINTS:
        model = model.removeprefix(hint)
    if provider == "huggingface" and model.count("/") == 2:  # provider/organisation/model
        through, model = model.split("/", 1)
        return f"{model}:{through}"
    return model
