"""One line a second and place, whatever is refused; nothing is left uncounted."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chatvault.audit.floods import BURST, KINDS, PLACES, SEVERAL, Floods
from chatvault.audit.lines import Refused


def line(code: str = "a", endpoint: str = "e", token: str | None = None, status: int = 401) -> Refused:
    return Refused(at=1, id="x", status=status, code=code, endpoint=endpoint, token=token)


class Written(list[Refused]):
    """The lines, and which of them were dressed."""

    def __init__(self) -> None:
        super().__init__()
        self.dressed: list[Refused] = []
        self.floods = Floods(self.append)

    def refuse(self, place: str, refused: Refused) -> None:
        self.floods.refused(place, refused, self.dressed.append)


def test_few_are_on_record_at_once_each_with_who_it_was() -> None:
    written = Written()
    for code in "abc":
        written.refuse("p", line(code))
    assert [each.code for each in written] == ["a", "b", "c"]
    assert written.dressed == written
    written.floods.tick()
    assert len(written) == 3


def test_more_of_a_kind_share_a_line_at_the_end_of_the_second() -> None:
    written = Written()
    for _ in range(100):
        written.refuse("p", line())
    assert [each.count for each in written] == [1]
    written.floods.tick()
    assert [each.count for each in written] == [1, 99]
    assert written[1].kinds is None


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), max_size=60), st.integers(1, 60))
def test_a_flood_has_a_line_a_second_and_every_refusal_is_counted(
    kinds: list[tuple[int, int]], seconds: int
) -> None:
    written = Written()
    for second in range(1, seconds + 1):
        for code, endpoint in kinds:
            written.refuse("p", line(str(code), str(endpoint)))
        assert len(written) <= BURST + second
        written.floods.tick()
    assert len(written) <= BURST + seconds
    assert sum(each.count for each in written) == seconds * len(kinds)


def test_a_shared_line_says_what_is_in_it() -> None:
    written = Written()
    for number in range(BURST):
        written.refuse("p", line(str(number), token="tok_1"))
    del written[:]
    for code, token in (("x", "tok_1"), ("y", "tok_1"), ("x", "tok_1")):
        written.refuse("p", line(code, token=token))
    written.floods.tick()
    written.floods.tick()
    (shared,) = written
    assert (shared.code, shared.endpoint, shared.token, shared.status) == (SEVERAL, "e", "tok_1", 401)
    assert shared.count == 4
    assert Counter({kind[:3]: kind[3] for kind in shared.kinds or ()}) == {
        (str(BURST - 1), "e", "tok_1"): 1, ("x", "e", "tok_1"): 2, ("y", "e", "tok_1"): 1,
    }  # fmt: skip


def test_kinds_of_a_line_are_bounded() -> None:
    written = Written()
    for number in range(10 * KINDS):
        written.refuse("p", line(str(number), status=400 + number % 2))
    for _ in range(3):
        written.floods.tick()
    shared = written[-1]
    assert (shared.code, shared.status) == (SEVERAL, 0)
    assert len(shared.kinds or ()) == KINDS + 1
    assert sum(each.count for each in written) == 10 * KINDS


def test_who_has_been_quiet_may_write_at_once_again() -> None:
    written = Written()
    for number in range(BURST):
        written.refuse("p", line(str(number)))
    before = len(written)
    for _ in range(BURST):
        written.floods.tick()
    del written[:]
    written.refuse("p", line("new"))
    assert before >= BURST - 1
    assert [each.code for each in written] == ["new"]


def test_places_do_not_take_each_others_lines_and_are_bounded() -> None:
    written = Written()
    for number in range(PLACES + 500):
        written.refuse(f"p{number}", line())
    assert len(written) == PLACES
    written.floods.tick()
    assert len(written) == PLACES + 1
    assert written[-1].count == 500
    written.refuse("fresh", line())
    written.floods.tick()
    assert sum(each.count for each in written) == PLACES + 501
