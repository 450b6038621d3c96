"""Where each face of a provider listens, whatever base URL is given, and what a call to it is signed with."""

from typing import Any

import pytest

from chatvault.config.schema import Config, ProviderConfig
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.core.errors import OperatorError
from chatvault.pricing.book import PriceBook
from chatvault.providers.resolve import resolve


def made(environ: dict[str, str] | None = None, **said: Any) -> ProviderSnapshot:
    """The account `box`."""
    config = Config(providers={"box": ProviderConfig(**said)})
    return resolve(config, environ or {}, False, None).providers["box"]


def urls(provider: ProviderSnapshot) -> dict[str, str]:
    return {family: face.base_url for family, face in provider.faces.items()}


@pytest.mark.parametrize(
    "said", ["http://gpu:1/a", "http://gpu:1/a/", "http://gpu:1/a/v1", "http://gpu:1/a/v1/"]
)
def test_anthropic_with_and_without_its_version(said: str) -> None:
    provider = made(kind="anthropic", base_url=said, api_key="k")
    assert urls(provider) == {"anthropic": "http://gpu:1/a/v1"}
    assert provider.base_url == "http://gpu:1/a/v1"
    assert provider.headers == {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    assert provider.headers == provider.faces["anthropic"].headers
    assert provider.dialects == ("anthropic.messages",)


@pytest.mark.parametrize("said", ["https://g.test", "https://g.test/v1beta", "https://g.test/v1beta/openai"])
def test_gemini_by_any_of_its_urls(said: str) -> None:
    provider = made(kind="gemini", base_url=said, api_key="k")
    assert urls(provider) == {"gemini": "https://g.test/v1beta", "openai": "https://g.test/v1beta/openai"}
    assert provider.faces["gemini"].headers == {"x-goog-api-key": "k"}
    assert provider.faces["openai"].headers == {"authorization": "Bearer k"}
    assert (provider.base_url, provider.headers) == (
        "https://g.test/v1beta/openai",
        {"authorization": "Bearer k"},
    )
    assert provider.dialects == ("gemini.generate", "gemini.embed", "openai.chat", "openai.embeddings")


@pytest.mark.parametrize("said", ["http://gpu:11434", "http://gpu:11434/v1"])
def test_ollama_speaks_three_families(said: str) -> None:
    provider = made(kind="ollama", base_url=said)
    assert urls(provider) == {
        "openai": "http://gpu:11434/v1",
        "ollama": "http://gpu:11434",
        "anthropic": "http://gpu:11434/v1",
    }
    assert provider.dialects[0] == "openai.chat"
    assert {"ollama.chat", "ollama.embed", "anthropic.messages"} < set(provider.dialects)


@pytest.mark.parametrize("said", ["unix:/run/o.sock:/v1", "unix:/run/o.sock"])
def test_a_unix_socket_has_faces_too(said: str) -> None:
    found = urls(made(kind="ollama", base_url=said))
    assert found["openai"] == found["anthropic"] == "unix:/run/o.sock:/v1"
    assert found["ollama"] in ("unix:/run/o.sock", "unix:/run/o.sock:")


@pytest.mark.parametrize("said", ["https://api.deepseek.com", "https://api.deepseek.com/v1", None])
def test_a_provider_that_documents_a_face_of_anthropics(said: str | None) -> None:
    provider = made(kind="deepseek", base_url=said, api_key="k")
    assert urls(provider) == {
        "openai": "https://api.deepseek.com/v1",
        "anthropic": "https://api.deepseek.com/anthropic/v1",
    }
    assert provider.faces["anthropic"].headers["x-api-key"] == "k"
    assert provider.headers == {"authorization": "Bearer k"}


def test_where_other_faces_are_is_not_guessed() -> None:
    provider = made(kind="deepseek", base_url="http://proxy/deepseek")
    assert urls(provider) == {"openai": "http://proxy/deepseek"}
    assert "anthropic.messages" not in provider.dialects


@pytest.mark.parametrize(
    ("kind", "anthropic"),
    [
        ("zai", "https://api.z.ai/api/anthropic/v1"),
        ("moonshot", "https://api.moonshot.ai/anthropic/v1"),
        ("dashscope", "https://dashscope-intl.aliyuncs.com/apps/anthropic/v1"),
        ("openrouter", "https://openrouter.ai/api/v1"),
    ],
)
def test_documented_faces(kind: str, anthropic: str) -> None:
    assert urls(made(kind=kind, api_key="k"))["anthropic"] == anthropic


def test_the_official_variables() -> None:
    environ = {"ANTHROPIC_API_KEY": "a", "ANTHROPIC_BASE_URL": "http://stand-in", "GEMINI_API_KEY": "g"}
    found = resolve(Config(), environ, False, None, models=PriceBook().models)
    assert list(found.providers) == ["anthropic", "gemini"]
    assert found.providers["anthropic"].base_url == "http://stand-in/v1"
    assert "claude-opus-4-1" in found.known["anthropic"]
    bearer = resolve(Config(), {"ANTHROPIC_AUTH_TOKEN": "t"}, False, None).providers["anthropic"]
    assert bearer.headers == {"authorization": "Bearer t", "anthropic-version": "2023-06-01"}
    assert bearer.base_url == "https://api.anthropic.com/v1"


def test_a_configured_header_is_the_credential_and_holds_over_the_rows() -> None:
    provider = made(
        {"ANTHROPIC_API_KEY": "not-this"},
        kind="anthropic",
        headers={"Authorization": "Bearer mine", "Anthropic-Version": "2099-01-01"},
    )
    assert provider.headers == {"authorization": "Bearer mine", "anthropic-version": "2099-01-01"}


AZURE = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/", "AZURE_OPENAI_API_KEY": "k"}


def test_azure_is_found_with_its_v1_path() -> None:
    found = resolve(Config(), AZURE, False, None, models=PriceBook().models)
    azure = found.providers["azure"]
    assert (azure.base_url, azure.headers) == ("https://r.openai.azure.com/openai/v1", {"api-key": "k"})
    assert (azure.path_style, azure.query, azure.price_id) == (None, "", "azure")
    assert found.known == {}  # it has what was deployed, under any name
    token = AZURE | {"AZURE_OPENAI_AD_TOKEN": "t", "AZURE_OPENAI_API_KEY": ""}
    assert resolve(Config(), token, False, None).providers["azure"].headers == {"authorization": "Bearer t"}


@pytest.mark.parametrize("said", ["https://r.test", "https://r.test/openai/v1/"])
def test_azure_with_a_dated_version(said: str) -> None:
    azure = made(kind="azure", base_url=said, api_key="k", api_version="2024-10-21")
    assert (azure.base_url, azure.faces["openai"].base_url) == ("https://r.test/openai",) * 2
    assert (azure.path_style, azure.query) == ("azure-deployments", "api-version=2024-10-21")
    preview = made(kind="azure", base_url=said, api_key="k", api_version="preview")
    assert (preview.base_url, preview.path_style) == ("https://r.test/openai/v1", None)
    assert preview.query == "api-version=preview"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"kind": "anthropic"}, "api_key: needed; set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN in"),
        ({"kind": "anthropic", "base_url": "https://api.anthropic.com/"}, "api_key: needed"),
        ({"kind": "azure", "api_key": "k"}, "base_url: set AZURE_OPENAI_ENDPOINT in the environment, or"),
        (
            {"kind": "azure", "base_url": "https://r.test"},
            "api_key: needed; set AZURE_OPENAI_API_KEY or AZURE",
        ),
        (
            {"kind": "azure", "base_url": "https://r.test", "api_key": "k", "api_version": "2024"},
            "api_version: '2024' is none of Azure's",
        ),
        ({"kind": "openai", "api_key": "k", "api_version": "2024-10-21"}, "api_version: only `kind: azure`"),
    ],
)
def test_what_is_wrong(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(OperatorError, match=f"providers.box: {problem}") as raised:
        made(**said)
    assert len(raised.value.message.splitlines()) == 1


def test_a_bearer_token_that_none_is_is_not_shown() -> None:
    with pytest.raises(OperatorError) as raised:
        resolve(Config(), {"ANTHROPIC_AUTH_TOKEN": "se cret"}, False, None)
    assert "cret" not in raised.value.message


def test_credentials_are_not_shown() -> None:
    provider = made(kind="gemini", api_key="sk-hidden")
    assert "sk-hidden" not in repr(provider)
    assert "sk-hidden" not in repr(provider.faces)
