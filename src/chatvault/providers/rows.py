"""The provider table: where each provider listens, how a call to it is signed, and what is odd about it."""

import msgspec

OPENAI_DIALECTS = ("openai.chat", "openai.responses", "openai.completions", "openai.embeddings")
CHAT = ("openai.chat",)
CHAT_EMBED = ("openai.chat", "openai.embeddings")
CHAT_COMPLETE = ("openai.chat", "openai.completions")
CHAT_RESPOND = ("openai.chat", "openai.responses")


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that needs no code of its own. What the configuration says of an account holds over its
    row."""

    name: str
    base_url: str | None = None
    """With its version (`.../v1`). `{NAME}` stands for a variable of the environment that has to be set.
    None: the operator has to say it."""
    base_url_env: str
    """As the provider's own library names it, where it has one."""
    key_env: tuple[str, ...] = ()
    """The first that is set holds the credential."""
    key_required: bool = True
    auth_header: str = "authorization"
    auth_format: str = "Bearer {key}"
    dialects: tuple[str, ...] = OPENAI_DIALECTS
    """What the provider documents."""
    docs: str
    price_id: str | None = None
    """Its id in the price book; None where the book does not know it."""
    stream_usage: bool = True
    """Whether it takes `stream_options.include_usage`."""
    local: bool = False
    """Runs on the operator's own machines: a call costs nothing."""
    models: tuple[str, ...] = ()
    """Models it has, where the price book says nothing of it."""


def _remote(name: str, base_url: str, docs: str, **facts: object) -> ProviderRow:
    upper = name.upper()
    defaults = {"base_url_env": f"{upper}_BASE_URL", "key_env": (f"{upper}_API_KEY",), "price_id": None}
    return msgspec.convert(defaults | {"name": name, "base_url": base_url, "docs": docs} | facts, ProviderRow)


def _local(name: str, base_url: str, docs: str, **facts: object) -> ProviderRow:
    return _remote(name, base_url, docs, local=True, key_required=False, **facts)


