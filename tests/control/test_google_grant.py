"""Grants are such as Google takes; what goes wrong is said, and nothing secret with it."""

import json

import pytest

from chatvault.config.snapshot import AccessToken
from chatvault.control.google_grant import assertion, exchange
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError
from chatvault.providers.google_account import GoogleAccount, google_account
from tests.control.token_endpoint import KEY_ID, REFRESH, SECRET, key_file, pem, token_endpoint, user_file


def account(text: str, url: str) -> GoogleAccount:
    return google_account(None, text, url, None)


async def failure(of: GoogleAccount) -> str:
    with pytest.raises(OperatorError) as raised:
        await exchange(of)
    return raised.value.message


async def test_a_service_accounts_grant_is_signed_and_claims_what_google_wants() -> None:
    async with token_endpoint() as endpoint:
        before = now_us()
        token = await exchange(account(key_file(), endpoint.url))
    assert token.text == endpoint.granted[0]
    assert before + 3_590_000_000 < token.expires_at <= now_us() + 3_600_000_000
    assert endpoint.heads == [{"alg": "RS256", "typ": "JWT", "kid": KEY_ID}]
    assert token.text not in repr(token)


async def test_a_users_refresh_token_is_exchanged() -> None:
    async with token_endpoint() as endpoint:
        endpoint.life = 100
        token = await exchange(account(user_file(), endpoint.url))
    assert token.text == endpoint.granted[0]
    assert 0 < token.expires_at - now_us() <= 100_000_000


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            400,
            b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}',
            "Invalid JWT Signature.",
        ),
        (503, b"<html>later</html>", "status 503."),
        (302, b"", "status 302."),
        (200, b"{}", "without an access token"),
        (200, b'{"access_token":"a b","expires_in":9}', "no header field can hold"),
        (200, b'{"access_token":"ab","expires_in":0}', "has expired"),
        (200, b'{"access_token":"' + b"x" * 100_000 + b'","expires_in":9}', "more than a token"),
    ],
)
async def test_what_is_no_token_is_an_error_that_says_why(status: int, body: bytes, said: str) -> None:
    async with token_endpoint() as endpoint:
        endpoint.answer = status, body
        assert said in await failure(account(key_file(), endpoint.url))


async def test_an_endpoint_that_is_down() -> None:
    async with token_endpoint() as endpoint:
        pass
    assert "cannot be asked" in await failure(account(key_file(), endpoint.url))


@pytest.mark.parametrize("secret", [REFRESH, SECRET])
async def test_an_error_that_repeats_a_secret_is_not_shown(secret: str) -> None:
    async with token_endpoint() as endpoint:
        endpoint.answer = 400, json.dumps({"error": "bad", "error_description": f"no {secret}"}).encode()
        message = await failure(account(user_file(), endpoint.url))
    assert secret[:8] not in message
    assert "status 400" in message


async def test_a_wrong_key_is_refused_by_google_and_a_key_that_is_none_by_us() -> None:
    broken = account(key_file(private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n"), "http://127.0.0.1:9/token")
    with pytest.raises(OperatorError, match="no RSA key in PEM") as raised:
        assertion(broken, 0)
    assert "AAAA" not in raised.value.message


def test_nothing_of_an_account_is_shown() -> None:
    for text in (key_file(), user_file()):
        shown = repr(account(text, "https://oauth2.googleapis.com/token"))
        assert not any(secret in shown for secret in (REFRESH, SECRET, pem()[40:60]))
        assert repr(AccessToken("secret", 1)) == "AccessToken(expires_at=1)"
