"""Base URLs that are the gateway's own."""

import pytest

from chatvault.config.schema import Config, ProviderConfig, ServerConfig
from chatvault.core.errors import OperatorError
from chatvault.providers.resolve import resolve


def problem(url: str, host: str = "127.0.0.1", **environ: str) -> str | None:
    """What is wrong with a provider at that address, of a gateway that listens at `host`, ports 4000 and 4001."""
    box = {} if environ else {"box": ProviderConfig(base_url=url)}
    server = ServerConfig(host=host, port=4000, admin_host=host, admin_port=4001)
    try:
        resolve(Config(server=server, providers=box), environ, False, None)
    except OperatorError as error:
        return error.message
    return None


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:4000/v1", "127.0.0.1"),
        ("http://localhost:4000/v1", "127.0.0.1"),
        ("http://127.0.0.1:4001/v1", "127.0.0.1"),
        ("http://[::1]:4000/v1", "127.0.0.1"),
        ("http://localhost:4000/v1", "0.0.0.0"),
        ("http://0.0.0.0:4000/v1", "0.0.0.0"),
        ("http://gate.lan:4000/v1", "gate.lan"),
    ],
)
def test_its_own_address_is_a_problem(url: str, host: str) -> None:
    said = problem(url, host)
    assert said is not None
    assert said.startswith(f"providers.box: base_url: {url} is this gateway itself")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1"),
        ("http://10.0.0.5:4000/v1", "127.0.0.1"),
        ("http://127.0.0.1:4000/v1", "10.0.0.5"),
        ("https://api.example.com/v1", "0.0.0.0"),
        ("unix:/run/model.sock:/v1", "127.0.0.1"),
    ],
)
def test_another_address_is_none(url: str, host: str) -> None:
    assert problem(url, host) is None


@pytest.mark.parametrize(
    ("variable", "url", "key"),
    [
        ("OPENAI_BASE_URL", "http://127.0.0.1:4000/v1", "OPENAI_API_KEY"),
        ("ANTHROPIC_BASE_URL", "http://localhost:4000", "ANTHROPIC_API_KEY"),
        ("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:4000", "GEMINI_API_KEY"),
    ],
)
def test_a_variable_meant_for_clients_is_named(variable: str, url: str, key: str) -> None:
    said = problem("", **{variable: url, key: "cv-token"})
    assert said is not None
    assert f"{variable} says so in the environment, where it is meant for clients: unset it" in said


def test_a_vendors_own_address_is_known_as_that() -> None:
    config = Config(providers={"box": ProviderConfig(base_url="http://10.0.0.5:8000/v1")})
    own = resolve(config, {"OPENAI_API_KEY": "sk-1"}, True, None).providers
    assert {name: provider.vendor for name, provider in own.items()} == {
        "box": False, "openai": True, "ollama": False,
    }  # fmt: skip
    stand_in = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "https://stand-in.example/v1"}
    assert not resolve(Config(), stand_in, False, None).providers["openai"].vendor
