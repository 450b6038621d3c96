"""The bytes of an answer's head, and which of the provider's fields belong in it."""

from functools import lru_cache
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


_REMEMBERED: Final = 64
"""Bytes of a field's name that may be kept."""


@lru_cache(maxsize=1024)
def _lead(name: bytes) -> bytes:
    """What stands before the value of a provider's field in the client's answer; empty: it is not for the client."""
    if name in _NOT_PASSED or name.startswith(b"x-chatvault-"):
        return b""
    return b"x-provider-request-id: " if name in _REQUEST_IDS else name + b": "


def passed(headers: list[Header]) -> list[bytes]:
    """The provider's fields that a client may see, as lines; its request id under the name
    `x-provider-request-id`."""
    lines = []
    for name, value in headers:
        lead = _lead(name) if len(name) <= _REMEMBERED else _lead.__wrapped__(name)
        if lead:
            lines.append(b"%b%b\r\n" % (lead, value))
        elif name == b"connection" and value.lower() not in _PLAIN:
            return _passed_but(headers)
    return lines


def _passed_but(headers: list[Header]) -> list[bytes]:
    """The same where the field `connection` names others, which do not pass either."""
    hidden = {
        nominated.strip().lower()
        for name, value in headers
        if name == b"connection"
        for nominated in value.split(b",")
    }
    kept = [pair for pair in headers if pair[0] not in hidden and pair[0] != b"connection"]
    return passed(kept)


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
