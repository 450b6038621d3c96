"""The models that can be called, from the shell."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from chatvault.core.errors import NotFound
from chatvault.providers.rows import ROWS

Run = Callable[..., Result]
FILE = """\
providers:
  openai: {api_key: sk-not-for-eyes}
  box: {base_url: "http://127.0.0.1:8000/v1"}
models:
  fast: {provider: openai, model: gpt-4o-mini}
  own: {provider: box, context: 32768, output: 4096, inputs: [text, image], tools: true, retires: 2027-01-01}
  bare: {provider: box, model: nothing-known}
prices:
  box/own: {input: "0.5", output: 2, request: "0.01"}
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No provider and no setting but those of the test."""
    for row in ROWS.values():
        for name in row.variables:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(FILE)


def test_a_table(chatvault: Run) -> None:
    lines = chatvault("models").stdout.splitlines()
    assert lines[0].split()[:4] == ["MODEL", "PROVIDER", "CONTEXT", "OUTPUT"]
    by_name = {line.split()[0]: line.split() for line in lines[1:]}
    assert by_name["own"] == ["own", "box", "32,768", "4,096", "0.50", "2.00", "image,", "tools"]
    assert by_name["fast"][:6] == ["fast", "openai", "128,000", "16,384", "0.15", "0.60"]
    assert by_name["bare"] == ["bare", "box", "?", "?", "?", "?"]
    assert "openai/gpt-4o" in by_name


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("own", ["own"]), ("OW", ["own"]), ("*ow*", ["own"]), ("o*wn", ["own"]), ("fas*", ["fast"])],
)
def test_a_pattern(chatvault: Run, pattern: str, names: list[str]) -> None:
    found = json.loads(chatvault("models", pattern, "--json").stdout)["models"]
    assert [one["model"] for one in found] == names


def test_a_pattern_that_fits_none(chatvault: Run) -> None:
    done = chatvault("models", "nonesuch")
    assert isinstance(done.exception, NotFound)
    assert "nonesuch" in done.exception.message


def test_for_machines(chatvault: Run) -> None:
    said = json.loads(chatvault("models", "own", "--json").stdout)
    assert said["sources"][0].startswith("genai-prices ")
    (own,) = said["models"]
    assert own == {
        "model": "own", "provider": "box", "target": "own", "name": None, "kind": None, "context": 32_768, "input": None,
        "output": 4_096, "inputs": ["text", "image"], "outputs": None, "tools": True, "reasoning": None,
        "structured_output": None, "released": None, "knowledge": None, "retires": "2027-01-01", "deprecated": False,
        "capabilities": ["image", "tools"], "free": False,
        "prices": {"input": "0.50", "output": "2.00", "request": "0.01"},
    }  # fmt: skip


def test_a_day_that_is_none(chatvault: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("models: {a: {provider: openai, released: yesterday}}")
    done = chatvault("models")
    assert "models.a.released" in str(done.exception)
