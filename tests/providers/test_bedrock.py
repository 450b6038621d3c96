"""Bedrock accounts: whose keys they are signed with, where they listen, what is missing, and who is left alone."""

from typing import Any

import msgspec
import pytest

from chatvault.config.schema import Config, ProviderConfig
from chatvault.config.snapshot import AwsKeys, ProviderSnapshot
from chatvault.core.errors import OperatorError, UpstreamError
from chatvault.core.seam import Request
from chatvault.providers.bedrock import anthropic_path, listed
from chatvault.providers.discover import discover
from chatvault.providers.resolve import resolve
from chatvault.providers.sigv4 import SigV4

ENVIRON = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "secret/1+", "AWS_REGION": "us-east-1"}
KEYS = AwsKeys(region="us-east-1", access_key_id="AKIA1", secret_access_key="secret/1+")
US = "https://bedrock-runtime.us-east-1.amazonaws.com"
SAID = {"access_key_id": "AKIA2", "secret_access_key": "secret2"}


def account(environ: dict[str, str], **said: Any) -> ProviderSnapshot:
    config = Config(providers={"aws": ProviderConfig(kind="bedrock", **said)})
    return resolve(config, environ, False, None).providers["aws"]


def wrong(environ: dict[str, str], **said: Any) -> list[str]:
    with pytest.raises(OperatorError) as refused:
        account(environ, **said)
    return refused.value.message.splitlines()


def test_keys_of_the_environment_sign_where_bedrock_is_asked_for() -> None:
    found = account(ENVIRON)
    assert (found.base_url, found.signing, found.path_style) == (US, KEYS, "bedrock")
    assert all("authorization" not in face.headers for face in found.faces.values())
    assert found.dialects == ("bedrock.converse", "anthropic.messages")
    lent = account(ENVIRON | {"AWS_SESSION_TOKEN": "t"})
    assert lent.signing == msgspec.structs.replace(KEYS, session_token="t")


def test_a_key_of_bedrocks_own_comes_first_and_goes_as_a_bearer() -> None:
    found = account(ENVIRON | {"AWS_BEARER_TOKEN_BEDROCK": "ABSKx"})
    assert found.signing is None
    assert all(face.headers["authorization"] == "Bearer ABSKx" for face in found.faces.values())


def test_the_configuration_comes_before_the_environment() -> None:
    environ = ENVIRON | {"AWS_BEARER_TOKEN_BEDROCK": "ABSKx"}
    found = account(environ, region="eu-west-1", session_token="t", **SAID)
    assert found.signing == AwsKeys(region="eu-west-1", session_token="t", **SAID)
    assert found.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert all("authorization" not in face.headers for face in found.faces.values())
    assert account(environ, api_key="ABSKy").headers["authorization"] == "Bearer ABSKy"
    own = account(environ, headers={"Authorization": "Signed elsewhere"})
    assert (own.signing, own.headers["authorization"]) == (None, "Signed elsewhere")


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ({"region": "cn-north-1"}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ({"region": "us-gov-west-1"}, "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ({"base_url": "https://vpce-1.example.com/"}, "https://vpce-1.example.com"),
    ],
)
def test_where_it_listens(said: dict[str, Any], url: str) -> None:
    found = account(ENVIRON, **said)
    assert {face.base_url for face in found.faces.values()} == {found.base_url} == {url}


