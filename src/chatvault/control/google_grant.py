"""From a key file of Google's to an access token: a signed grant (RS256), or a user's refresh token, shown to the token
endpoint.

https://google.aip.dev/auth/4112, https://developers.google.com/identity/protocols/oauth2/service-account (2026-11)
"""

import asyncio
import base64
import re
import ssl
from typing import Final

import httpx2
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chatvault.config.snapshot import AccessToken
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError
from chatvault.providers.google_account import TOKEN_URL, GoogleAccount

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
LIFE: Final = 3600
"""Seconds that a grant is good for; the most that Google takes."""
LEEWAY: Final = 10
"""Seconds that this machine's clock may be ahead of Google's."""
TIMEOUT: Final = 10.0
_LARGEST: Final = 64 << 10
_LONGEST: Final = 200
_TOKEN: Final = re.compile(r"[!-~]{1,16384}")
_JWT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: int


class _Refused(msgspec.Struct):
    error: str = ""
    error_description: str = ""


async def exchange(account: GoogleAccount) -> AccessToken:
    """A new access token. Raises OperatorError that says why there is none, and nothing that is secret."""
    form = await asyncio.to_thread(_form, account)
    asked_at = now_us()
    try:
        async with asyncio.timeout(2 * TIMEOUT):
            status, body = await _posted(account, form)
    except (httpx2.HTTPError, TimeoutError) as error:
        raise _failed(account, f"cannot be asked: {str(error) or type(error).__name__}") from None
    if status != 200:
        raise _failed(account, _why(status, body, [*form.values()]))
    try:
        granted = msgspec.json.decode(body, type=_Granted)
    except msgspec.DecodeError:
        raise _failed(account, "answered without an access token and its lifetime") from None
    if not _TOKEN.fullmatch(granted.access_token) or granted.expires_in <= 0:
        raise _failed(account, "answered with a token that no header field can hold, or that has expired")
    return AccessToken(granted.access_token, asked_at + granted.expires_in * 1_000_000)


def assertion(account: GoogleAccount, now: int) -> str:
    """The signed grant of a service account at a time (seconds). Raises OperatorError for a key that is none."""
    try:
        key = load_pem_private_key(account.private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise OperatorError(
            "The private_key of the service account is no RSA key in PEM. Download a new key file.",
            code="bad_credentials",
        )
    head = {"alg": "RS256", "typ": "JWT"} | (
        {"kid": account.private_key_id} if account.private_key_id else {}
    )
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": TOKEN_URL,
        "iat": now - LEEWAY,
        "exp": now - LEEWAY + LIFE,
    }
    text = b".".join(_base64url(msgspec.json.encode(part)) for part in (head, claims))
    return (text + b"." + _base64url(key.sign(text, PKCS1v15(), SHA256()))).decode()


def _form(account: GoogleAccount) -> dict[str, str]:
    if account.kind == "service_account":
        return {"grant_type": _JWT, "assertion": assertion(account, now_us() // 1_000_000)}
    return {
        "grant_type": "refresh_token",
        "client_id": account.client_id,
        "client_secret": account.client_secret,
        "refresh_token": account.refresh_token,
    }


async def _posted(account: GoogleAccount, form: dict[str, str]) -> tuple[int, bytes]:
    client = await asyncio.to_thread(_client, account)
    async with client, client.stream("POST", account.token_url, data=form) as answer:
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > _LARGEST:
                raise _failed(account, "answered with more than a token is")
        return answer.status_code, body


def _client(account: GoogleAccount) -> httpx2.AsyncClient:
    """Made in a thread, since it reads certificates, and at its first time modules."""
    tls = account.token_url.startswith("https:")
    return httpx2.AsyncClient(
        verify=ssl.create_default_context(cafile=account.ca_file) if tls else False,
        proxy=account.proxy,
        timeout=TIMEOUT,
        trust_env=False,  # the environment is read once, with the configuration
        follow_redirects=False,  # a grant is shown to nobody else
    )


def _why(status: int, body: bytes, secrets: list[str]) -> str:
    """What the endpoint says, as far as it is of the standard and repeats nothing that it was told."""
    try:
        said = msgspec.json.decode(body, type=_Refused)
    except msgspec.DecodeError:
        said = _Refused()
    text = ": ".join(filter(None, (said.error, said.error_description)))[:_LONGEST]
    shown = text if text.isprintable() and not any(_part_of(secret, text) for secret in secrets) else ""
    return f"answered with status {status}" + (f" ({shown})" if shown else "")


def _part_of(secret: str, text: str) -> bool:
    """Whether the text repeats a piece of it."""
    return any(secret[at : at + 12] in text for at in range(0, max(len(secret) - 11, 1), 4))


def _failed(account: GoogleAccount, what: str) -> OperatorError:
    return OperatorError(f"The token endpoint {account.token_url} {what}.", code="no_access_token")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
