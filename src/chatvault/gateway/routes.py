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


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """`body`: `json` is held and read; `upload` is multipart or binary, streamed up; `any` is decided by its
    content type."""

    name: str
    dialect: str
    body: BodyKind = "none"
    local: bool = False
    """Answered here; nothing goes upstream."""
    conversation: bool = False
    """A request that the hub can translate, for a provider that speaks another dialect."""
    usage_option: bool = False
    """Streams report usage only if `stream_options.include_usage` asks for it."""


_JSON: Final = {
    b"/v1/chat/completions": Endpoint(
        "chat.completions", "openai.chat", "json", conversation=True, usage_option=True
    ),
    b"/v1/completions": Endpoint("completions", "openai.completions", "json", usage_option=True),
    b"/v1/embeddings": Endpoint("embeddings", "openai.embeddings", "json"),
    b"/v1/responses": Endpoint("responses", "openai.responses", "json", conversation=True),
    b"/v1/messages": Endpoint("messages", "anthropic.messages", "json", conversation=True),
    b"/v1/messages/count_tokens": Endpoint("messages.count_tokens", "anthropic.count_tokens", "json"),
    b"/v1/moderations": Endpoint("moderations", "openai.moderations", "json"),
    b"/v1/images/generations": Endpoint("images.generations", "openai.images", "json"),
    b"/v1/images/edits": Endpoint("images.edits", "openai.images", "any"),
    b"/v1/images/variations": Endpoint("images.variations", "openai.images", "upload"),
    b"/v1/audio/speech": Endpoint("audio.speech", "openai.audio", "json"),
    b"/v1/audio/transcriptions": Endpoint("audio.transcriptions", "openai.audio", "upload"),
    b"/v1/audio/translations": Endpoint("audio.translations", "openai.audio", "upload"),
}
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
    _MODELS,
    _OTHER,
    *_ACCOUNT.values(),
    ACCOUNT_OTHER,
    HEALTH,
    ROOT,
)
"""Every endpoint there is."""


def find_endpoint(method: bytes, path: bytes) -> Endpoint | None:
    """The endpoint of a request; None: there is none."""
    if method == b"POST" and (endpoint := _JSON.get(path)) is not None:
        return endpoint
    if path == b"/" and method in (b"GET", b"HEAD"):
        return ROOT
    if path == b"/health" and method in (b"GET", b"HEAD"):
        return HEALTH
    if not path.startswith(b"/v1/"):
        return None
    if path == b"/v1/models" or path.startswith(b"/v1/models/"):
        return _MODELS if method in (b"GET", b"HEAD") else _ACCOUNT["models"]
    if _PLAIN.fullmatch(path) is None:
        return ACCOUNT_OTHER
    family = _FAMILY.match(path)
    if family is not None and (endpoint := _ACCOUNT.get(family[1].decode())) is not None:
        return endpoint
    return _OTHER if method == b"POST" else ACCOUNT_OTHER
