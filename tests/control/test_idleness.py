"""Tokens that expire when they are idle: what workers report, what the ledger knows, and what nobody can tell."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from chatvault.access.holder import Holder
from chatvault.access.token import Token
from chatvault.control.idleness import Idleness, Verdict
from chatvault.core.errors import OperatorError, Unavailable
from chatvault.ledger.place import ledger_place
from chatvault.ledger.queries import LedgerQueries
from chatvault.ledger.state import RecorderState
from chatvault.ledger.store import Ledger
from tests.audit.samples import aside
from tests.ledger.entries import AT, batch, closed

IDLE, SLACK = 1_000_000, 100_000
START = 50_000_000


class Stage:
    """A ledger and a vault reduced to what is asked of them; the clock stands until it is moved."""

    def __init__(self) -> None:
        self.at = START
        self.calls: dict[str, int] = {}
        self.minted: dict[str, dict[str, int]] = {}
        self.asked = 0
        self.fault: Unavailable | None = None
        self.state: RecorderState | None = self.level(START + 1)
        self.idleness = Idleness(SLACK, lambda: self.at)
        self.idleness.open(self, self)

    @staticmethod
    def level(at: int, behind: float = 0.0, size: int | None = 0) -> RecorderState:
        return RecorderState(at=at, bytes_behind=size, lines_behind=0, seconds_behind=behind)

    async def last_uses(self, tokens: Sequence[str], since_us: int) -> dict[str, int]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return {token: at for token in tokens if (at := self.calls.get(token, 0)) > since_us}

    async def lag(self) -> RecorderState | None:
        return self.state

    async def below(self, token_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        return {token: self.minted[token] for token in token_ids if token in self.minted}


def token(name: str = "t", idle: int | None = IDLE, created_at: int = 1, parent: str | None = None) -> Token:
    return Token(id=name, name=name, idle=idle, created_at=created_at, parent=parent)


async def judged(stage: Stage, *line: Token) -> Verdict:
    first, *parents = line or (token(),)
    (verdict,) = await stage.idleness.judge([Holder(token=first, parents=tuple(parents))])
    return verdict


async def test_one_that_does_not_expire_so_is_not_asked_about() -> None:
    stage = Stage()
    assert await judged(stage, token(idle=None)) == "used"
    assert stage.asked == 0


async def test_a_use_that_was_reported_holds_for_so_long_and_no_longer() -> None:
    stage = Stage()
    stage.idleness.used(["t"])
    stage.at += IDLE + SLACK - 1
    assert (await judged(stage), stage.asked) == ("used", 0)
    stage.at += 1
    stage.state = stage.level(stage.at)
    assert (await judged(stage), stage.asked) == ("expired", 1)
    stage.idleness.used(["other"])
    assert await judged(stage) == "expired"


async def test_a_new_token_is_no_idle_one() -> None:
    stage = Stage()
    assert await judged(stage, token(created_at=START - IDLE)) == "used"
    assert stage.asked == 0
    assert await judged(stage, token(created_at=START - IDLE - SLACK)) == "expired"


async def test_what_was_used_before_this_life_the_ledger_knows() -> None:
    stage = Stage()
    stage.calls["t"] = START - IDLE
    assert (await judged(stage), stage.asked) == ("used", 1)
    assert (await judged(stage), stage.asked) == ("used", 1)
    stage.at += SLACK
    assert await judged(stage) == "expired"


async def test_a_call_with_what_it_minted_is_a_use_of_it_and_minting_too() -> None:
    stage = Stage()
    child = token("child", None, parent="t")
    assert await judged(stage, child, token()) == "expired"
    stage.minted["t"] = {"child": 1, "other": 2}
    assert await judged(stage, child, token()) == "expired"
    stage.calls["other"] = START - 5
    assert await judged(stage, child, token()) == "used"
    stage = Stage()
    stage.minted["t"] = {"child": START - 5}
    assert await judged(stage) == "used"
    assert await judged(stage, token("child", None, START - 5), token()) == "used"


async def test_many_are_judged_by_one_question() -> None:
    stage = Stage()
    stage.calls = {"a": START - 5, "b": START - IDLE - SLACK - 1}
    stage.minted["b"] = {"c": 1}
    line = [Holder(token=token(name)) for name in ("a", "b", "d")]
    child = Holder(token=token("c", None, parent="b"), parents=(token("b"),))
    assert await stage.idleness.judge([*line, child]) == ["used", "expired", "expired", "expired"]
    assert stage.asked == 1
    stage.calls["c"] = START - 5
    assert await stage.idleness.judge([*line, child]) == ["used", "used", "expired", "used"]
    assert await stage.idleness.judge([]) == []


async def test_the_ledger_tells_the_last_uses_since(tmp_path: Path) -> None:
    lines = [closed(str(number), token=f"tok_{number % 3}", opened_at=AT + number) for number in range(9)]
    lines.append(closed("x", token="tok_2", opened_at=AT + 99, state="refused"))
    ledger = aside(Ledger.open, ledger_place(tmp_path))
    aside(ledger.apply, batch(*lines))
    aside(ledger.close)
    queries = LedgerQueries(tmp_path)
    try:
        asked = ["tok_1", "tok_2", "tok_9", *(f"tok_x{number}" for number in range(10_000))]
        assert await queries.last_uses(asked, AT + 7) == {"tok_2": AT + 8}
        assert await queries.last_uses(asked, AT) == {"tok_1": AT + 7, "tok_2": AT + 8}
        assert await queries.last_uses([], AT) == {}
    finally:
        await queries.close()


async def test_one_that_is_used_does_not_save_its_idle_child() -> None:
    stage = Stage()
    stage.idleness.used(["t"])
    assert await judged(stage, token("child", IDLE, parent="t"), token()) == "expired"


@pytest.mark.parametrize(
    "state",
    [
        None,
        Stage.level(START),
        Stage.level(START + 1, behind=1.0),
        Stage.level(START + 1, size=None),
    ],
)
async def test_while_the_ledger_lags_nobody_is_said_to_be_idle(state: RecorderState | None) -> None:
    """A state from before this life says nothing of what happened until then."""
    stage = Stage()
    stage.state = state
    assert await judged(stage) == "unavailable"
    stage.calls["t"] = START - 5
    assert await judged(stage) == "used"


async def test_a_recorder_that_fell_silent_says_nothing() -> None:
    stage = Stage()
    stage.at += 31_000_000
    assert await judged(stage) == "unavailable"


async def test_while_it_cannot_be_asked_nobody_is_said_to_be_idle() -> None:
    stage = Stage()
    stage.fault = Unavailable("Locked.", code="ledger_locked")
    assert await judged(stage) == "unavailable"
    stage.idleness = Idleness(SLACK, lambda: stage.at)
    assert await judged(stage) == "unavailable"


async def test_a_vault_that_cannot_be_asked_is_heard_of() -> None:
    class Locked(Stage):
        async def below(self, token_ids: Sequence[str]) -> dict[str, dict[str, int]]:
            raise OperatorError("Locked.")

    with pytest.raises(OperatorError):
        await judged(Locked())


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatvault.control.idleness._MOST", 2)
    stage = Stage()
    stage.idleness.used(["t", "b"])
    stage.idleness.used(["t", "c"])
    assert (await judged(stage, token("t")), stage.asked) == ("used", 0)
    assert (await judged(stage, token("b")), stage.asked) == ("expired", 1)
