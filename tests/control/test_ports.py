"""A change is on record before it is begun, and so is its failure."""

import pytest

from chatvault.control.ports import Recorded
from chatvault.core.errors import JournalError, OperatorError
from tests.control.plane import MemoryJournal


def test_a_change_is_recorded_first() -> None:
    journal = MemoryJournal()
    with Recorded(journal, "me", "thing.do", "thing", {"a": 1}, {"a": 2}):
        assert journal.lines == [("me", "thing.do", "thing", {"a": 1}, {"a": 2})]
    assert len(journal.lines) == 1


def test_what_cannot_be_recorded_is_not_begun() -> None:
    journal = MemoryJournal()
    journal.full = True
    begun = False
    with pytest.raises(JournalError), Recorded(journal, "me", "thing.do", "thing"):
        begun = True
    assert not begun


@pytest.mark.parametrize(
    ("error", "code"), [(OperatorError("x", code="locked"), "locked"), (RuntimeError("x"), "RuntimeError")]
)
def test_a_failure_is_recorded_by_its_code(error: Exception, code: str) -> None:
    journal = MemoryJournal()
    with pytest.raises(type(error)), Recorded(journal, "me", "thing.do", "thing"):
        raise error
    assert journal.lines[1] == ("me", "thing.do.failed", "thing", None, {"code": code})


def test_the_failure_of_the_change_is_told_even_if_it_cannot_be_recorded() -> None:
    journal = MemoryJournal()

    def change() -> None:
        with Recorded(journal, "me", "thing.do", "thing"):
            journal.full = True
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert len(journal.lines) == 1
