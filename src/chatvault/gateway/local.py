"""What the data plane answers by itself: health, a few pointers, the list of models, preflight requests."""

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec

from chatvault import __version__
from chatvault.core.errors import ClientError, NotFound
from chatvault.gateway.routes import CONTROL_PATHS, HEALTH, ROOT, Endpoint

__all__ = ["HEALTH", "ROOT", "answer_local", "answer_open", "cors_lines", "not_found", "preflight"]

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_JSON: Final = b"content-type: application/json\r\n"
_HEALTHY: Final = b'{"status":"ok"}'
_FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_MAX_ASKED: Final = 64
_GOOGLES: Final = frozenset((b"x-goog-api-key", b"x-goog-api-client"))
"""Fields that Google's libraries send, which ask under `/v1/models` too (seen of google-genai 3.4)."""
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def answer_open(call: "Call", endpoint: Endpoint) -> None:
    """`/health` and `/`, which need no credentials and tell no secrets."""
    body = (
        _HEALTHY
        if endpoint is HEALTH
        else msgspec.json.encode(
            {
                "name": "ChatVault",
                "api": "/v1",
                "models": "/v1/models",
                "health": "/health",
                "hint": "Point an OpenAI client's base URL at /v1 and give it a ChatVault token as its API key.",
            }
        )
    )
    _answer(call, body)


def answer_local(call: "Call", endpoint: Endpoint) -> None:
    """What is answered here, to a token, in the shape of the dialect that asked."""
    fields = call.head.fields
    if endpoint.name == "models":
        if not _GOOGLES.isdisjoint(fields):
            _gemini_models(call)
        elif b"anthropic-version" in fields and call.head.path == b"/v1/models":
            _answer(call, msgspec.json.encode(_anthropic_models(_usable(call))))
        else:
            answer_models(call)
    elif endpoint.name == "gemini.models":
        _gemini_models(call)
    elif endpoint.name == "api.tags":
        _answer(call, msgspec.json.encode({"models": [_tag(name) for name, _ in _usable(call)]}))
    elif endpoint.name == "api.ps":
        _answer(call, b'{"models":[]}')
    else:
        _answer(call, msgspec.json.encode({"version": __version__}))


def _usable(call: "Call") -> list[tuple[str, str]]:
    assert call.grant is not None
    return call.worker.directory.names(call.grant.allows_model)


def _anthropic_models(models: list[tuple[str, str]]) -> dict[str, Any]:
    """https://docs.anthropic.com/en/api/models-list (2026-11)"""
    data = [
        {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
        for name, _ in models
    ]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def _gemini_models(call: "Call") -> None:
    """https://ai.google.dev/api/models (2026-11)"""
    wanted = unquote(call.head.path.decode()).partition("/models")[2].lstrip("/")
    models = [
        {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": ["generateContent"]}
        for name, _ in _usable(call)
        if wanted in ("", name)
    ]
    if not wanted:
        _answer(call, msgspec.json.encode({"models": models}))
    elif models:
        _answer(call, msgspec.json.encode(models[0]))
    else:
        raise NotFound(
            f"The model {wanted[:256]!r} is not among those this token may use.",
            code="model_not_found",
            param="model",
        )


def _tag(name: str) -> dict[str, Any]:
    """https://docs.ollama.com/api/tags (2026-11)"""
    return {
        "name": name,
        "model": name,
        "modified_at": "1970-01-01T00:00:00Z",
        "size": 0,
        "digest": "",
        "details": {},
    }


def answer_models(call: "Call") -> None:
    """`GET /v1/models` and `/v1/models/{id}`: what this token may use, in OpenAI's shape."""
    grant, directory = call.grant, call.worker.directory
    assert grant is not None
    wanted = unquote(call.head.path.decode()[len("/v1/models") :].lstrip("/"))
    if not wanted:
        models = [_model(name, provider) for name, provider in directory.names(grant.allows_model)]
        _answer(call, msgspec.json.encode({"object": "list", "data": models}))
        return
    target = directory.find(wanted) if grant.allows_model(wanted) else None
    if target is None:
        nearest = directory.nearest(wanted, grant.allows_model)
        hint = f" Did you mean {', '.join(map(repr, nearest))}?" if nearest else ""
        raise NotFound(
            f"The model {wanted[:256]!r} is not among those this token may use.{hint}",
            code="model_not_found",
            param="model",
        )
    _answer(call, msgspec.json.encode(_model(wanted, target.provider)))


def _model(name: str, provider: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}


def not_found(call: "Call") -> NotFound:
    path = call.head.path
    server = call.worker.snapshot.server
    if path.startswith(CONTROL_PATHS):
        return NotFound(
            f"{path.decode()[:200]} belongs to the control plane, which listens on "
            f"{server.admin_host}:{server.admin_port}.",
            code="control_plane_path",
        )
    return NotFound(
        f"There is no {path.decode()[:200]} here. The API is under /v1, for example POST "
        "/v1/chat/completions.",
        code="endpoint_not_found",
    )


def preflight(call: "Call") -> None:
    """OPTIONS: allowed methods, and CORS for configured origins."""
    lines = [b"allow: " + _METHODS + b"\r\n"]
    origin = call.head.fields.get(b"origin")
    wanted = call.head.fields.get(b"access-control-request-method")
    if origin is not None and wanted is not None:
        if not cors_lines(call, origin):
            raise ClientError(
                f"The origin {origin.decode('latin-1')[:200]} is not among server.cors_origins.",
                code="origin_not_allowed",
                status=403,
            )
        asked = call.head.fields.get(b"access-control-request-headers", b"authorization, content-type")
        names = [name.strip() for name in asked.split(b",")[:_MAX_ASKED]]
        headers = b", ".join(name for name in names if _FIELD_NAME.fullmatch(name))
        lines += [
            b"access-control-allow-methods: " + _METHODS + b"\r\n",
            b"access-control-allow-headers: " + headers + b"\r\n",
            b"access-control-max-age: 600\r\n",
        ]
    call.answer_locally(204, lines, b"")


def cors_lines(call: "Call", origin: bytes) -> list[bytes]:
    """Empty unless the origin is configured."""
    allowed = call.worker.snapshot.server.cors_origins
    if not allowed:
        return []
    text = origin.decode("latin-1")
    if "*" not in allowed and text not in allowed:
        return []
    return [
        b"access-control-allow-origin: " + origin + b"\r\n",
        b"vary: origin\r\n",
        b"access-control-expose-headers: x-request-id, server-timing, retry-after\r\n",
    ]


def answer_estimate(call: "Call", tokens: int) -> None:
    """Input tokens, roughly, where the provider cannot be asked; a header says that it is an estimate."""
    lines = [_JSON, b"x-chatvault-estimated: input_tokens\r\n"]
    call.answer_locally(200, lines, msgspec.json.encode({"input_tokens": tokens}))


def _answer(call: "Call", body: bytes) -> None:
    call.answer_locally(200, [_JSON], body)
