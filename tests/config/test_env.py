from pathlib import Path

import pytest

from chatvault.config.env import env_settings, environment, parse_dotenv
from chatvault.core.errors import OperatorError


def test_each_setting_has_a_variable_of_its_own() -> None:
    variables = {setting.key: setting.variable for setting in env_settings()}
    assert variables["server.port"] == "CHATVAULT_SERVER_PORT"
    assert variables["audit.durability"] == "CHATVAULT_AUDIT_DURABILITY"
    assert variables["data_dir"] == "CHATVAULT_DATA"
    assert variables["log_level"] == "CHATVAULT_LOG_LEVEL"
    assert len(set(variables.values())) == len(variables)
    assert not any(key.startswith(("providers", "models", "prices")) for key in variables)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("A = spaced  ", "spaced"),
        ("export A=exported", "exported"),
        ("A=", ""),
        ("A= # nothing", ""),
        ("A=with # comment", "with"),
        ("A=sk-#inside", "sk-#inside"),
        ("A=a=b", "a=b"),
        ("A='single # $x \\n'", "single # $x \\n"),
        ('A="double \\"quoted\\"\\n\\\\" # comment', 'double "quoted"\n\\'),
        ("A=${B}", "${B}"),
        ("\ufeffA=marked", "marked"),
    ],
)
def test_lines(line: str, value: str) -> None:
    assert parse_dotenv(line, ".env") == {"A": value}


def test_comments_blank_lines_and_later_lines() -> None:
    assert parse_dotenv("# a\n\n  # b\nA=1\r\nB=2\nA=3\n", ".env") == {"A": "3", "B": "2"}


def test_bad_lines_are_named_and_their_values_are_not() -> None:
    with pytest.raises(OperatorError) as raised:
        parse_dotenv('A=1\nsecret words\nB=\'secret\nC="secret" more\n1D=secret', "x/.env")
    assert raised.value.message.splitlines() == [
        "x/.env:2: expected NAME=value",
        "x/.env:3: B: the quotes do not end where the value ends",
        "x/.env:4: C: the quotes do not end where the value ends",
        "x/.env:5: expected NAME=value",
    ]


def test_the_real_environment_holds_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    assert environment(tmp_path, {"A": "real", "C": "real"}) == {"A": "real", "B": "file", "C": "real"}
    assert environment(tmp_path / "nowhere", {}) == {}
    monkeypatch.setenv("CHATVAULT_LOG_LEVEL", "debug")
    assert environment(tmp_path)["CHATVAULT_LOG_LEVEL"] == "debug"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(OperatorError, match="cannot be read"):
        environment(tmp_path, {})
