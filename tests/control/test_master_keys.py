"""Where master keys are read, which of them seals, and how one takes another's place."""

import base64
import stat
import sys
import time
from pathlib import Path

import pytest

from chatvault.config.schema import SecretsConfig
from chatvault.control.master_keys import VARIABLE, MasterKeys, read_master_keys
from chatvault.core.errors import ChatVaultError
from chatvault.core.secrets import Secret
from chatvault.vault.master import new_master_key, parse_master_keys, written

ONE, TWO, THREE = (new_master_key() for _ in range(3))


def read(data: Path, variable: str | None = None, **settings: object) -> MasterKeys:
    given = None if variable is None else Secret(variable)
    return read_master_keys(SecretsConfig(**settings), data, given)  # type: ignore[arg-type]


def printing(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r})")


def refused(masters: MasterKeys) -> str:
    with pytest.raises(ChatVaultError) as error:
        masters.make()
    return error.value.code


def test_the_first_one_is_made_when_it_is_wanted_for_its_owner_alone(tmp_path: Path) -> None:
    masters = read(tmp_path)
    assert (masters.newest, masters.faults) == (None, ())
    assert not (tmp_path / "secrets").exists()
    made = masters.make()
    file = tmp_path / "secrets" / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert parse_master_keys(file.read_text()) == (made,)
    assert (masters.newest, read(tmp_path).newest) == (made, made)


def test_a_new_one_stands_before_the_old_one_until_that_is_taken_out(tmp_path: Path) -> None:
    masters = read(tmp_path)
    old, new = masters.make(), masters.make()
    again = read(tmp_path)
    assert (again.newest, again.find(old.id), again.file_keys) == (new, old, 2)
    masters.keep_newest()
    again = read(tmp_path)
    assert (again.newest, again.find(old.id), again.file_keys) == (new, None, 1)


def test_a_named_file_is_asked_first_then_the_variable_then_the_command(tmp_path: Path) -> None:
    named = tmp_path / "elsewhere.key"
    named.write_bytes(written((ONE,)))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "master.key").write_bytes(written((THREE,)))
    variable, command = base64.b64encode(TWO.key).decode(), printing(THREE.key.hex())
    assert read(tmp_path, variable, master_key_file=str(named), master_key_command=command).newest == ONE
    both = read(tmp_path, variable, master_key_command=command)
    assert (both.newest, both.find(THREE.id)) == (TWO, THREE)
    assert read(tmp_path, master_key_command=command).newest == THREE
    assert read(tmp_path, variable).find(THREE.id) == THREE  # the file still opens
    assert read(tmp_path).newest == THREE
    assert refused(both) == "master_key_given"


def test_the_command_gets_no_secret_of_ours_and_no_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "planted")
    monkeypatch.setenv("MANAGEMENT_TOKEN", "planted")
    monkeypatch.setenv("SECRET_MANAGER_TOKEN", ONE.key.hex())
    code = (
        "import os; assert not {'CHATVAULT_MASTER_KEY', 'MANAGEMENT_TOKEN'} & os.environ.keys(); "
        "print(os.environ['SECRET_MANAGER_TOKEN'])"
    )
    assert read(tmp_path, master_key_command=(sys.executable, "-c", code)).newest == ONE
    touched = tmp_path / "touched"
    found = read(tmp_path, master_key_command=("true", ";", "touch", str(touched)))
    assert not touched.exists()
    assert found.faults == ("The output of secrets.master_key_command (true) is empty.",)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("false",), "ended with 1"),
        (("/nowhere/program",), "cannot be run"),
        (printing("sk-secret-of-somebody"), "holds something else"),
        (("sleep", "30"), "gave no answer within 0.2 s"),
        (("sh", "-c", "sleep 30 & sleep 30"), "gave no answer within 0.2 s"),
    ],
)
def test_a_command_that_fails_is_a_fault_and_makes_no_other_key(
    tmp_path: Path, command: tuple[str, ...], why: str
) -> None:
    began = time.monotonic()
    masters = read(tmp_path, master_key_command=command, master_key_timeout=5.0 if why[0] != "g" else 0.2)
    assert time.monotonic() - began < 4
    (fault,) = masters.faults
    assert why in fault
    assert "sk-secret" not in fault
    assert masters.newest is None
    assert refused(masters) == "master_key_unusable"
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"sk-not-a-master-key", b"# empty\n"])
def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secrets" / "master.key"
    file.parent.mkdir()
    file.write_bytes(content)
    masters = read(tmp_path)
    assert len(masters.faults) == 1
    assert "sk-not" not in masters.faults[0]
    assert refused(masters) == "master_key_unusable"
    assert file.read_bytes() == content


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("not a folder")
    masters = MasterKeys(place / "master.key", (ONE,), None, file_first=True)
    assert refused(masters) == "master_key_unwritable"
    assert (masters.newest, masters.file_keys) == (ONE, 1)
