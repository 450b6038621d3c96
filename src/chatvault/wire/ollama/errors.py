"""Errors in Ollama's shape: `{"error": "..."}`, whole or as a line of a stream
(https://docs.ollama.com/api/errors, seen 2026-11).
"""

from chatvault.core.errors import ChatVaultError
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import Values, decode_object, encode, integer, obj, text


def failure(reply: Values, status: int | None = None) -> Failed:
    """`error` is a text; where it is an object, something else stands before Ollama. `type` and `code` are
    what we tell beside it.
    """
    error = reply.get("error")
    inner = obj(error) or {}
    kind, code = reply.get("type", inner.get("type")), reply.get("code", inner.get("code"))
    said = integer(reply.get("status", reply.get("status_code", inner.get("status"))))
    if status is None and said is not None and 400 <= said < 600:
        status = said
    return Failed(
        message=text(error) or text(inner.get("message")) or "The provider reported an error.",
        kind=text(kind),
        code=text(code),
        status=status,
    )


def read_error(status: int, body: bytes) -> Failed:
    try:
        found = decode_object(body)
    except ValueError:
        return Failed(message=body[:500].decode(errors="replace") or f"status {status}", status=status)
    if "error" not in found:
        return Failed(message=text(found.get("message")) or f"status {status}", status=status)
    return failure(found, status)


def write_error(error: ChatVaultError | Failed) -> bytes:
    """Clients read `error` alone; type and code are kept beside it."""
    out: Values = {"error": error.message}
    if error.kind:
        out["type"] = error.kind
    if error.code:
        out["code"] = error.code
    if isinstance(error, ChatVaultError) and error.param:
        out["param"] = error.param
    return encode(out)
