"""Secrets that do not show, and files that only their owner reads."""

import os
import stat
from pathlib import Path

import pytest

from chatvault.core.secrets import Secret, private_random, write_private


def test_a_secret_does_not_show() -> None:
    secret = Secret("hush-hush")
    assert secret.reveal() == "hush-hush"
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret]), repr({"key": secret})):
        assert "hush" not in shown
        assert "***" in shown


def test_secrets_compare_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a")
    assert not Secret("")


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "deep" / "key"
    before = os.umask(0)
    try:
        write_private(path, b"one")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    write_private(path, b"two" * 100_000)
    assert path.read_bytes() == b"two" * 100_000
    assert [each.name for each in path.parent.iterdir()] == ["key"]


def test_a_file_that_was_open_to_all_is_so_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["key", f".key.{os.getpid()}.part"], ids=["the file", "its first form"])
def test_a_planted_symlink_is_not_written_through(tmp_path: Path, name: str) -> None:
    victim, path = tmp_path / "victim", tmp_path / "key"
    victim.write_bytes(b"mine")
    victim.chmod(0o644)
    (tmp_path / name).symlink_to(victim)
    write_private(path, b"secret")
    assert victim.read_bytes() == b"mine"
    assert path.read_bytes() == b"secret"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["key", "victim"]


def test_what_an_earlier_death_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / f".key.{os.getpid()}.part"
    left.write_bytes(b"half of an old secret, and longer than the new one")
    left.chmod(0o666)
    write_private(tmp_path / "key", b"whole")
    assert (tmp_path / "key").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert not left.exists()


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"old")
    (tmp_path / f".key.{os.getpid()}.part").mkdir()
    with pytest.raises(OSError):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_private_random_is_made_once(tmp_path: Path) -> None:
    made = private_random(tmp_path / "pepper")
    assert len(made) == 32
    assert private_random(tmp_path / "pepper") == made
    assert len(private_random(tmp_path / "other", 64)) == 64
    assert private_random(tmp_path / "third") != made
    assert stat.S_IMODE((tmp_path / "pepper").stat().st_mode) == 0o600
