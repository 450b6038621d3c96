import stat
from pathlib import Path

import pytest

from chatvault.core.errors import OperatorError
from chatvault.ledger.state import BrokenChain, RecorderState, read_state, state_path, write_state


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    broken = [BrokenChain("w1", "w1.000001.jsonl", 3, "changed")]
    for bytes_behind in (None, 0, 5):
        state = RecorderState(
            at=1, bytes_behind=bytes_behind, lines_behind=bytes_behind, seconds_behind=1.5, broken=broken
        )
        write_state(tmp_path, state)
        assert read_state(tmp_path) == state
    assert stat.S_IMODE(state_path(tmp_path).stat().st_mode) == 0o600


def test_one_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    state_path(tmp_path).write_text("{")
    with pytest.raises(OperatorError, match="Delete it"):
        read_state(tmp_path)
