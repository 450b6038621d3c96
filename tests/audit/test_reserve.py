import errno
import os
from pathlib import Path

import pytest

from chatvault.audit.advice import advice
from chatvault.audit.reserve import Reserve


@pytest.mark.parametrize("native", [True, False])
def test_the_reserve_is_real_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    if not native:
        monkeypatch.delattr(os, "posix_fallocate")
    path = tmp_path / "reserve"
    reserve = Reserve(path, 300_000)
    reserve.take()
    reserve.take()
    assert reserve.held
    assert path.stat().st_size == 300_000
    assert path.stat().st_blocks * 512 >= 300_000
    reserve.give_up()
    assert not path.exists()


def test_a_reserve_that_cannot_be_had_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    reserve = Reserve(tmp_path / "reserve", 1000)
    with pytest.raises(OSError, match="No space"):
        reserve.take()
    assert not reserve.held
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.ENOSPC, "Free some disk space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "writable for user id"),
        (errno.EACCES, "--data-dir"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_advice_says_what_to_do(tmp_path: Path, number: int, what: str) -> None:
    assert what in advice(tmp_path, OSError(number, os.strerror(number)))
