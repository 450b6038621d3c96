"""Events are sent at least once, tried again ever more slowly, given up after a day; a real vault and receiver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from chatvault.access.threshold import KeptEvent, Passed
from chatvault.config.schema import WebhooksConfig
from chatvault.control import deliveries
from chatvault.control.deliveries import Deliveries, pause_after
from chatvault.control.webhook import post
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError
from chatvault.vault.events import Events
from chatvault.vault.store import open_vault
from tests.control.receiver import SECRET, Receiver, receiving

DAY = 86_400_000_000


@pytest.fixture
async def events(tmp_path: Path) -> AsyncIterator[Events]:
    async with open_vault(tmp_path / "vault.db") as vault:
        yield vault.events


def event(id: str, at: int | None = None) -> KeptEvent:
    content = Passed(0, 50, 5, 10, "money")
    return KeptEvent(id=id, kind="budget.threshold", subject="bud_1", at=at or now_us(), content=content)


async def recorded(events: Events, *new: KeptEvent, next_at: int | None = 0) -> None:
    await events.add(new, next_at)
    await events.recorded([each.id for each in new], now_us())


def to(receiver: Receiver) -> WebhooksConfig:
    return WebhooksConfig(url=receiver.url(), secret=SECRET, allow_private=True)


async def test_each_is_sent_once_where_all_is_well(events: Events) -> None:
    await recorded(events, event("a"), event("b"))
    await events.add([event("not on record")], 0)
    await recorded(events, event("from before there was a webhook"), next_at=None)
    async with receiving() as receiver:
        sender = Deliveries(events, post, to(receiver))
        await sender.send_due()
        await sender.send_due()
        state = await sender.state()
    assert [got.headers["x-chatvault-event-id"] for got in receiver.got] == ["a", "b"]
    assert all(got.genuine for got in receiver.got)
    assert state is not None
    assert state["last_sent_at"] is not None
    assert {**state, "last_sent_at": None} == {
        "to": f"http://127.0.0.1:{receiver.port}",
        "waiting": 1,
        "oldest_at": state["oldest_at"],
        "last_sent_at": None,
        "given_up": 0,
        "fault": None,
    }


async def test_it_is_tried_again_with_the_same_body_until_it_is_taken(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "FIRST_PAUSE", 0.01)
    async with receiving(500, "redirect", "reset") as receiver:
        sender = Deliveries(events, post, to(receiver))
        running = asyncio.get_running_loop().create_task(sender.run())
        await asyncio.sleep(0.05)
        await recorded(events, event("a"))
        sender.wake()
        async with asyncio.timeout(10):
            while (await events.outgoing()).waiting:
                await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert len(receiver.got) == 4
    assert len({got.body for got in receiver.got}) == 1
    assert sender.fault is None


async def test_a_restart_goes_on_where_it_was(events: Events) -> None:
    await recorded(events, event("a"))
    async with receiving(500) as receiver:
        sender = Deliveries(events, post, to(receiver))
        await sender.send_due()
        assert sender.fault == "The webhook answered with status 500."
        again = Deliveries(events, post, to(receiver))
        assert 3 < await again.send_due() < 7, "seconds until the second try"
        assert len(receiver.got) == 1
        (kept,) = await events.due(now_us() + 10_000_000, 5)
        assert kept.tries == 1


async def test_a_hanging_event_delays_others_only_for_its_own_time(events: Events) -> None:
    await recorded(events, event("a"), event("b"))

    async def impatient(webhook: WebhooksConfig, kept: KeptEvent) -> None:
        await post(webhook, kept, timeout=0.2)

    async with receiving("hang") as receiver:
        await Deliveries(events, impatient, to(receiver)).send_due()
    assert [got.headers["x-chatvault-event-id"] for got in receiver.got] == ["a", "b"]
    assert (await events.outgoing()).waiting == 1


async def test_it_is_given_up_after_a_day_and_enough_tries(events: Events) -> None:
    old = event("old", now_us() - DAY - 1)
    await recorded(events, old, event("new"))
    await events.not_sent("old", 8, 0)
    await events.not_sent("new", 100, 0)

    async def fails(*_: object) -> None:
        raise OperatorError("No.", code="webhook_failed")

    sender = Deliveries(events, fails, WebhooksConfig(url="https://hooks.example/x", secret=SECRET))
    await sender.send_due()
    assert (await events.outgoing()).waiting == 2
    await events.not_sent("old", 9, 0)
    await sender.send_due()
    out = await events.outgoing()
    assert (out.waiting, out.given_up) == (1, 1)


async def test_a_fault_of_ours_is_a_failure_like_others(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    await recorded(events, event("a"))

    async def breaks(*_: object) -> None:
        raise ZeroDivisionError

    sender = Deliveries(events, breaks, WebhooksConfig(url="https://hooks.example/x", secret=SECRET))
    await sender.send_due()
    assert sender.fault == "Sending failed (ZeroDivisionError); the log says where."
    assert "ZeroDivisionError" in caplog.text
    assert SECRET not in caplog.text
    assert "/x" not in caplog.text


async def test_without_a_webhook_nothing_is_asked_and_one_can_be_set(events: Events) -> None:
    await recorded(events, event("a"))
    async with receiving() as receiver:
        sender = Deliveries(events, post, WebhooksConfig())
        running = asyncio.get_running_loop().create_task(sender.run())
        await asyncio.sleep(0.05)
        assert (sender.sending, await sender.state(), receiver.got) == (False, None, [])
        sender.configure(to(receiver))
        async with asyncio.timeout(5):
            while not receiver.got:
                await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert sender.sending


async def test_while_the_store_cannot_be_asked_it_waits(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    class Locked(Events):
        async def due(self, now_us: int, limit: int) -> list[KeptEvent]:
            raise OperatorError("It is locked.", code="vault_locked")

    store = Locked(events._database)
    sender = Deliveries(store, post, WebhooksConfig(url="https://hooks.example/x", secret=SECRET))
    running = asyncio.get_running_loop().create_task(sender.run())
    async with asyncio.timeout(5):
        while not caplog.records:
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert "locked" in caplog.text


def test_pauses_double_and_are_scattered_and_end_at_an_hour() -> None:
    for tries, middle in ((1, 5), (2, 10), (5, 80), (10, 2560), (11, 3600), (500, 3600)):
        seen = {pause_after(tries) for _ in range(50)}
        assert len(seen) > 1
        assert middle * 0.8 <= min(seen) <= max(seen) <= middle * 1.2
