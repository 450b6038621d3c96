"""The data plane's routes: each path and method, what it is called, and what its body is. What is not here is
not served.

Objects that belong to the provider's whole account (files, batches, stored responses, ...) are endpoints
named `account.*`, which no token reaches unless its grant names them. A path nobody has heard of is `other`
if its body names a model, which is then checked like any other; without a model it is `account.other`.
"""

import re
from typing import Final, Literal

import msgspec

BodyKind = Literal["json", "upload", "any", "none"]


class Endpoint(msgspec.Struct, frozen=True, eq=False, gc=False):
    """`body`: `json` is held and read; `upload` is multipart or binary, streamed up; `any` is decided by its
    content type."""

    name: str
    dialect: str
    body: BodyKind = "none"
    local: bool = False
    """Answered here; nothing goes upstream."""
    asks: str = ""
    """What control is asked, which answers it."""
    conversation: bool = False
    """A request that the hub can translate, for a provider that speaks another dialect."""
    embedding: bool = False
    """The same for embeddings."""
    usage_option: bool = False
    """Streams report usage only if `stream_options.include_usage` asks for it."""
    in_path: bool = False
    """The model stands in the path, and whether the answer is streamed: `stream`."""
    stream: bool = False
    path: bytes = b""
    """What stands behind `/v1` in the dialect, where it is asked by Vertex AI's paths."""


_JSON: Final = {
    b"/v1/chat/completions": Endpoint(
        "chat.completions", "openai.chat", "json", conversation=True, usage_option=True
    ),
    b"/v1/completions": Endpoint(
        "completions", "openai.completions", "json", conversation=True, usage_option=True
    ),
    b"/v1/embeddings": Endpoint("embeddings", "openai.embeddings", "json", embedding=True),
    b"/v1/responses": Endpoint("responses", "openai.responses", "json", conversation=True),
    b"/v1/messages": Endpoint("messages", "anthropic.messages", "json", conversation=True),
    b"/v1/messages/count_tokens": Endpoint("messages.count_tokens", "anthropic.count_tokens", "json"),
    b"/api/chat": Endpoint("api.chat", "ollama.chat", "json", conversation=True),
    b"/api/generate": Endpoint("api.generate", "ollama.generate", "json", conversation=True),
    b"/api/embed": Endpoint("api.embed", "ollama.embed", "json", embedding=True),
    b"/api/embeddings": Endpoint("api.embeddings", "ollama.embeddings", "json", embedding=True),
    b"/api/show": Endpoint("api.show", "ollama.models", "json", local=True),
    b"/v1/moderations": Endpoint("moderations", "openai.moderations", "json"),
    b"/v1/images/generations": Endpoint("images.generations", "openai.images", "json"),
    b"/v1/images/edits": Endpoint("images.edits", "openai.images", "any"),
    b"/v1/images/variations": Endpoint("images.variations", "openai.images", "upload"),
    b"/v1/audio/speech": Endpoint("audio.speech", "openai.audio", "json"),
    b"/v1/audio/transcriptions": Endpoint("audio.transcriptions", "openai.audio", "upload"),
    b"/v1/audio/translations": Endpoint("audio.translations", "openai.audio", "upload"),
}
_GEMINI: Final = {
    b"generateContent": Endpoint(
        "generateContent", "gemini.generate", "json", conversation=True, in_path=True
    ),
    b"streamGenerateContent": Endpoint(
        "streamGenerateContent", "gemini.generate", "json", conversation=True, in_path=True, stream=True
    ),
    b"countTokens": Endpoint("countTokens", "gemini.count", "json", in_path=True),
    b"embedContent": Endpoint("embedContent", "gemini.embed", "json", embedding=True, in_path=True),
    b"batchEmbedContents": Endpoint(
        "batchEmbedContents", "gemini.embed", "json", embedding=True, in_path=True
    ),
    b"predict": Endpoint("predict", "gemini.predict", "json", in_path=True),
}
_VERTEX: Final = {
    b"rawPredict": Endpoint(
        "messages", "anthropic.messages", "json", conversation=True, in_path=True, path=b"/messages"
    ),
    b"streamRawPredict": Endpoint(
        "messages",
        "anthropic.messages",
        "json",
        conversation=True,
        in_path=True,
        stream=True,
        path=b"/messages",
    ),
}
_VERTEX_COUNT: Final = Endpoint(
    "messages.count_tokens", "anthropic.count_tokens", "json", path=b"/messages/count_tokens"
)
_GEMINI_ARRAY: Final = Endpoint(
    "streamGenerateContent", "gemini.array", "json", conversation=True, in_path=True, stream=True
)
_GEMINI_PATH: Final = re.compile(rb"/v1(?:beta)?/models/([A-Za-z0-9._/:@+-]+):([A-Za-z]+)")
_VERTEX_PATH: Final = re.compile(
    rb"/v1(?:beta1)?/(?:projects/[A-Za-z0-9.:_-]+/locations/[a-z0-9-]+/)?"
    rb"publishers/([A-Za-z0-9._-]+)/models/([A-Za-z0-9._/:@+-]+):([A-Za-z]+)"
)
"""As Google's and Anthropic's libraries ask Vertex AI. Whose project, and where, is for the gateway to say; a model
whose name begins with a provider's stands there as if that published it."""
_PUBLISHED: Final = b"/publishers/"
_PUBLISHERS: Final = (b"google", b"anthropic")
_COUNT: Final = "count-tokens"
_LOCAL: Final = {
    b"/api/tags": Endpoint("api.tags", "ollama.models", local=True),
    b"/api/version": Endpoint("api.version", "ollama.models", local=True),
    b"/api/ps": Endpoint("api.ps", "ollama.models", local=True),
}
_TOKENS: Final = b"/v1/tokens"
_MINT: Final = Endpoint("tokens", "chatvault", "json", local=True, asks="tokens.create")
_UNMINT: Final = Endpoint("tokens", "chatvault", local=True, asks="tokens.revoke")
_GEMINI_MODELS: Final = Endpoint("gemini.models", "gemini.models", local=True)
_MODELS: Final = Endpoint("models", "openai.models", local=True)
_OTHER: Final = Endpoint("other", "openai.other", "any")
_ACCOUNT: Final = {
    family: Endpoint(f"account.{family}", "openai.account", "any")
    for family in (
        "files",
        "batches",
        "fine_tuning",
        "organization",
        "responses",
        "assistants",
        "threads",
        "vector_stores",
        "containers",
        "uploads",
        "evals",
        "conversations",
        "videos",
        "realtime",
        "chat",
        "models",
        "audio",
        "skills",
        "chatkit",
        "fine-tunes",
        "fine-tuning",
        "batch",
        "agents",
        "libraries",
        "keys",
        "credits",
        "admin",
        "messages",
    )
}
ACCOUNT_OTHER: Final = Endpoint("account.other", "openai.account", "any")
HEALTH: Final = Endpoint("health", "", local=True)
ROOT: Final = Endpoint("root", "", local=True)
_FAMILY: Final = re.compile(rb"/v1/([a-z_-]+)(?:/|$)")
_PLAIN: Final = re.compile(rb"/v1/[a-z0-9_\-./]*")
"""What a path is made of. One that says the same in other letters or codes must not slip past the families."""
CONTROL_PATHS: Final = (
    b"/manage",
    b"/usage",
    b"/costs",
    b"/prices",
    b"/metrics",
    b"/docs",
    b"/openapi.json",
    b"/health/",
    b"/ui",
)

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *_JSON.values(),
    *_GEMINI.values(),
    _GEMINI_ARRAY,
    *_VERTEX.values(),
    _VERTEX_COUNT,
    *_LOCAL.values(),
    _GEMINI_MODELS,
    _MODELS,
    _MINT,
    _UNMINT,
    _OTHER,
    *_ACCOUNT.values(),
    ACCOUNT_OTHER,
    HEALTH,
    ROOT,
)
"""Every endpoint there is."""