def test_the_address_may_name_the_region() -> None:
    keys = {name: ENVIRON[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    found = account(keys, base_url="https://bedrock-runtime-fips.us-west-2.amazonaws.com")
    assert found.signing == msgspec.structs.replace(KEYS, region="us-west-2")
    found = account(keys | {"AWS_DEFAULT_REGION": "eu-central-1"}, base_url="http://127.0.0.1:9")
    assert found.signing == msgspec.structs.replace(KEYS, region="eu-central-1")
    assert account({"AWS_BEARER_TOKEN_BEDROCK": "k"}, base_url="http://127.0.0.1:9").signing is None


@pytest.mark.parametrize(
    ("environ", "said", "lines"),
    [
        ({"AWS_REGION": "us-east-1"}, {}, ["providers.aws: api_key: needed; set AWS_BEARER_TOKEN_BEDROCK, or"]),
        (
            ENVIRON | {"AWS_REGION": ""},
            {},
            ["providers.aws: region: needed; set it, or AWS_REGION or AWS_DEFAULT_REGION in the environment"],
        ),
        (ENVIRON, {"region": "US East"}, ["providers.aws: region: 'US East' is none of AWS's; write one as in us-east-1"]),
        (ENVIRON, {"access_key_id": "A"}, ["providers.aws: secret_access_key: needed; calls are signed with both"]),
        (ENVIRON, {"session_token": "t"}, ["providers.aws: access_key_id: needed", "providers.aws: secret_access_key: needed"]),
        (ENVIRON, {"api_key": "k", **SAID}, ["providers.aws: api_key: there is an access_key_id, too; write one of them"]),
        (ENVIRON, {**SAID, "secret_access_key": "se cret"}, ["providers.aws: secret_access_key: has a character that no key has"]),
        (ENVIRON, {"api_key": "a\nb"}, ["providers.aws: api_key: has a character that no key has"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_no_secret_is_shown(
    environ: dict[str, str], said: dict[str, Any], lines: list[str]
) -> None:
    told = wrong(environ, **said)
    assert len(told) == len(lines)
    assert all(one.startswith(two) for one, two in zip(told, lines, strict=True)), told
    assert not any(secret in "".join(told) for secret in ("secret/1+", "secret2", "se cret"))


def test_its_settings_are_its_own() -> None:
    config = Config(providers={"o": ProviderConfig(kind="openai", api_key="k", region="us-east-1")})
    with pytest.raises(OperatorError, match=r"providers.o: region: only `kind: bedrock` has one"):
        resolve(config, {}, False, None)


def test_keys_of_aws_alone_open_nothing() -> None:
    assert discover(ENVIRON) == {}
    assert discover({"AWS_BEARER_TOKEN_BEDROCK": "ABSKx"}) == {}  # no region
    own = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://vpce-1.example.com"}
    assert discover(own) == {}
    found = resolve(Config(), ENVIRON | own, False, None).providers
    assert list(found) == ["bedrock"]
    assert (found["bedrock"].base_url, found["bedrock"].signing) == ("https://vpce-1.example.com", KEYS)
    found = resolve(
        Config(), {"AWS_BEARER_TOKEN_BEDROCK": "ABSKx", "AWS_REGION": "us-east-1"}, False, None
    ).providers
    assert (found["bedrock"].base_url, found["bedrock"].headers["authorization"]) == (US, "Bearer ABSKx")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "anthropic"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic"),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic"),
        ("apac.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic"),
        ("global.anthropic.claude-opus-4-6-v1", "anthropic"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", "anthropic"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1", "anthropic"),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "bedrock"),
        ("amazon.nova-lite-v1:0", "bedrock"),
        ("us.meta.llama3-3-70b-instruct-v1:0", "bedrock"),
    ],
)
def test_which_models_are_asked_in_anthropics_dialect(model: str, family: str) -> None:
    assert account(ENVIRON).families(model) == (family,)


def test_paths_of_anthropics() -> None:
    name = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2"
    path = b"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fanthropic.claude-v2"
    assert anthropic_path(b"/messages", name, False) == path + b"/invoke"
    assert anthropic_path(b"/messages", name, True) == path + b"/invoke-with-response-stream"
    assert anthropic_path(b"/other", name, True) == b"/other"


def test_names_that_are_no_models_are_not_listed() -> None:
    assert listed(("regional.anthropic.claude", "global.anthropic.claude")) == ("global.anthropic.claude",)
    found = resolve(
        Config(),
        ENVIRON | {"AWS_BEARER_TOKEN_BEDROCK": "k"},
        False,
        None,
        models=lambda _: ("regional.a", "b.c"),
    )
    assert found.known["bedrock"] == ("b.c",)


def test_no_repr_shows_a_secret() -> None:
    found = account(ENVIRON)
    assert "secret/1+" not in repr(found) + repr(found.signing) + repr(found.faces)


def test_a_body_that_is_streamed_up_cannot_be_signed() -> None:
    with pytest.raises(UpstreamError) as refused:
        SigV4(KEYS).fields(Request(b"POST", b"/", [], None), b"h", 0)
    assert (refused.value.http_status, refused.value.code) == (400, "dialect_not_spoken")
