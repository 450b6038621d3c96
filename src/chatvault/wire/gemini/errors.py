"""Errors in Google's shape: `{"error": {"code", "message", "status", "details"}}`
(https://cloud.google.com/apis/design/errors, seen 2026-11).
"""

from typing import Final

from chatvault.core.errors import ChatVaultError
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import Values, decode, encode, integer, obj, objects_of, text

_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "RESOURCE_EXHAUSTED",
}
_CANONICAL: Final = frozenset(
    (*_STATUS.values(), "FAILED_PRECONDITION", "OUT_OF_RANGE", "ALREADY_EXISTS", "DATA_LOSS", "UNKNOWN")
)
_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"


def failure(error: object, status: int | None = None) -> Failed:
    """What the value of `error` says. `kind` is the canonical status, or the type that was told under it;
    `code` the reason among the
    details.
    """
    found = obj(error)
    if found is None:
        return Failed(message=text(error) or "The provider reported an error.", status=status)
    kind, code = text(found.get("status")), None
    for detail in objects_of(found.get("details")):
        if detail.get("@type") == _INFO:
            code = text(detail.get("reason"))
            told = obj(detail.get("metadata")) or {}
            kind = text(told.get("type")) or kind
            break
    number = integer(found.get("code"))
    said = number if number is not None and 400 <= number < 600 else None
    return Failed(
        message=text(found.get("message")) or "The provider reported an error.",
        kind=kind,
        code=code,
        status=status if status is not None else said,
    )


def read_error(status: int, body: bytes) -> Failed:
    try:
        value = decode(body)
    except ValueError:
        return Failed(message=body[:500].decode(errors="replace") or f"status {status}", status=status)
    if isinstance(value, list) and value:
        value = value[0]
    found = obj(value)
    if found is not None and "error" in found:
        return failure(found["error"], status)
    return failure(found if found is not None and "message" in found else text(value), status)


def status_object(error: ChatVaultError | Failed, status: int) -> Values:
    """The value of `error`. A type that is none of Google's, and the code, are kept in an ErrorInfo."""
    kind, code = error.kind, error.code
    param = error.param if isinstance(error, ChatVaultError) else None
    canonical = kind in _CANONICAL
    told: Values = {
        "code": status,
        "message": error.message,
        "status": kind
        if canonical
        else _STATUS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"),
    }
    metadata: Values = {}
    if kind and not canonical:
        metadata["type"] = kind
    if param:
        metadata["param"] = param
    if metadata or code:
        info: Values = {"@type": _INFO}
        if code:
            info["reason"] = code
        if metadata:
            info["metadata"] = metadata
        told["details"] = [info]
    return told


def write_error(error: ChatVaultError | Failed, status: int) -> bytes:
    return encode({"error": status_object(error, status)})


def failure_object(error: ChatVaultError | Failed) -> Values:
    """The value of `error` in the middle of a stream, or in a body that was to be an answer."""
    return status_object(error, implied_status(error))


def implied_status(error: ChatVaultError | Failed) -> int:
    """The status an error in the middle of a stream would have had."""
    if isinstance(error, ChatVaultError):
        return error.http_status
    return error.status if error.status is not None else 500