_ROWS = (
    _remote(
        "openai",
        "https://api.openai.com/v1",
        "https://platform.openai.com/docs/api-reference",
        price_id="openai",
    ),
    _remote(
        "deepseek",
        "https://api.deepseek.com/v1",
        "https://api-docs.deepseek.com/",
        dialects=CHAT_COMPLETE,
        price_id="deepseek",
    ),
    _remote(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "https://openrouter.ai/docs/api-reference/overview",
        price_id="openrouter",
    ),
    _remote(
        "groq",
        "https://api.groq.com/openai/v1",
        "https://console.groq.com/docs/openai",
        dialects=CHAT_RESPOND,
        price_id="groq",
    ),
    _remote(
        "mistral",
        "https://api.mistral.ai/v1",
        "https://docs.mistral.ai/api/",
        dialects=CHAT_EMBED,
        price_id="mistral",
        # 422 `extra_forbidden` for stream_options.include_usage; the last event of every stream holds the
        # usage. https://github.com/openai/openai-agents-python/issues/442 (2025-04)
        stream_usage=False,
    ),
    _remote(
        "xai",
        "https://api.x.ai/v1",
        "https://docs.x.ai/docs/api-reference",
        price_id="x-ai",
    ),
    _remote(
        "together",
        # api.together.ai answers as well, but the price book and the official library say .xyz (2026-11).
        "https://api.together.xyz/v1",
        "https://docs.together.ai/docs/openai-api-compatibility",
        dialects=("openai.chat", "openai.completions", "openai.embeddings"),
        price_id="together",
    ),
    _remote(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        price_id="fireworks",
    ),
    _remote(
        "perplexity",
        "https://api.perplexity.ai",
        "https://docs.perplexity.ai/guides/chat-completions-guide",
        key_env=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        dialects=CHAT,
        price_id="perplexity",
        # Does not document stream_options; every event of a stream holds the usage so far.
        # https://docs.perplexity.ai/api-reference/chat-completions-post (2026-11)
        stream_usage=False,
    ),
    _remote(
        "cerebras",
        "https://api.cerebras.ai/v1",
        "https://inference-docs.cerebras.ai/resources/openai",
        dialects=CHAT_COMPLETE,
        price_id="cerebras",
    ),
    _remote(
        "cohere",
        "https://api.cohere.ai/compatibility/v1",
        "https://docs.cohere.com/docs/compatibility-api",
        key_env=("COHERE_API_KEY", "CO_API_KEY"),
        dialects=CHAT_EMBED,
        price_id="cohere",
        # The compatibility API rejects stream_options.
        # https://strandsagents.com/docs/user-guide/concepts/model-providers/cohere/ (2026-11)
        stream_usage=False,
    ),
    _remote(
        "huggingface",
        "https://router.huggingface.co/v1",
        "https://huggingface.co/docs/inference-providers/index",
        key_env=("HF_TOKEN",),
        dialects=CHAT_RESPOND,
        # Which provider behind the router answers decides the price, so there is none for the router itself.
    ),
    _remote(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        "https://docs.api.nvidia.com/nim/reference/llm-apis",
        dialects=("openai.chat", "openai.completions", "openai.embeddings"),
    ),
    _remote(
        "moonshot",
        "https://api.moonshot.ai/v1",
        "https://platform.moonshot.ai/docs/api/chat",
        dialects=CHAT,
        price_id="moonshotai",
    ),
    _remote(
        "zai",
        "https://api.z.ai/api/paas/v4",
        "https://docs.z.ai/api-reference/introduction",
        dialects=CHAT,
        price_id="zai",
    ),
    _remote(
        "dashscope",
        # The international endpoint; https://dashscope.aliyuncs.com/compatible-mode/v1 serves China.
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
    ),
    _remote(
        "sambanova",
        "https://api.sambanova.ai/v1",
        "https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        dialects=CHAT_EMBED,
    ),
    _remote(
        "vercel",
        "https://ai-gateway.vercel.sh/v1",
        "https://vercel.com/docs/ai-gateway/openai-compat",
        key_env=("AI_GATEWAY_API_KEY",),
        dialects=("openai.chat", "openai.responses", "openai.embeddings"),
    ),
    _remote(
        "github",
        "https://models.github.ai/inference",
        "https://docs.github.com/en/rest/models/inference",
        # Not GITHUB_TOKEN: that is set on many machines for other ends, and must not open a provider by
        # itself.
        key_env=("GITHUB_MODELS_TOKEN",),
        dialects=CHAT_EMBED,
    ),
    _remote(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        "https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
        key_env=("CLOUDFLARE_API_TOKEN",),
        dialects=("openai.chat", "openai.responses", "openai.embeddings"),
        price_id="cloudflare",
    ),
    _local("ollama", "http://127.0.0.1:11434/v1", "https://docs.ollama.com/api/openai-compatibility"),
    _local("lmstudio", "http://127.0.0.1:1234/v1", "https://lmstudio.ai/docs/developer/openai-compat"),
    _local(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        "https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
    _local(
        "vllm",
        "http://127.0.0.1:8000/v1",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    _local("sglang", "http://127.0.0.1:30000/v1", "https://docs.sglang.ai/basic_usage/openai_api.html"),
    _local("localai", "http://127.0.0.1:8080/v1", "https://localai.io/features/"),
    _local("llamafile", "http://127.0.0.1:8080/v1", "https://github.com/mozilla-ai/llamafile"),
    _local("jan", "http://127.0.0.1:1337/v1", "https://jan.ai/docs/api-server", dialects=CHAT_COMPLETE),
    ProviderRow(
        name="openai-compatible",
        base_url_env="",
        key_required=False,
        docs="https://platform.openai.com/docs/api-reference",
    ),
    ProviderRow(
        name="fake",
        base_url_env="",
        key_required=False,
        docs="docs/configuration.md",
        models=(
            "echo",
            "reasoner",
            "simulated",
            "simulated-embedding",
            "simulated-image",
            "simulated-speech",
        ),
    ),
)

ROWS = {row.name: row for row in _ROWS}
"""By name. `openai-compatible` is for any server that is not here; `fake` is the simulated provider."""
