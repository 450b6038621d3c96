"""AWS's side of Signature Version 4: whether a request was signed with the account's keys, just now, as it came
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, seen 2026-11)."""

import hashlib
import hmac
import re
from datetime import UTC, datetime

import msgspec

from chatvault.fake.errors import Refusal
from chatvault.fake.request import Request

FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
ESCAPED = re.compile(r"[^A-Za-z0-9/_.~-]")
SKEW_S = 300
DOES_NOT_MATCH = "The request signature we calculated does not match the signature you provided."


class Account(msgspec.Struct, frozen=True):
    """Whose requests are taken."""

    access_key_id: str
    secret_access_key: str
    region: str
    session_token: str | None = None
    service: str = "bedrock"


def check(request: Request, account: Account) -> None:
    """Raises Refusal (403) for a request that the account did not sign, or not now, or not as it came."""
    found = FORM.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        raise Refusal(403, "Missing Authentication Token")
    key_id, day, region, service, names, signature = found.groups()
    if (
        key_id != account.access_key_id
        or request.headers.get("x-amz-security-token") != account.session_token
    ):
        raise Refusal(403, "The security token included in the request is invalid.")
    if (region, service) != (account.region, account.service):
        raise Refusal(403, f"Credential should be scoped to {account.region!r} and {account.service!r}.")
    stamp, signed = request.headers.get("x-amz-date", ""), names.split(";")
    if not stamp.startswith(day) or abs((datetime.now(UTC) - _time(stamp)).total_seconds()) > SKEW_S:
        raise Refusal(403, f"Signature expired or not yet current: {stamp}.")
    needed = {"host", *(name for name in request.headers if name.startswith("x-amz-"))}
    if signed != sorted(set(signed)) or not needed <= set(signed) <= request.headers.keys():
        raise Refusal(403, "The signed headers are not those of the request.")
    wanted = _signature(request, account, stamp, signed)
    if not hmac.compare_digest(wanted, signature):
        raise Refusal(403, DOES_NOT_MATCH)


def _time(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal(403, "The date is in no form of AWS's.") from None


def _signature(request: Request, account: Account, stamp: str, names: list[str]) -> str:
    fields = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    query = "&".join(sorted(request.query.split("&"))) if request.query else ""
    canonical = [
        request.method,
        ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", request.path),
        query,
        fields,
        ";".join(names),
        hashlib.sha256(request.body).hexdigest(),
    ]
    scope = [stamp[:8], account.region, account.service, "aws4_request"]
    hashed = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    secret = b"AWS4" + account.secret_access_key.encode()
    for part in scope:
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), hashed])
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
