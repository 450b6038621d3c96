"""What the data plane answers by itself: health, a few pointers, the list of models, preflight requests."""

import re
from typing import TYPE_CHECKING, Final

import msgspec

from chatvault import __version__
from chatvault.core.errors import ClientError, NotFound
from chatvault.gateway.count_translation import told
from chatvault.gateway.door import count
from chatvault.gateway.models import list_models, show_model
from chatvault.gateway.routes import CONTROL_PATHS, HEALTH, ROOT, Endpoint
from chatvault.wire.json_fields import Body

__all__ = [
    "HEALTH",
    "ROOT",
    "answer_asked",
    "answer_local",
    "answer_open",
    "cors_lines",
    "not_found",
    "preflight",
]

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_JSON: Final = b"content-type: application/json\r\n"
_HEALTHY: Final = b'{"status":"ok"}'
_FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_MAX_ASKED: Final = 64
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
    if endpoint.asks:
        _ask(call, endpoint.asks, call.head.path.rpartition(b"/")[2])
    elif endpoint.name in ("models", "gemini.models", "api.tags"):
        _answer(call, list_models(call, endpoint))
    elif endpoint.name == "api.ps":
        _answer(call, b'{"models":[]}')
    else:
        _answer(call, msgspec.json.encode({"version": __version__}))


def answer_asked(call: "Call", body: Body) -> None:
    """What is answered here to a request with a body: by control, or Ollama's `/api/show`."""
    endpoint = call.endpoint
    if endpoint is not None and endpoint.asks:
        _ask(call, endpoint.asks, body)
        return
    _answer(call, show_model(call, body))


def _ask(call: "Call", what: str, body: Body) -> None:
    count(call)
    call.worker.questions.ask(call, what, body)


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
    call.answer_locally(200, lines, told(call.speech.dialect, tokens))


def _answer(call: "Call", body: bytes) -> None:
    call.answer_locally(200, [_JSON], body)
