"""The provider table: where each provider listens, how a call to it is signed, and what is odd about it."""

from chatvault.providers.azure import KIND as AZURE
from chatvault.providers.bedrock import BASE_URL_ENV as BEDROCK_URL
from chatvault.providers.bedrock import KEY_ENV as BEDROCK_KEY
from chatvault.providers.bedrock import KIND as BEDROCK
from chatvault.providers.bedrock import VARIABLES as BEDROCK_VARIABLES
from chatvault.providers.longtail import KIND as LITELLM
from chatvault.providers.row import FaceRow, ProviderRow
from chatvault.providers.vertex import KIND as VERTEX
from chatvault.providers.vertex import VARIABLES as VERTEX_VARIABLES

FAKE = "fake"
OPENAI_DIALECTS = ("openai.chat", "openai.responses", "openai.completions", "openai.embeddings")
CHAT = ("openai.chat",)
CHAT_EMBED = ("openai.chat", "openai.embeddings")
CHAT_COMPLETE = ("openai.chat", "openai.completions")
CHAT_RESPOND = ("openai.chat", "openai.responses")


def _anthropic(path: str, auth_header: str = "authorization") -> FaceRow:
    """Anthropic's messages. Others than Anthropic take the credential as they take it elsewhere."""
    return FaceRow(
        dialects=("anthropic.messages",),
        path=path,
        auth_header=auth_header,
        auth_format="Bearer {key}" if auth_header == "authorization" else "{key}",
        headers={"anthropic-version": "2023-06-01"},
    )


def _remote(
    name: str,
    root: str | None,
    docs: str,
    *,
    dialects: tuple[str, ...] = OPENAI_DIALECTS,
    faces: dict[str, FaceRow] | None = None,
    base_url_env: str | None = None,
    key_env: tuple[str, ...] | None = None,
    bearer_env: tuple[str, ...] = (),
    price_id: str | None = None,
    stream_usage: bool = True,
    rooted: bool = False,
    deployed: bool = False,
    local: bool = False,
    other_env: tuple[str, ...] = (),
) -> ProviderRow:
    """`dialects` are OpenAI's at the root; `faces` are for all others."""
    return ProviderRow(
        name=name,
        root=root,
        faces=faces or {"openai": FaceRow(dialects=dialects)},
        rooted=rooted,
        base_url_env=base_url_env or f"{name.upper()}_BASE_URL",
        key_env=(f"{name.upper()}_API_KEY",) if key_env is None else key_env,
        bearer_env=bearer_env,
        other_env=other_env,
        key_required=not local,
        docs=docs,
        price_id=price_id,
        stream_usage=stream_usage,
        local=local,
        deployed=deployed,
    )


def _local(
    name: str,
    root: str,
    docs: str,
    *,
    dialects: tuple[str, ...] = OPENAI_DIALECTS,
    faces: dict[str, FaceRow] | None = None,
) -> ProviderRow:
    return _remote(name, root, docs, dialects=dialects, faces=faces, local=True)


def _both(
    anthropic: FaceRow, path: str = "/v1", dialects: tuple[str, ...] = OPENAI_DIALECTS
) -> dict[str, FaceRow]:
    """OpenAI's dialects below `path`, and Anthropic's beside them."""
    return {"openai": FaceRow(dialects=dialects, path=path), "anthropic": anthropic}


