"""The folder of the sockets: one for each data folder, its owner's alone, or none."""

import os
import stat
from pathlib import Path

import pytest

from chatvault.config.runtime import is_private, runtime_dir, runtime_places
from chatvault.core.errors import OperatorError


def test_it_is_made_for_its_owner_alone_in_the_sessions_folder(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    found = runtime_dir(tmp_path / "data", environ)
    assert found.parent == tmp_path
    assert found.name.startswith("chatvault-")
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    assert runtime_dir(tmp_path / "data", environ) == found, "it may be there already"


def test_each_data_folder_has_its_own_however_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    one = runtime_places(tmp_path / "data", environ)
    assert runtime_places(tmp_path / "link", environ) == one
    assert runtime_places(tmp_path / "x" / ".." / "data", environ) == one
    assert runtime_places(tmp_path / "other", environ)[0] != one[0]


@pytest.mark.parametrize("session", ["", "relative", "/no/such/folder", "/" + "x" * 90])
def test_without_a_usable_session_it_lies_in_tmp(tmp_path: Path, session: str) -> None:
    [place] = runtime_places(tmp_path, {"XDG_RUNTIME_DIR": session})
    assert place.parent == Path("/tmp")
    assert place.name.startswith(f"chatvault-{os.geteuid()}-")
    assert len(str(place / "admin.sock")) < 100


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o770])
def test_one_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    runtime_dir(tmp_path, environ).chmod(mode)
    with pytest.raises(OperatorError, match="you alone own") as raised:
        runtime_dir(tmp_path, environ)
    assert raised.value.code == "runtime_dir_unsafe"


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    runtime_places(tmp_path, environ)[0].symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperatorError, match="Remove it"):
        runtime_dir(tmp_path, environ)


def test_one_that_another_user_owns_is_not_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    assert is_private(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert not is_private(tmp_path)


def test_one_that_cannot_be_made_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: int = 0) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OperatorError, match="XDG_RUNTIME_DIR") as raised:
        runtime_dir(tmp_path / "data", {})
    assert raised.value.code == "runtime_dir_unusable"