def model_in_path(path: bytes) -> tuple[str, bytes]:
    """The model and the verb of one of Gemini's or Vertex AI's paths; empty if it is none."""
    match = _GEMINI_PATH.fullmatch(path)
    if match is not None:
        return match[1].decode(), match[2]
    match = _VERTEX_PATH.fullmatch(path)
    if match is None:
        return "", b""
    name = match[2] if match[1] in _PUBLISHERS else match[1] + b"/" + match[2]
    return name.decode(), match[3]


def find_endpoint(method: bytes, path: bytes, query: bytes = b"") -> Endpoint | None:
    """The endpoint of a request; None: there is none."""
    if method == b"POST":
        endpoint = _JSON.get(path)
        if endpoint is None and b":" in path:
            model, verb = model_in_path(path)
            endpoint = _GEMINI.get(verb)
            if endpoint is None and _PUBLISHED in path:
                endpoint = _VERTEX_COUNT if model == _COUNT else _VERTEX.get(verb)
            if endpoint is not None and endpoint.stream and not endpoint.path and b"alt=sse" not in query:
                return _GEMINI_ARRAY  # https://ai.google.dev/api/generate-content (2026-11)
        if endpoint is not None:
            return endpoint
    elif method in (b"GET", b"HEAD"):
        if path in _LOCAL:
            return _LOCAL[path]
        if path == b"/v1beta/models" or path.startswith(b"/v1beta/models/"):
            return _GEMINI_MODELS
    if path == b"/" and method in (b"GET", b"HEAD"):
        return ROOT
    if path == b"/health" and method in (b"GET", b"HEAD"):
        return HEALTH
    if not path.startswith(b"/v1/"):
        return None
    if path == b"/v1/models" or path.startswith(b"/v1/models/"):
        return _MODELS if method in (b"GET", b"HEAD") else _ACCOUNT["models"]
    if path == _TOKENS or path.startswith(_TOKENS + b"/"):
        return _token_endpoint(method, path[len(_TOKENS) + 1 :])
    if _PLAIN.fullmatch(path) is None:
        return ACCOUNT_OTHER
    family = _FAMILY.match(path)
    if family is not None and (endpoint := _ACCOUNT.get(family[1].decode())) is not None:
        return endpoint
    return _OTHER if method == b"POST" else ACCOUNT_OTHER


def _token_endpoint(method: bytes, name: bytes) -> Endpoint | None:
    """Nothing under this path ever goes upstream."""
    if not name:
        return _MINT if method == b"POST" else None
    return _UNMINT if method == b"DELETE" and b"/" not in name else None
