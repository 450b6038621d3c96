"""Where calls to Vertex AI go, and what a key file has to be."""

import json
from pathlib import Path

import msgspec
import pytest

from chatvault.config.schema import Config, ModelConfig, ProviderConfig
from chatvault.config.snapshot import LentToken, ProviderSnapshot
from chatvault.core.errors import OperatorError
from chatvault.providers.google_account import GoogleAccount
from chatvault.providers.resolve import google_accounts, resolve
from chatvault.providers.vertex import anthropic_path, host_of
from tests.control.token_endpoint import EMAIL, PROJECT, REFRESH, key_file, pem, user_file

PLACE = "projects/acme-llm/locations"


def provider(**said: object) -> ProviderSnapshot:
    account = msgspec.convert({"kind": "vertex"} | said, ProviderConfig)
    return resolve(Config(providers={"v": account}), {}, False, None).providers["v"]


def problems(**said: object) -> list[str]:
    with pytest.raises(OperatorError) as raised:
        provider(**said)
    return [line.removeprefix("providers.v: ") for line in raised.value.message.splitlines()]


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("us-east5", "us-east5-aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_a_location_has_its_host(location: str, host: str) -> None:
    assert host_of(location) == host
    found = provider(location=location, credentials=key_file())
    assert found.faces["anthropic"].base_url == f"https://{host}/v1/{PLACE}/{location}/publishers/anthropic"
    assert found.faces["gemini"].base_url == f"https://{host}/v1/{PLACE}/{location}/publishers/google"
    assert found.faces["openai"].base_url == f"https://{host}/v1/{PLACE}/{location}/endpoints/openapi"
    assert (found.signing, found.headers, found.price_id) == (LentToken(), {}, "google")


@pytest.mark.parametrize(
    ("said", "root"),
    [
        ({"base_url": "http://127.0.0.1:9"}, f"http://127.0.0.1:9/v1/{PLACE}/global"),
        ({"base_url": "http://127.0.0.1:9/v1beta1/"}, f"http://127.0.0.1:9/v1beta1/{PLACE}/global"),
        (
            {"base_url": "https://p.example/v1/projects/x/locations/y"},
            "https://p.example/v1/projects/x/locations/y",
        ),
        (
            {"project": "other", "location": "eu"},
            "https://aiplatform.eu.rep.googleapis.com/v1/projects/other/locations/eu",
        ),
    ],
)
def test_what_an_address_says_is_kept(said: dict[str, str], root: str) -> None:
    assert provider(credentials=key_file(), **said).faces["gemini"].base_url == f"{root}/publishers/google"


def test_the_environment_says_what_the_configuration_does_not(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(user_file(quota_project_id=""))
    environ = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(file),
        "GOOGLE_CLOUD_PROJECT": "from-env",
        "GOOGLE_CLOUD_REGION": "us-east5",
    }
    found = resolve(Config(), environ, False, None)
    assert found.default_provider == "vertex"
    assert found.providers["vertex"].base_url.startswith(
        "https://us-east5-aiplatform.googleapis.com/v1/projects/from-env/locations/us-east5/"
    )
    account = google_accounts(Config(), environ, found)["vertex"]
    assert (account.kind, account.refresh_token) == ("authorized_user", REFRESH)
    for missing in environ:
        assert "vertex" not in resolve(Config(), environ | {missing: ""}, False, None).providers
    meant = environ | {"GOOGLE_CLOUD_REGION": "", "GOOGLE_GENAI_USE_VERTEXAI": "true"}
    assert "/locations/global" in resolve(Config(), meant, False, None).providers["vertex"].base_url
    file.write_text(
        '{"type":"external_account"}'
    )  # credentials for something else do not keep the gateway from starting
    assert "vertex" not in resolve(Config(), environ, False, None).providers


def test_a_key_of_express_mode_needs_no_project() -> None:
    found = provider(api_key="k")
    assert found.faces["gemini"].base_url == "https://aiplatform.googleapis.com/v1/publishers/google"
    assert (found.faces["gemini"].headers, found.signing) == ({"x-goog-api-key": "k"}, None)
    assert resolve(Config(), {"VERTEX_API_KEY": "k"}, False, None).providers["vertex"].headers == {
        "x-goog-api-key": "k"
    }
    own = provider(project="p", headers={"Authorization": "Bearer mine"})
    assert (own.headers, own.signing) == ({"authorization": "Bearer mine"}, None)


def test_what_is_wrong_is_said_and_nothing_secret_with_it(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.json")
    cases: list[tuple[dict[str, object], str]] = [
        ({}, "credentials_file: needed; set it, or GOOGLE_APPLICATION_CREDENTIALS"),
        ({"credentials": key_file(project_id="")}, "project: needed; set it, or GOOGLE_CLOUD_PROJECT"),
        ({"credentials": key_file(), "location": "us east"}, "location: 'us east'"),
        ({"credentials": key_file(), "project": "a/b"}, "project: 'a/b'"),
        ({"credentials": "not JSON"}, "credentials: is no key file"),
        ({"project": "p", "credentials_file": absent}, "credentials_file: " + absent + ": No such file"),
        ({"credentials": key_file(), "credentials_file": absent}, "there is a credentials_file, too"),
        ({"credentials": key_file(private_key="")}, "has no private_key"),
        ({"credentials": user_file(refresh_token="")}, "has no refresh_token"),
        ({"credentials": json.dumps({"type": "external_account"})}, "is of type 'external_account'"),
        ({"credentials": key_file(token_uri="https://evil.example/token")}, "elsewhere than to Google"),
        ({"credentials": key_file(token_uri="http://oauth2.googleapis.com/token")}, "elsewhere than to Google"),
        ({"credentials": key_file(token_uri="https://oauth2.googleapis.com.evil.example/")}, "elsewhere than to Google"),
        ({"credentials": key_file(), "token_url": "ftp://x"}, "token_url: not a URL"),
    ]  # fmt: skip
    for said, message in cases:
        found = problems(**said)
        assert any(message in line for line in found), (message, found)
        assert not any(pem()[40:60] in line or REFRESH in line for line in found)
    with pytest.raises(OperatorError, match=r"providers.o: location: only `kind: vertex` has one"):
        resolve(Config(providers={"o": ProviderConfig(kind="openai", location="eu")}), {}, False, None)


def test_the_operator_may_have_tokens_exchanged_anywhere() -> None:
    config = Config(
        providers={
            "v": ProviderConfig(
                kind="vertex", credentials=key_file(), token_url="http://127.0.0.1:9/t", proxy="box:3128"
            )
        }
    )
    snapshot = resolve(config, {}, False, None)
    account = google_accounts(config, {}, snapshot)["v"]
    assert account == GoogleAccount(
        kind="service_account",
        token_url="http://127.0.0.1:9/t",
        project=PROJECT,
        client_email=EMAIL,
        private_key=pem(),
        private_key_id=account.private_key_id,
        proxy="http://box:3128",
    )
    assert "PRIVATE KEY" not in repr(snapshot) + str(snapshot.providers["v"])


def test_no_snapshot_holds_a_key_file(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(key_file())
    config = Config(
        providers={"v": ProviderConfig(kind="vertex", credentials_file=str(file))},
        models={"claude": ModelConfig(provider="v", model="claude-sonnet-4-5")},
    )
    sent = msgspec.json.encode(resolve(config, {}, False, None))
    assert b"PRIVATE KEY" not in sent
    assert EMAIL.encode() not in sent


def test_a_key_file_that_is_gone_at_a_reload_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(key_file())
    config = Config(providers={"v": ProviderConfig(kind="vertex", credentials_file=str(file))})
    snapshot = resolve(config, {}, False, None)
    file.unlink()
    with pytest.raises(OperatorError, match=r"providers\.v: credentials_file"):
        google_accounts(config, {}, snapshot)


@pytest.mark.parametrize(
    ("model", "dialects"),
    [
        ("gemini-2.5-pro", ("gemini.generate",)),
        ("claude-sonnet-4-5@20250929", ("anthropic.messages",)),
        ("meta/llama-3.3-70b-instruct-maas", ("openai.chat",)),
        (None, ("openai.chat", "gemini.generate", "anthropic.messages")),
    ],
)
def test_a_model_is_asked_in_its_publishers_dialect(model: str | None, dialects: tuple[str, ...]) -> None:
    found = provider(credentials=key_file())
    assert set(found.dialects_of(model)) == set(dialects)
    assert all(dialect.partition(".")[0] in found.families(model) for dialect in dialects)


@pytest.mark.parametrize(
    ("path", "model", "stream", "target"),
    [
        (b"/messages", "claude-3-7-sonnet@20250219", False, b"/models/claude-3-7-sonnet@20250219:rawPredict"),
        (b"/messages", "claude-opus-4-1", True, b"/models/claude-opus-4-1:streamRawPredict"),
        (b"/messages", "claude-../x?y", False, b"/models/claude-..%2Fx%3Fy:rawPredict"),
        (b"/messages/count_tokens", "claude-opus-4-1", False, b"/models/count-tokens:rawPredict"),
        (b"/messages/batches", None, False, b"/messages/batches"),
    ],
)
def test_anthropics_paths_below_googles(path: bytes, model: str | None, stream: bool, target: bytes) -> None:
    assert anthropic_path(path, model, stream) == target
