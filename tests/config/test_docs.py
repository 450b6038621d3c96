"""The examples and the documentation hold every setting, every variable and every provider, and say what is
so."""

import re
from pathlib import Path

import msgspec
import pytest

from chatvault.config.env import env_settings, parse_dotenv
from chatvault.config.load import load
from chatvault.config.schema import (
    AuditConfig,
    BudgetsConfig,
    Config,
    ModelConfig,
    PriceConfig,
    ProviderConfig,
    ServerConfig,
    Timeouts,
    WebhooksConfig,
)
from chatvault.config.units import duration_text, size_text
from chatvault.providers.resolve import resolve
from chatvault.providers.rows import ROWS
from tests.control.token_endpoint import key_file

ROOT = Path(__file__).parents[2]
ENVIRON = {"OPENAI_API_KEY": "sk-1", "GPU_CA_FILE": "ca.pem", "VERTEX_CREDENTIALS_FILE": "key.json"}
OWN = {
    "azure": "https://your-resource.openai.azure.com",
    "vertex": "https://us-east5-aiplatform.googleapis.com",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com",
}
"""Addresses of providers that have one for each operator."""
SETTINGS = list(env_settings())
VARIABLES = sorted({name for row in ROWS.values() for name in row.variables})


@pytest.fixture(scope="module")
def example() -> str:
    return (ROOT / "config.example.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def dotenv() -> str:
    return (ROOT / ".env.example").read_text("utf-8")


@pytest.fixture(scope="module")
def manual() -> str:
    return (ROOT / "docs" / "configuration.md").read_text("utf-8")


def uncommented(example: str) -> str:
    """The example with its examples: lines with one # are taken in, in place of the empty sections before
    them."""
    taken = re.sub(r"^# ", "", example, flags=re.MULTILINE)
    return re.sub(r"^(providers|models|prices): \{\}\n", "", taken, flags=re.MULTILINE)


def test_the_example_is_the_defaults() -> None:
    assert load(ROOT / "config.example.yaml", {}, {}) == Config()


def test_the_example_names_every_setting(example: str) -> None:
    lines = set(re.findall(r"^ *(\w+):", example, flags=re.MULTILINE))
    for whole in (Config, ServerConfig, BudgetsConfig, WebhooksConfig, AuditConfig):
        assert {field.name for field in msgspec.structs.fields(whole)} <= lines
    examples = uncommented(example)
    for section in (ProviderConfig, ModelConfig, PriceConfig, Timeouts):
        for field in msgspec.structs.fields(section):
            assert re.search(rf"[ {{]{field.name}:", examples), field.name


def test_its_examples_load(example: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(uncommented(example), "utf-8")
    config = load(file, ENVIRON, {})
    assert set(config.providers) == {
        "openai",
        "openai-research",
        "azure",
        "vertex",
        "bedrock",
        "tail",
        "gpu-box",
        "local",
    }
    assert config.providers["openai"].timeouts == Timeouts()
    assert config.prices["openai-research/gpt-4o"].input == "2.50"
    key = tmp_path / "key.json"
    key.write_text(key_file(), "utf-8")
    vertex = msgspec.structs.replace(config.providers["vertex"], credentials_file=str(key))
    tail = msgspec.structs.replace(config.providers["tail"], base_url="unix:/run/litellm0.sock:/v1")
    without_ca = msgspec.structs.replace(config.providers["gpu-box"], ca_file=None)
    snapshot = resolve(
        msgspec.structs.replace(
            config, providers=config.providers | {"gpu-box": without_ca, "vertex": vertex, "tail": tail}
        ),
        ENVIRON,
        False,
        None,
    )
    assert snapshot.providers["local"].base_url == "unix:/run/llm.sock:/v1"
    assert snapshot.prices["openai-research/gpt-4o"]["output_audio"] == 80_000_000


def test_the_dotenv_example_names_every_variable_and_sets_none(dotenv: str) -> None:
    assert parse_dotenv(dotenv, ".env.example") == {}
    named = parse_dotenv(re.sub(r"^#(?=[A-Z])", "", dotenv, flags=re.MULTILINE), ".env.example")
    wanted = {setting.variable for setting in SETTINGS} | set(VARIABLES)
    others = {
        "CHATVAULT_CONFIG",
        "CLOUDFLARE_ACCOUNT_ID",
        "OLLAMA_HOST",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
    }
    assert named.keys() == wanted | others
    for row in ROWS.values():
        if row.base_url_env:
            url = row.address or OWN[row.name]
            url = url.replace("{CLOUDFLARE_ACCOUNT_ID}", "your-account")
            assert named[row.base_url_env] == url
    settings = {
        name: value
        for name, value in named.items()
        if name.startswith("CHATVAULT_") and name[10:] != "CONFIG"
    }
    assert load(None, {"CHATVAULT_CONFIG": str(ROOT / "config.example.yaml")} | settings, {}) == Config()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_the_manual_says_key_default_and_variable(setting: object, manual: str) -> None:
    (found,) = (known for known in SETTINGS if known is setting)
    (line,) = (line for line in manual.splitlines() if line.startswith(f"| `{found.key}` |"))
    assert f"`{found.variable}`" in line
    default = found.default
    forms = {f"`{default}`"}
    if default is None or default == ():
        forms = {"not set", "none"}
    elif isinstance(default, tuple):
        forms = {f"`{', '.join(map(str, default))}`"}
    elif isinstance(default, bool):
        forms = {f"`{str(default).lower()}`"}
    elif isinstance(default, float):
        forms = {f"`{duration_text(default)}`"}
    elif isinstance(default, int):
        forms |= {f"`{size_text(default)}`"}
    assert line.split("|")[2].strip() in forms


@pytest.mark.parametrize(
    "section", [ProviderConfig, ModelConfig, PriceConfig, Timeouts], ids=lambda kind: kind.__name__
)
def test_the_manual_says_what_stands_under_names(section: type[msgspec.Struct], manual: str) -> None:
    for field in msgspec.structs.fields(section):
        name = f"timeouts.{field.name}" if section is Timeouts else field.name
        if name != "timeouts":
            assert f"\n| `{name}` |" in manual


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_the_manual_says_every_provider(row: object, manual: str) -> None:
    (found,) = (known for known in ROWS.values() if known is row)
    if not found.base_url_env:
        assert f"`{found.name}` is" in manual
        return
    (line,) = (line for line in manual.splitlines() if line.startswith(f"| [{found.name}]({found.docs}) |"))
    for fact in (*found.variables, found.address):
        assert fact is None or f"`{fact}`" in line
    assert f"| {', '.join(found.faces)} |" in line
    assert ("| asked for |" in line) == found.stream_usage
    assert line.endswith(
        "| free |" if found.local else f"| `{found.price_id}` |" if found.price_id else "| not known |"
    )
