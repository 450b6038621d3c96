"""The command as a whole: it is light, it lists what there is, and it says what went wrong."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import Result

from chatvault.cli.main import app

HEAVY = (
    "aiosqlite",
    "alembic",
    "cryptography",
    "fastapi",
    "openai",
    "pydantic",
    "rich",
    "sqlalchemy",
    "uvicorn",
    "yaml",
)
COMMANDS = (
    "serve",
    "demo",
    "usage",
    "limits",
    "logs",
    "explain",
    "models",
    "fake",
    "bench",
    "version",
    "token",
    "project",
    "user",
    "budget",
    "key",
    "audit",
    "config",
)


def commands(group: Typer = app, above: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Every command there is, as the words that name it."""
    for one in group.registered_commands:
        assert one.name is not None
        yield [*above, one.name]
    for inner in group.registered_groups:
        assert inner.name is not None
        assert inner.typer_instance is not None
        yield [*above, inner.name]
        yield from commands(inner.typer_instance, (*above, inner.name))


def test_help_lists_every_command(chatvault: Callable[..., Result]) -> None:
    said = chatvault("--help").stdout
    for name in COMMANDS:
        assert f"\n  {name} " in said
    assert {words[0] for words in commands()} == set(COMMANDS)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_each_command_teaches(words: list[str], chatvault: Callable[..., Result]) -> None:
    done = chatvault(*words, "--help")
    assert done.exit_code == 0
    subcommands = [other for other in commands() if other[:-1] == words]
    for other in subcommands:
        assert f"\n  {other[-1]} " in done.stdout
    if not subcommands:
        assert f"chatvault {' '.join(words)}" in done.stdout.split("Example", 1)[1]


def test_help_is_quick_and_light() -> None:
    program = f"import sys, chatvault.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert loaded.stdout.strip() == "[]"
    took = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "chatvault", "--help"], capture_output=True, timeout=20, check=True
        )
        took.append(time.monotonic() - began)
    assert min(took) < 0.3


def test_what_went_wrong_is_one_message_and_status_2(
    shell: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = shell("token", "list", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("chatvault: No gateway runs for the data folder")
    assert "chatvault serve" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_data_dir_is_the_one_that_serve_would_use(
    shell: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = shell("usage", CHATVAULT_DATA=str(tmp_path / "elsewhere"))
    assert done.returncode == 2
    assert str(tmp_path / "elsewhere") in done.stderr


def test_an_unknown_option_is_status_2(chatvault: Callable[..., Result]) -> None:
    assert chatvault("logs", "--nonsense").exit_code == 2


def test_version(chatvault: Callable[..., Result]) -> None:
    assert chatvault("version").stdout.startswith("chatvault ")
    assert '"chatvault"' in chatvault("version", "--json").stdout
