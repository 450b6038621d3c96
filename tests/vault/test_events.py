"""Events on a real SQLite database: made once, marked, sent, tried again, given up."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.access.threshold import KeptEvent, Passed
from chatvault.vault.events import Events, Outgoing
from chatvault.vault.store import open_vault


@pytest.fixture
async def events(tmp_path: Path) -> AsyncIterator[Events]:
    async with open_vault(tmp_path / "vault.db") as vault:
        yield vault.events


def event(percent: int, at: int = 7) -> KeptEvent:
    return KeptEvent(
        id=f"budget/bud_1/0/{percent}",
        kind="budget.threshold",
        subject="bud_1",
        at=at,
        content=Passed(0, percent, 4 * 10**18 + 1, 9 * 10**18, "money"),
    )


async def test_an_event_is_made_once_and_comes_back_exact(events: Events) -> None:
    await events.add([event(50), event(100), event(80)], 5)
    await events.add([event(50, at=99), event(80, at=99)], None)
    assert await events.unrecorded() == [event(50), event(80), event(100)]


async def test_it_is_due_once_it_is_on_record_and_until_it_was_sent(events: Events) -> None:
    await events.add([event(50), event(80)], 5)
    assert (await events.due(10, 9), await events.next_at()) == ([], None)
    await events.recorded(["budget/bud_1/0/50", "budget/bud_1/0/80"], 6)
    assert await events.unrecorded() == []
    assert (await events.due(4, 9), await events.next_at()) == ([], 5)
    assert await events.due(5, 1) == [event(50)]
    await events.not_sent("budget/bud_1/0/50", 1, 20)
    assert await events.due(19, 9) == [event(80)]
    await events.sent("budget/bud_1/0/80", 8)
    assert (await events.due(19, 9), await events.next_at()) == ([], 20)
    (again,) = await events.due(20, 9)
    assert again.tries == 1
    assert await events.outgoing() == Outgoing(1, 7, 0, 8)
    await events.not_sent("budget/bud_1/0/50", 2, None)
    assert await events.outgoing() == Outgoing(0, None, 1, 8)
    assert await events.next_at() is None


async def test_what_is_never_to_be_sent_is_on_record_all_the_same(events: Events) -> None:
    await events.add([event(50)], None)
    await events.recorded(["budget/bud_1/0/50"], 6)
    assert await events.due(10**18, 9) == []
    assert await events.outgoing() == Outgoing(0, None, 0, None)
