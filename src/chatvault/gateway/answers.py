"""The bytes of an answer's head, and which of the provider's fields belong in it."""

from http import HTTPStatus
from typing import Final

from chatvault.core.errors import ChatVaultError
from chatvault.core.seam import Header
from chatvault.gateway.speech import OPENAI, Speech

STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}

_NOT_PASSED: Final = frozenset(
    (
        # hop by hop, or ours to say
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"server",
        b"server-timing",
        b"via",
        # of the provider's host, not of ours
        b"set-cookie",
        b"alt-svc",
        b"strict-transport-security",
        b"nel",
        b"report-to",
        b"access-control-allow-origin",
        b"access-control-expose-headers",
        b"access-control-allow-credentials",
        b"access-control-allow-headers",
        b"access-control-allow-methods",
        b"access-control-max-age",
        # of the operator's account
        b"openai-organization",
        b"openai-project",
    )
)

_REQUEST_IDS: Final = frozenset((b"x-request-id", b"x-amzn-requestid"))
_PLAIN: Final = frozenset((b"keep-alive", b"close"))
"""What `connection` mostly says, which names no other field."""


def status_line(status: int) -> bytes:
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status


def passed(headers: list[Header]) -> list[bytes]:
    """The provider's fields that a client may see, as lines; its request id under the name
    `x-provider-request-id`."""
    lines = []
    hidden = _NOT_PASSED
    for name, value in headers:
        if name == b"connection" and value.lower() not in _PLAIN:
            hidden = hidden.union(nominated.strip().lower() for nominated in value.split(b","))
    for name, value in headers:
        if name in hidden or name.startswith(b"x-chatvault-"):
            continue
        if name in _REQUEST_IDS:
            name = b"x-provider-request-id"
        lines.append(b"%s: %s\r\n" % (name, value))
    return lines


def field(headers: list[Header], wanted: bytes) -> bytes | None:
    """The value of a field, the first if there are several."""
    for name, value in headers:
        if name == wanted:
            return value
    return None


def error_lines(error: ChatVaultError) -> list[bytes]:
    lines = [b"content-type: application/json\r\n"]
    if error.retry_after is not None:
        lines.append(b"retry-after: %d\r\n" % error.retry_after)
    if error.http_status == 401:
        lines.append(b"www-authenticate: Bearer\r\n")
    return lines


def error_answer(error: ChatVaultError, speech: Speech = OPENAI) -> tuple[int, list[bytes], bytes]:
    """Status, head lines and body of an error, in the shape of the dialect that asked."""
    return error.http_status, error_lines(error), speech.error_body(error)
