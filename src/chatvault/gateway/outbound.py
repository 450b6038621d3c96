"""What goes upstream of a request's head: everything but what speaks for the client's connection, or chooses
an account."""

import base64
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from chatvault.access.credential import in_query
from chatvault.core.seam import Header
from chatvault.wire.http_head import RequestHead

CREDENTIALS: Final = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")
"""All forms a credential may come in, in the order they are looked at."""

_NOT_PASSED: Final = frozenset(
    (
        *CREDENTIALS,
        b"proxy-authorization",
        b"cookie",
        b"host",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"content-length",
        b"expect",
        b"accept-encoding",
        b"content-encoding",
        b"x-request-id",
        b"ocp-apim-subscription-key",
        b"x-goog-user-project",
        b"openai-organization",
        b"openai-project",
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"origin",
        b"referer",
        b"access-control-request-method",
        b"access-control-request-headers",
    )
)

_CLIENTS_FIRST: Final = frozenset((b"anthropic-version",))
"""A provider's fields that yield to the client's own: it knows which version of the API it speaks."""
_PLAIN: Final = frozenset((b"keep-alive", b"close"))
_OURS: Final = (b"sec-", b"x-chatvault-")
"""What begins so is between the client and the gateway. A name with an underscore does not pass either: some servers
read it as the name with a dash."""


_SECRET_PARAMETERS: Final = frozenset((b"key", b"api_key", b"api-key", b"access_token"))


def outbound_query(query: bytes) -> bytes:
    """The query (with its question mark) without what some APIs take as a credential."""
    if not query:
        return query
    parameters = query[1:].split(b"&")
    kept = [each for each in parameters if _parameter_name(each) not in _SECRET_PARAMETERS]
    if len(kept) == len(parameters):
        return query
    return b"?" + b"&".join(kept) if kept else b""


def _parameter_name(parameter: bytes) -> bytes:
    """As a provider reads it, so that no other spelling slips by."""
    return unquote_to_bytes(parameter.partition(b"=")[0]).lower()


def hidden_fields(ours: list[Header]) -> frozenset[bytes]:
    """The client's fields that do not pass to a provider whose own fields are `ours`."""
    return _NOT_PASSED.union(name for name, _ in ours if name not in _CLIENTS_FIRST)


def outbound_headers(head: RequestHead, ours: list[Header], hidden: frozenset[bytes]) -> list[Header]:
    """The client's fields that pass, then `ours` (the provider's credential and fixed fields), which win over
    the client's."""
    nominated = head.fields.get(b"connection")
    if nominated is not None and nominated.lower() not in _PLAIN:
        hidden = hidden.union(_names(nominated))
    headers = [
        pair
        for pair in head.headers
        if pair[0] not in hidden and b"_" not in pair[0] and not pair[0].startswith(_OURS)
    ]
    for pair in ours:
        if pair[0] not in _CLIENTS_FIRST or pair[0] not in head.fields:
            headers.append(pair)
    headers.append((b"accept-encoding", b"identity"))
    return headers


_TRANSLATED: Final = (b"user-agent", b"traceparent", b"tracestate", b"idempotency-key")
"""The client's fields that mean the same to a provider of another dialect."""


def translated_headers(head: RequestHead, ours: list[Header]) -> list[Header]:
    """The fields of a request that was translated: few of the client's, since the others are of its own dialect."""
    headers: list[Header] = [(name, head.fields[name]) for name in _TRANSLATED if name in head.fields]
    headers += ours
    headers.append((b"content-type", b"application/json"))
    headers.append((b"accept-encoding", b"identity"))
    return headers


def _names(connection: bytes) -> list[bytes]:
    return [name.strip().lower() for name in connection.split(b",")]


def credential(head: RequestHead) -> bytes | None:
    """What the client authenticates with; None if it sent nothing of the kind."""
    fields = head.fields
    value = fields.get(b"authorization")
    if value is not None:
        scheme, _, token = value.partition(b" ")
        return token.strip() if scheme.lower() == b"bearer" else _basic(scheme, token)
    for name in CREDENTIALS[1:]:
        if name in fields:
            return fields[name]
    key = _KEY.search(head.query) if head.path.startswith(_GEMINI) else None
    return key[1] if key is not None else None


_KEY: Final = re.compile(rb"[?&]key=([A-Za-z0-9-]+)")
_GEMINI: Final = (b"/v1beta/", b"/v1/models/")
"""Paths whose clients may send their key in the query (https://ai.google.dev/api, seen 2026-11); it goes no further."""


def leaks(head: RequestHead) -> bool:
    """Whether a token stands in the query, where only Gemini's clients may have to send it."""
    query = head.query
    return bool(query) and in_query(query, b"key" if head.path.startswith(_GEMINI) else None)


def _basic(scheme: bytes, value: bytes) -> bytes:
    """The password of basic authentication, which Ollama's clients can send. Empty if it is none."""
    if scheme.lower() != b"basic":
        return b""
    try:
        pair = base64.b64decode(value.strip(), validate=True)
    except ValueError:
        return b""
    return pair.partition(b":")[2]
