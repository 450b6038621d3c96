"""Bedrock's errors: `{"message": "..."}` with a status, as a message of a stream with a name, and one table of both
(https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and the service's published model, 2026-11).
"""

from typing import Final

from chatvault.wire.bedrock.event_stream import Message
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import Values, decode_object, integer, text

_STATUS: Final = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "ServiceQuotaExceededException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
_KIND: Final = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def kind_of(status: int) -> str:
    return _KIND.get(status) or ("InternalServerException" if status >= 500 else "ValidationException")


def read_error(status: int, body: bytes) -> Failed:
    """An error answer. Its name stands in a field of its head; the status says the same."""
    try:
        found = decode_object(body)
    except ValueError:
        return Failed(
            message=body[:500].decode(errors="replace") or f"status {status}",
            kind=kind_of(status),
            status=status,
        )
    said = _message(found) or f"status {status}"
    return Failed(message=said, kind=_name(text(found.get("__type"))) or kind_of(status), status=status)


def failure(message: Message) -> Failed | None:
    """The error that a message of a stream tells; None if it is an event."""
    kind = message.text(":message-type")
    if kind == "event":
        return None
    if kind == "error":
        name = message.text(":error-code")
        return Failed(
            message=message.text(":error-message") or name or "The provider reported an error.",
            kind=name or None,
            status=_STATUS.get(_name(name)),
        )
    try:
        found = decode_object(message.payload)
    except ValueError:
        found = {}
    name = _name(message.text(":exception-type"))
    status = _STATUS.get(name)
    original = integer(found.get("originalStatusCode"))
    if original is not None and 400 <= original < 600:
        status = original
    return Failed(
        message=_message(found) or name or "The provider reported an error.", kind=name or None, status=status
    )


def _message(found: Values) -> str | None:
    """Some of AWS's services capitalise it."""
    return text(found.get("message")) or text(found.get("Message")) or text(found.get("originalMessage"))


def _name(said: str | None) -> str:
    """The name alone: as in `com.amazon.coral.service#ThrottlingException:http://...`, and in streams in lower case."""
    name = (said or "").partition(":")[0].rpartition("#")[2]
    return name[:1].upper() + name[1:]
