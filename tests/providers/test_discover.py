import pytest

from chatvault.config.schema import ProviderConfig
from chatvault.providers.discover import discover
from chatvault.providers.rows import ROWS


def test_nothing_set_nothing_found() -> None:
    assert (
        discover({"PATH": "/bin", "GITHUB_TOKEN": "ghp", "OPENAI_API_KEY": " ", "CLOUDFLARE_API_TOKEN": "cf"})
        == {}
    )


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.key_env and not row.local])
def test_a_key_is_enough(name: str) -> None:
    row = ROWS[name]
    own = {} if row.root is not None else {row.base_url_env: "https://own.example.com"}
    found = discover({row.key_env[0]: "sk-1\n", "CLOUDFLARE_ACCOUNT_ID": "acc"} | own)
    assert list(found) == [name]
    assert (found[name].kind, found[name].api_key) == (name, "sk-1")
    address = (row.address or "https://own.example.com").replace("{CLOUDFLARE_ACCOUNT_ID}", "acc")
    assert found[name].base_url == address


def test_the_first_key_that_is_set_counts() -> None:
    assert discover({"CO_API_KEY": "old"})["cohere"].api_key == "old"
    assert discover({"CO_API_KEY": "old", "COHERE_API_KEY": "new"})["cohere"].api_key == "new"


def test_a_token_that_goes_as_a_bearer_is_enough() -> None:
    assert list(discover({"ANTHROPIC_AUTH_TOKEN": "t"})) == ["anthropic"]
    azure = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/", "AZURE_OPENAI_AD_TOKEN": "t"}
    assert list(discover(azure)) == ["azure"]


@pytest.mark.parametrize(
    "environ",
    [
        {"AZURE_OPENAI_API_KEY": "k"},
        {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"},
        {"ANTHROPIC_BASE_URL": "https://api.anthropic.com"},  # set for other programs that sign in otherwise
        {"OPENAI_BASE_URL": "https://api.openai.com/v1/"},
        {"GOOGLE_GEMINI_BASE_URL": "https://generativelanguage.googleapis.com/v1beta"},
    ],
)
def test_half_of_what_is_needed_is_nothing(environ: dict[str, str]) -> None:
    assert discover(environ) == {}


def test_the_keys_of_gemini() -> None:
    assert discover({"GOOGLE_API_KEY": "g"})["gemini"].api_key == "g"
    assert discover({"GOOGLE_API_KEY": "g", "GEMINI_API_KEY": "m"})["gemini"].api_key == "m"


def test_base_urls_by_the_names_of_the_official_libraries() -> None:
    found = discover({"OPENAI_API_KEY": "sk", "OPENAI_BASE_URL": "https://eu.api.openai.com/v1"})
    assert found["openai"].base_url == "https://eu.api.openai.com/v1"
    found = discover({"TOGETHER_BASE_URL": "http://127.0.0.1:9/v1", "GROQ_BASE_URL": "http://127.0.0.1:8/v1"})
    assert found == {
        "groq": ProviderConfig(kind="groq", base_url="http://127.0.0.1:8/v1"),
        "together": ProviderConfig(kind="together", base_url="http://127.0.0.1:9/v1"),
    }


def test_a_server_of_ones_own_is_found_by_its_url_and_not_by_a_key() -> None:
    assert discover({"VLLM_API_KEY": "x"}) == {}
    found = discover({"VLLM_API_KEY": "x", "VLLM_BASE_URL": "http://gpu:8000/v1"})
    assert found == {"vllm": ProviderConfig(kind="vllm", base_url="http://gpu:8000/v1", api_key="x")}
