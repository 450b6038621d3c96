"""`/manage/limits`: what workers say of their windows, added up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.access.reading import Reading
from chatvault.feed.messages import Readings, ShowLimits, Welcome
from tests.control.plane import Plane, client, open_plane
from tests.control.worker import Worker, connected


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        yield opened


async def answer(worker: Worker, *rows: Reading, more: int = 0) -> ShowLimits:
    asked = await worker.next()
    assert isinstance(asked, ShowLimits)
    worker.say(Readings(asked.number, rows, more))
    return asked


def reading(used: int, frees: float, reset: float, subject: str = "tok_1") -> Reading:
    return Reading("token", subject, "requests_per_minute", 10, used, frees, reset, False, used)


async def test_shares_of_workers_are_added_up_the_fullest_first(plane: Plane) -> None:
    async with connected(plane.feed_path, 0) as one, connected(plane.feed_path, 1) as two:
        assert isinstance(await one.next(), Welcome)
        assert isinstance(await two.next(), Welcome)
        got, asked, _ = await asyncio.gather(
            plane.http.get("/manage/limits?scope=token"),
            answer(one, reading(3, 5, 9), reading(2, 1, 1, "tok_2")),
            answer(two, reading(0, 0, 0), reading(6, 2, 50, "tok_2"), more=4),
        )
    assert (asked.scope, asked.subject) == ("token", None)
    body = got.json()
    assert (body["more"], body["missing_workers"]) == (4, [])
    assert body["data"] == [
        {
            "scope": "token",
            "subject": subject,
            "limit": "requests_per_minute",
            "most": 10,
            "used": used,
            "left": 10 - used,
            "frees_in": frees,
            "reset_in": reset,
            "shadow": False,
            "running": used,
        }
        for subject, used, frees, reset in (("tok_2", 8, 1, 50), ("tok_1", 3, 5, 9))
    ]


async def test_a_worker_that_does_not_answer_is_named_and_its_late_answer_is_nothing(plane: Plane) -> None:
    async with connected(plane.feed_path, 0) as one, connected(plane.feed_path, 1) as two:
        await two.next()
        await one.next()
        got, asked = await asyncio.gather(
            plane.http.get("/manage/limits?subject=tok_1&limit=1"),
            answer(one, reading(3, 5, 9), reading(1, 5, 9, "tok_2")),
        )
        assert (got.json()["missing_workers"], got.json()["more"], len(got.json()["data"])) == ([1], 1, 1)
        two.say(Readings(asked.number, (reading(9, 9, 9),)))
        assert await two.next() == asked  # the connection stands
        assert len(plane.feed.connected()) == 2


async def test_without_workers_there_is_nothing_and_without_the_permission_no_answer(plane: Plane) -> None:
    assert (await plane.http.get("/manage/limits")).json() == {"data": [], "more": 0, "missing_workers": []}
    assert (await plane.http.get("/manage/limits?scope=planet")).status_code == 400
    async with client(plane.edge, "cv-nobody") as stranger:
        assert (await stranger.get("/manage/limits")).status_code == 401
