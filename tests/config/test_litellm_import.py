"""LiteLLM's configurations become ours: whole files against golden ones, which load and resolve; and what cannot be
carried over is named."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chatvault.config.litellm_import import import_litellm
from chatvault.config.litellm_kinds import KINDS, RESERVED, provider_of
from chatvault.config.load import load
from chatvault.config.schema import Config
from chatvault.config.snapshot import AwsKeys
from chatvault.config.yaml_text import Account, Ours, written
from chatvault.core.errors import OperatorError
from chatvault.providers.resolve import resolve
from chatvault.providers.rows import ROWS
from tests.control.token_endpoint import key_file

HERE = Path(__file__).parent / "litellm"
ENVIRON = {
    "OPENAI_API_KEY": "sk-o",
    "ANTHROPIC_API_KEY": "sk-a",
    "GEMINI_API_KEY": "g",
    "TOGETHERAI_API_KEY": "t",
    "HF_TOKEN": "h",
    "AZURE_API_KEY_EU": "eu",
    "AZURE_API_KEY_CA": "ca",
    "AZURE_API_KEY": "az",
    "AZURE_API_BASE": "https://third.openai.azure.com/",
    "VLLM_URL": "http://gpu:8000/v1",
    "TEAM_KEY": "team",
    "EDGE_API_BASE_URL": "http://edge/v1",
}


def loaded(text: str, tmp_path: Path, environ: dict[str, str] = ENVIRON) -> Config:
    file = tmp_path / "config.yaml"
    file.write_text(text, "utf-8")
    return load(file, environ, {})


def one(line: str, settings: str = "") -> str:
    return f"model_list:\n  - model_name: m\n    litellm_params: {line}\n{settings}"


@pytest.mark.parametrize("name", ["team", "azure", "local"])
def test_whole_files(name: str, tmp_path: Path) -> None:
    found = import_litellm((HERE / f"{name}.yaml").read_text("utf-8"), f"{name}.yaml")
    assert found.text == (HERE / f"{name}.ours.yaml").read_text("utf-8")
    for line in found.left:
        assert f"##   {line}\n" in found.text
    snapshot = resolve(loaded(found.text, tmp_path), ENVIRON, False, None)
    assert snapshot.models


@pytest.mark.parametrize("name", ["team", "azure", "local"])
def test_what_is_left_shows_no_secret(name: str) -> None:
    left = "\n".join(import_litellm((HERE / f"{name}.yaml").read_text("utf-8"), name).left)
    for secret in ("sk-1234-master", "user:pass", "very-secret", "sk-in-the-file"):
        assert secret not in left


def test_accounts_of_vertex(tmp_path: Path) -> None:
    found = import_litellm((HERE / "vertex.yaml").read_text("utf-8"), "vertex.yaml")
    assert found.text == (HERE / "vertex.ours.yaml").read_text("utf-8")
    file = tmp_path / "key.json"
    file.write_text(key_file(), "utf-8")
    text = found.text.replace("/run/secrets/other.json", str(file))
    config = loaded(text, tmp_path, ENVIRON | {"VERTEX_KEY_FILE": str(file)})
    snapshot = resolve(config, {}, False, None)
    assert "/projects/acme-llm/locations/eu" in snapshot.providers["vertex"].base_url
    assert "/projects/acme-llm/locations/us-central1" in snapshot.providers["vertex-2"].base_url
    inline = import_litellm(one("{model: vertex_ai/gemini-2.5-pro, vertex_credentials: '{\"a\": 1}'}"), "x")
    assert 'credentials: "{\\"a\\": 1}"' in inline.text


def test_accounts_of_bedrock(tmp_path: Path) -> None:
    found = import_litellm((HERE / "bedrock.yaml").read_text("utf-8"), "bedrock.yaml")
    assert found.text == (HERE / "bedrock.ours.yaml").read_text("utf-8")
    own = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    keys = {"TEAM_AWS_KEY": "AKIA1", "TEAM_AWS_SECRET": "s", "TEAM_BEDROCK_KEY": "ABSKk"}
    snapshot = resolve(loaded(found.text, tmp_path, keys), own, False, None)
    assert snapshot.providers["bedrock"].signing == AwsKeys(
        region="us-east-1", access_key_id="AKIA1", secret_access_key="s"
    )
    assert snapshot.providers["bedrock-3"].base_url == "https://vpce-1.example.com"
    assert snapshot.providers["bedrock-3"].headers["authorization"] == "Bearer ABSKk"


def test_where_calls_go(tmp_path: Path) -> None:
    text = import_litellm((HERE / "azure.yaml").read_text("utf-8"), "x").text
    snapshot = resolve(loaded(text, tmp_path), ENVIRON, False, None)
    first, second, third = (snapshot.providers[name] for name in ("azure", "azure-2", "azure-3"))
    assert (first.base_url, first.query) == ("https://eu.openai.azure.com/openai", "api-version=2024-10-21")
    assert first.headers == {"api-key": "eu"}
    assert (second.base_url, second.path_style) == ("https://ca.openai.azure.com/openai/v1", None)
    assert third.base_url == "https://third.openai.azure.com/openai/v1"
    text = import_litellm((HERE / "local.yaml").read_text("utf-8"), "x").text
    snapshot = resolve(loaded(text, tmp_path), ENVIRON, False, None)
    assert snapshot.providers["192.168.1.5"].headers == {"authorization": "Bearer sk-local${x}"}
    assert snapshot.providers["ollama"].faces["ollama"].base_url == "http://localhost:11434"
    assert snapshot.providers["openai-server"].kind == "openai-compatible"  # not taken for OpenAI's own
    assert snapshot.providers["openai-server"].timeouts.first_byte == 12.5
    assert snapshot.providers["my"].headers["x-key"] == "team"
    assert snapshot.prices["192.168.1.5/mistralai/Pixtral-12B-2409"] == {
        "input": 150_000,
        "output": 150_000,
        "output_audio": 1_000_000,
    }


def test_the_kinds_are_there() -> None:
    assert {kind.name for kind in KINDS.values()} <= set(ROWS)
    assert set(ROWS) == RESERVED


@pytest.mark.parametrize(
    ("model", "said", "found"),
    [
        ("openai/gpt-4o", None, ("openai", "gpt-4o")),
        ("gpt-4o", None, ("openai", "gpt-4o")),
        ("o3-mini", None, ("openai", "o3-mini")),
        ("claude-3-haiku", None, ("anthropic", "claude-3-haiku")),
        ("openai/responses/gpt-5", None, ("openai", "gpt-5")),
        ("openrouter/openai/gpt-4o", None, ("openrouter", "openai/gpt-4o")),
        ("mistralai/Pixtral", "openai", ("openai", "mistralai/Pixtral")),
        ("openai/x", "openai", ("openai", "x")),
        ("huggingface/together/org/model", None, ("huggingface", "org/model:together")),
        ("huggingface/org/model", None, ("huggingface", "org/model")),
        ("command-r", None, (None, "command-r")),
        ("Org/model", None, (None, "Org/model")),
    ],
)
def test_providers_of_models(model: str, said: str | None, found: tuple[str | None, str]) -> None:
    assert provider_of(model, said) == found


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (one("{model: openai/x, api_key: k}"), ()),
        (
            one("{model: sagemaker/x, api_key: k}"),
            ("model_list[0] (m): there is no provider 'sagemaker' here yet",),
        ),
        (one("{model: os.environ/MODEL}"), ("model_list[0] (m): its provider cannot be told",)),
        (
            one("{model: openai/x, output_cost_per_token: 0.1}"),
            ("model_list[0] (m): its price has no input_cost_per_token",),
        ),
        (
            one("{model: openai/x, input_cost_per_token: dear}"),
            ("model_list[0] (m): input_cost_per_token is no amount that whole pico-dollars can say",),
        ),
        (
            one("{model: openai/x, weight: 2}"),
            ("model_list[0].litellm_params.weight: a name leads to one target here",),
        ),
        (
            one("{model: openai/x, api_version: 2}"),
            ("model_list[0].litellm_params.api_version: there is no such setting here",),
        ),
        (one("{model: openai/x}", "general_settings: {enforce_user_param: false, port: }"), ()),
        (
            one("{model: openai/x}", "finetune_settings: {a: 1}"),
            ("finetune_settings: there is no such setting here",),
        ),
        ('"a\\nb": 1\nmodel_list: []', (r"'a\nb': there is no such setting here",)),
    ],
)
def test_what_is_left(text: str, left: tuple[str, ...], tmp_path: Path) -> None:
    found = import_litellm(text, "litellm.yaml")
    assert tuple(line.replace("model_list[0]: ", "model_list[0] (m): ") for line in found.left) == left
    loaded(found.text, tmp_path)


def test_nothing_to_carry_is_a_configuration_too(tmp_path: Path) -> None:
    assert loaded(import_litellm("model_list:\n", "x").text, tmp_path) == Config()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1", "litellm.yaml:1: "),
        ("- model_list", "litellm.yaml: a configuration of LiteLLM's is a mapping"),
        ("model_list: many", "litellm.yaml: a configuration of LiteLLM's is a mapping"),
        ("a: !!python/object/apply:os.getcwd []", "litellm.yaml:1: could not determine a constructor"),
        ("a: \x00", "litellm.yaml cannot be read"),
    ],
)
def test_what_is_none(text: str, problem: str) -> None:
    with pytest.raises(OperatorError) as raised:
        import_litellm(text, "litellm.yaml")
    assert raised.value.message.startswith(problem)


def test_a_file_that_explodes_does_not() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30))
    assert len(import_litellm(f"l0: &l0 [x]\n{levels}\nmodel_list: []", "x").left) == 30


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_whatever_a_value_is_it_comes_back(text: str) -> None:
    ours = Ours(accounts={"box": Account("openai", base_url="http://x", api_key=text.replace("${", "$${"))})
    node = yaml.compose(written(ours, "x", ()))
    assert node is not None
    ((_, providers),) = node.value
    ((_, box),) = providers.value
    assert box.value[-1][1].value == text.replace("${", "$${")
