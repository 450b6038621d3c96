"""The configuration, checked and shown from the shell."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from chatvault.core.errors import OperatorError
from chatvault.providers.rows import ROWS

Run = Callable[..., Result]
FILE = """\
server:
  port: 4040
  drain_timeout: 5s
providers:
  openai:
    api_key: sk-not-for-eyes
    headers: {x-trace-key: also-secret}
    proxy: http://user:hidden@127.0.0.1:3128
  box:
    base_url: http://127.0.0.1:8000/v1
webhooks: {url: "https://hooks.example:8443/path-secret?key=1", secret: webhook-secret-0123}
models:
  fast: {provider: openai, model: gpt-4o-mini}
prices:
  box/*: {input: "0.5"}
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No provider and no setting but those of the test."""
    for row in ROWS.values():
        for name in row.variables:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def test_none_is_needed(chatvault: Run) -> None:
    done = chatvault("config", "check")
    assert done.exit_code == 0
    assert "none is needed" in done.stdout
    assert "started with the gateway" in done.stdout


def test_a_sound_one(chatvault: Run, file: Path) -> None:
    said = chatvault("config", "check").stdout
    assert "config.yaml is sound" in said
    assert "https://api.openai.com/v1" in said
    assert "http://127.0.0.1:8000/v1" in said
    assert "-> openai/gpt-4o-mini" in said
    assert "goes to openai" in said
    found = json.loads(chatvault("config", "check", "--json", "--config", str(file)).stdout)
    assert found["ok"]
    assert found["models"] == {"fast": "openai/gpt-4o-mini"}
    assert [one["name"] for one in found["providers"]] == ["openai", "box"]
    assert found["providers"][0]["known_models"] > 10


def test_a_wrong_one(chatvault: Run, file: Path) -> None:
    file.write_text(FILE.replace("port:", "prot:"))
    done = chatvault("config", "check")
    assert isinstance(done.exception, OperatorError)
    assert "config.yaml:2" in done.exception.message
    machine = chatvault("config", "check", "--json")
    assert machine.exit_code == 2
    said = json.loads(machine.stdout)
    assert not said["ok"]
    assert "port" in said["problems"][0]


def test_show_is_whole_and_keeps_secrets(chatvault: Run, file: Path) -> None:
    text = chatvault("config", "show")
    machine = chatvault("config", "show", "--json")
    for done in (text, machine):
        for secret in ("sk-not-for-eyes", "also-secret", "hidden", "path-secret", "webhook-secret"):
            assert secret not in done.stdout
    shown = json.loads(machine.stdout)
    assert shown == yaml.safe_load(text.stdout)
    assert shown["server"]["port"] == 4040
    assert shown["server"]["drain_timeout"] == 5
    assert shown["audit"]["bodies"] == "none"
    assert shown["budgets"] == {"thresholds": [50, 80, 100]}
    assert shown["webhooks"] == {
        "url": "https://hooks.example:8443/***",
        "secret": "***",
        "allow_private": False,
    }
    assert shown["providers"]["openai"]["headers"] == {"x-trace-key": "***", "authorization": "***"}
    assert shown["providers"]["openai"]["proxy"] == "http://127.0.0.1:3128"
    assert shown["prices"]["box/*"] == {"input": "0.5"}


def test_import_from_litellm(chatvault: Run, tmp_path: Path) -> None:
    theirs = tmp_path / "litellm.yaml"
    theirs.write_text(
        "model_list:\n"
        "  - model_name: fast\n"
        "    litellm_params: {model: openai/gpt-4o-mini, api_key: sk-1, rpm: 6}\n"
        "general_settings: {master_key: sk-never-shown}\n"
    )
    done = chatvault("config", "import", "litellm", str(theirs))
    assert done.exit_code == 0
    assert "Not carried over:\n  model_list[0].litellm_params.rpm: " in done.stderr
    assert "  general_settings.master_key: " in done.stderr
    assert "sk-never-shown" not in done.output
    (tmp_path / "config.yaml").write_text(done.stdout)
    assert "-> openai/gpt-4o-mini" in chatvault("config", "check").stdout
    theirs.write_text("model_list: []")
    assert chatvault("config", "import", "litellm", str(theirs)).stderr == "All of it was carried over.\n"


def test_import_says_what_is_wrong(chatvault: Run, tmp_path: Path) -> None:
    done = chatvault("config", "import", "litellm", str(tmp_path / "none.yaml"))
    assert isinstance(done.exception, OperatorError)
    assert "none.yaml cannot be read" in done.exception.message


def test_show_says_what_providers_speak(chatvault: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "sk-hidden-too")
    shown = chatvault("config", "show", "--json").stdout
    assert "sk-hidden-too" not in shown
    gemini = json.loads(shown)["providers"]["gemini"]
    assert gemini["faces"]["gemini"] == "https://generativelanguage.googleapis.com/v1beta"
    assert gemini["dialects"][0] == "gemini.generate"


def test_keys_of_the_vault_are_not_missed_and_a_command_keeps_its_words(chatvault: Run, file: Path) -> None:
    file.write_text(
        "providers:\n  openai: {vault_only: true}\n"
        "secrets: {master_key_command: [vault-tool, --pin, hidden-pin-1234]}\n"
    )
    done = chatvault("config", "check")
    assert done.exit_code == 0
    assert "keys of the vault" in done.stdout
    shown = chatvault("config", "show", "--json").stdout
    assert "hidden-pin" not in shown
    assert json.loads(shown)["secrets"]["master_key_command"] == ["vault-tool", "***", "***"]
    assert json.loads(shown)["providers"]["openai"]["vault_only"] is True
