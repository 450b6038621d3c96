"""docs/cli.md names every command and every option there is."""

from pathlib import Path

import pytest
from typer.main import get_command

from chatvault.cli.main import app
from tests.cli.test_main import commands

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs" / "cli.md").read_text("utf-8")


def options(words: list[str]) -> list[str]:
    """The long options of a command, those of `--help` left out."""
    found = get_command(app)
    for word in words:
        found = found.commands[word]  # type: ignore[attr-defined]
    return [name for one in found.params for name in one.opts if name.startswith("--") and name != "--help"]


def section(words: list[str]) -> str:
    """What the manual says under the command's heading."""
    _, found, rest = MANUAL.partition(f"\n### `chatvault {' '.join(words)}")
    assert found, f"docs/cli.md has no section for {' '.join(words)}"
    return rest.split("\n### ", 1)[0].split("\n## ", 1)[0]


@pytest.mark.parametrize(
    "words",
    [words for words in commands() if words[0] not in ("token", "audit", "config") or len(words) > 1],
    ids=" ".join,
)
def test_every_command_and_option_is_in_the_manual(words: list[str]) -> None:
    said = section(words)
    for option in options(words):
        assert f"`{option}" in said, f"{option} is missing under {' '.join(words)}"


def test_the_readme_and_its_links() -> None:
    import re

    readme = (ROOT / "README.md").read_text("utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)", readme):
        assert (ROOT / link).exists(), link
    for words in ("make serve", "make test", "make demo", "audit verify", "http://127.0.0.1:4000/v1"):
        assert words in readme