_ROWS = (
    _remote(
        "openai",
        "https://api.openai.com/v1",
        "https://platform.openai.com/docs/api-reference",
        price_id="openai",
    ),
    _remote(
        "anthropic",
        "https://api.anthropic.com",
        "https://platform.claude.com/docs/en/api/overview",
        # Its OpenAI endpoint is left out: meant to test and compare models, and not production-ready.
        # https://platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk (2026-11)
        faces={"anthropic": _anthropic("/v1", "x-api-key")},
        rooted=True,
        bearer_env=("ANTHROPIC_AUTH_TOKEN",),
        price_id="anthropic",
    ),
    _remote(
        "gemini",
        "https://generativelanguage.googleapis.com",
        "https://ai.google.dev/api",
        faces={
            "gemini": FaceRow(
                dialects=("gemini.generate", "gemini.embed"),
                path="/v1beta",
                auth_header="x-goog-api-key",
                auth_format="{key}",
            ),
            # https://ai.google.dev/gemini-api/docs/openai (2026-11)
            "openai": FaceRow(dialects=CHAT_EMBED, path="/v1beta/openai"),
        },
        rooted=True,
        base_url_env="GOOGLE_GEMINI_BASE_URL",
        key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        price_id="google",
    ),
    _remote(
        VERTEX,
        None,  # by project and location: `vertex.py`
        "https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest",
        faces={
            "gemini": FaceRow(
                dialects=("gemini.generate",),  # its embeddings are asked by `predict`
                path="/publishers/google",
                auth_header="x-goog-api-key",
                auth_format="{key}",
                claims=("gemini-", "gemma-", "text-embedding-", "text-multilingual-embedding-"),
            ),
            # https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (2026-11)
            "anthropic": FaceRow(
                dialects=("anthropic.messages",),
                path="/publishers/anthropic",
                auth_header="x-goog-api-key",
                auth_format="{key}",
                sets={"anthropic_version": "vertex-2023-10-16"},
                drops=("model",),
                claims=("claude-",),
            ),
            # Open models, by names such as `meta/llama-3.3-70b-instruct-maas`.
            # https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis (2026-11)
            "openai": FaceRow(
                dialects=CHAT, path="/endpoints/openapi", auth_header="x-goog-api-key", auth_format="{key}"
            ),
        },
        rooted=True,
        base_url_env="GOOGLE_VERTEX_BASE_URL",
        key_env=("VERTEX_API_KEY",),
        other_env=VERTEX_VARIABLES,
        price_id="google",
    ),
    _remote(
        BEDROCK,
        None,  # by region: `bedrock.py`
        "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-api.html",
        faces={
            "bedrock": FaceRow(dialects=("bedrock.converse",)),
            # https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
            # (2026-11)
            "anthropic": FaceRow(
                dialects=("anthropic.messages",),
                headers={"accept": "application/json"},
                sets={"anthropic_version": "bedrock-2023-05-31"},
                drops=("model", "stream"),
                moves={"anthropic-beta": "anthropic_beta"},
                claims=("*anthropic.",),
            ),
        },
        rooted=True,
        base_url_env=BEDROCK_URL,
        key_env=(BEDROCK_KEY,),
        other_env=BEDROCK_VARIABLES,
        price_id="aws",
    ),
    _remote(
        AZURE,
        None,
        "https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle",
        faces={
            "openai": FaceRow(
                dialects=OPENAI_DIALECTS, path="/openai/v1", auth_header="api-key", auth_format="{key}"
            )
        },
        rooted=True,
        base_url_env="AZURE_OPENAI_ENDPOINT",
        key_env=("AZURE_OPENAI_API_KEY",),
        bearer_env=("AZURE_OPENAI_AD_TOKEN",),
        price_id="azure",
        deployed=True,
    ),
    _remote(
        "deepseek",
        "https://api.deepseek.com",
        "https://api-docs.deepseek.com/",
        # https://api-docs.deepseek.com/guides/anthropic_api (2026-11)
        faces=_both(_anthropic("/anthropic/v1", "x-api-key"), dialects=CHAT_COMPLETE),
        price_id="deepseek",
    ),
    _remote(
        "openrouter",
        "https://openrouter.ai/api",
        "https://openrouter.ai/docs/api-reference/overview",
        # https://www.developersdigest.tech/reference/api-compatibility/openrouter (2026-11)
        faces=_both(_anthropic("/v1")),
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
        "https://api.moonshot.ai",
        "https://platform.moonshot.ai/docs/api/chat",
        # https://platform.moonshot.ai/docs/guide/agent-support (2026-11)
        faces=_both(_anthropic("/anthropic/v1"), dialects=CHAT),
        price_id="moonshotai",
    ),
    _remote(
        "zai",
        "https://api.z.ai/api",
        "https://docs.z.ai/api-reference/introduction",
        # https://docs.z.ai/devpack/tool/claude (2026-11)
        faces=_both(_anthropic("/anthropic/v1"), "/paas/v4", CHAT),
        price_id="zai",
    ),
    _remote(
        "dashscope",
        # The international endpoint; https://dashscope.aliyuncs.com/compatible-mode/v1 serves China.
        "https://dashscope-intl.aliyuncs.com",
        "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        # https://www.alibabacloud.com/help/en/model-studio/claude-code (2026-02)
        faces=_both(_anthropic("/apps/anthropic/v1", "x-api-key"), "/compatible-mode/v1"),
    ),
    _remote(
        "sambanova",
        "https://api.sambanova.ai/v1",
        "https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        dialects=CHAT_EMBED,
    ),
    _remote(
        "vercel",
        "https://ai-gateway.vercel.sh",
        "https://vercel.com/docs/ai-gateway/openai-compat",
        # https://vercel.com/docs/ai-gateway/anthropic-compat (2026-11)
        faces=_both(_anthropic("/v1"), dialects=("openai.chat", "openai.responses", "openai.embeddings")),
        key_env=("AI_GATEWAY_API_KEY",),
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
    _local(
        "ollama",
        "http://127.0.0.1:11434",
        "https://docs.ollama.com/api",
        faces={
            # https://docs.ollama.com/api/openai-compatibility (2026-11)
            "openai": FaceRow(dialects=OPENAI_DIALECTS, path="/v1"),
            "ollama": FaceRow(dialects=("ollama.chat", "ollama.embed")),
            # https://docs.ollama.com/api/anthropic-compatibility (2026-11)
            "anthropic": _anthropic("/v1"),
        },
    ),
    _local(
        "lmstudio",
        "http://127.0.0.1:1234",
        "https://lmstudio.ai/docs/developer/openai-compat",
        # https://lmstudio.ai/docs/developer/anthropic-compat (2026-11)
        faces=_both(_anthropic("/v1")),
    ),
    _local(
        "llamacpp",
        "http://127.0.0.1:8080",
        "https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
        # https://huggingface.co/blog/ggml-org/anthropic-messages-api-in-llamacpp (2026-01)
        faces=_both(_anthropic("/v1")),
    ),
    _local(
        "vllm",
        "http://127.0.0.1:8000",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        # https://docs.vllm.ai/en/stable/serving/integrations/claude_code/ (2026-11)
        faces=_both(_anthropic("/v1")),
    ),
    _local(
        "sglang",
        "http://127.0.0.1:30000",
        "https://docs.sglang.ai/basic_usage/openai_api.html",
        # https://docs.sglang.io/docs/basic_usage/anthropic_api (2026-11)
        faces=_both(_anthropic("/v1")),
    ),
    _local("localai", "http://127.0.0.1:8080/v1", "https://localai.io/features/"),
    _local("llamafile", "http://127.0.0.1:8080/v1", "https://github.com/mozilla-ai/llamafile"),
    _local("jan", "http://127.0.0.1:1337/v1", "https://jan.ai/docs/api-server", dialects=CHAT_COMPLETE),
    ProviderRow(
        name="openai-compatible",
        faces={"openai": FaceRow(dialects=OPENAI_DIALECTS)},
        base_url_env="",
        key_required=False,
        docs="https://platform.openai.com/docs/api-reference",
    ),
    ProviderRow(
        name=LITELLM,
        faces={"openai": FaceRow(dialects=CHAT_EMBED)},
        base_url_env="",
        key_required=False,
        docs="https://docs.litellm.ai/docs/providers",
    ),
    ProviderRow(
        name=FAKE,
        faces={"openai": FaceRow(dialects=OPENAI_DIALECTS)},
        base_url_env="",
        key_required=False,
        docs="docs/configuration.md",
        models=(
            "echo",
            "reasoner",
            "scripted",
            "simulated",
            "simulated-embedding",
            "simulated-image",
            "simulated-speech",
        ),
    ),
)

ROWS = {row.name: row for row in _ROWS}
"""By name. `openai-compatible` is for any server that is not here; `fake` is the simulated provider."""
