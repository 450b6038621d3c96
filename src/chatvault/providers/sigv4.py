"""Signature Version 4: how AWS is shown that a request comes from who holds the keys, and came as it is.

The secret never leaves; what goes is an HMAC over the request and the time, by a key that is good for one day, region
and service. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (2026-11)
"""

import hmac
import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote

import msgspec

from chatvault.config.snapshot import AwsKeys
from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Header, Request

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_BLANKS: Final = re.compile(rb" +")
_SIGNED: Final = frozenset((b"content-type",))


class SigV4:
    """The `Signer` of an AWS account."""

    __slots__ = ("_keys",)

    def __init__(self, keys: AwsKeys) -> None:
        self._keys = keys

    def fields(self, request: Request, authority: bytes, now_us: int) -> list[Header]:
        if request.body is None:
            raise UpstreamError(
                "A request to AWS is signed with all of its body, so none can be passed on as it comes. Ask another "
                "provider.",
                code="dialect_not_spoken",
                status=400,
            )
        keys = self._keys
        ours: list[Header] = [(b"x-amz-date", timestamp(now_us).encode())]
        if keys.session_token is not None:
            ours.append((b"x-amz-security-token", keys.session_token.encode()))
        fields = [pair for pair in request.headers if pair[0] in _SIGNED or pair[0].startswith(b"x-amz-")]
        asked = Asked(
            request.method, request.target, [(b"host", authority), *fields, *ours], digest(request.body)
        )
        return [*ours, (b"authorization", authorization(asked, keys, timestamp(now_us)).encode())]


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request as it is signed: all of `headers` are, `payload` is the hexadecimal SHA-256 of its body."""

    method: bytes
    target: bytes
    headers: list[Header]
    payload: str


def timestamp(now_us: int) -> str:
    """As in `20150830T123600Z`."""
    return datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")


def digest(body: bytes | list[bytes | memoryview]) -> str:
    if isinstance(body, bytes):
        return sha256(body).hexdigest()
    found = sha256()
    for part in body:
        found.update(part)
    return found.hexdigest()


def authorization(asked: Asked, keys: AwsKeys, stamp: str) -> str:
    """The value of the field `authorization`."""
    names, canonical = canonical_request(asked)
    scope = f"{stamp[:8]}/{keys.region}/{keys.service}/aws4_request"
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical).hexdigest()}"
    key = f"AWS4{keys.secret_access_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return (
        f"{ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )


def canonical_request(asked: Asked) -> tuple[str, bytes]:
    """The names of the signed fields, and the text that AWS makes of the same request."""
    path, _, query = asked.target.partition(b"?")
    values: dict[bytes, list[bytes]] = {}
    for name, value in asked.headers:
        values.setdefault(name, []).append(_BLANKS.sub(b" ", value.strip()))
    fields = [name + b":" + b",".join(values[name]) + b"\n" for name in sorted(values)]
    names = b";".join(sorted(values))
    # Each segment of the path is encoded once more than it is sent; only S3 differs.
    lines = (
        asked.method,
        quote(path, safe="/~").encode(),
        b"&".join(sorted(_parameters(query))),
        b"".join(fields),
        names,
        asked.payload.encode(),
    )
    return names.decode(), b"\n".join(lines)


def _parameters(query: bytes) -> list[bytes]:
    """Encoded as they are sent; one without a value has an empty one."""
    return [each if b"=" in each else each + b"=" for each in query.split(b"&") if each]
