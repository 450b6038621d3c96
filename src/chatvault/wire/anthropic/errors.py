"""Errors in Anthropic's shape, `{"type": "error", "error": {"type", "message"}, "request_id"}`, whole or as
an event of a stream, and the one table between their types and HTTP's statuses
(https://docs.anthropic.com/en/api/errors, seen 2026-11).
"""

from typing import Final

from chatvault.core.errors import ChatVaultError
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import Values, decode, encode, name_of, object_of, put
from chatvault.wire.openai.errors import error_text

_STATUS: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_KIND: Final = {status: kind for kind, status in _STATUS.items()} | {
    408: "timeout_error",
    503: "overloaded_error",
}


_THREADS: Final = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
"""How the API says that a request cannot be a part of a thread that it keeps: its library sends the whole conversation
instead (anthropic 2.14 for Python, lib/threads/_thread_state.py, seen 2026-11)."""


def kind_of(status: int) -> str:
    return _KIND.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def read_error(status: int | None, body: bytes) -> Failed:
    """A provider's error, whatever its shape. `status` is None inside a stream, where the type implies one."""
    try:
        values = object_of(decode(body))
    except ValueError:
        values = {}
    error = object_of(values.get("error"))
    kind = name_of(error.get("type"))
    code = name_of(object_of(error.get("details")).get("error_code")) or name_of(error.get("code"))
    message = name_of(error.get("message")) or error_text(body)
    if status is None:
        status = _STATUS.get(kind or "")
    return Failed(
        message=message or f"The provider answered {status or 'with an error'} and did not say why.",
        kind=kind,
        code=code,
        status=status,
    )


def write_error(error: ChatVaultError | Failed, status: int | None) -> bytes:
    """A type of another dialect becomes the one that its status means here; the provider's own words stand
    beside it.
    """
    if isinstance(error, Failed):
        said, param = error.kind, None
        status = status or error.status or 500
    else:
        said, param = None, error.param
        status = status or error.http_status
    kind = said if said in _STATUS else kind_of(status)
    told: Values = {"type": kind, "message": error.message}
    put(told, code=error.code, param=param, provider_type=said if said != kind else None)
    if (error.code, param) == ("cannot_carry", "thread"):
        told["details"] = _THREADS
    return encode({"type": "error", "error": told, "request_id": None})


def write_error_event(error: ChatVaultError | Failed) -> bytes:
    return b"event: error\ndata: " + write_error(error, None) + b"\n\n"
