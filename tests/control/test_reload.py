"""A configuration is taken over whole, or not at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.config.schema import ServerConfig
from chatvault.config.snapshot import Snapshot
from chatvault.core.errors import OperatorError
from chatvault.feed.messages import Configure, Welcome
from tests.control.plane import Plane, open_plane
from tests.control.worker import connected


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        yield opened


async def test_a_new_configuration_reaches_the_workers_and_the_record(plane: Plane) -> None:
    plane.next = Snapshot(version=99, default_provider="x", server=ServerConfig(workers=2))
    async with connected(plane.feed_path) as worker:
        assert isinstance(await worker.next(), Welcome)
        answer = await plane.http.post("/manage/config/reload")
        assert answer.json() == {"version": 2, "unacknowledged": [], "restart_needed": ["server.workers"]}
        push = await worker.next()
    assert isinstance(push, Configure)
    assert (push.snapshot.version, push.snapshot.default_provider) == (2, "x")
    assert plane.journal.lines == [
        ("environment", "config.reload", "config", {"version": 1}, {"version": 2}),
    ]


@pytest.mark.parametrize(("code", "status"), [("bad_config", 400), ("ollama_gone", 503)])
async def test_a_wrong_configuration_changes_nothing(plane: Plane, code: str, status: int) -> None:
    plane.next = OperatorError("config.yaml:3: unknown key.", code=code)
    answer = await plane.http.post("/manage/config/reload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "config.yaml:3: unknown key" in answer.json()["error"]["message"]
    assert plane.feed.snapshot == Snapshot(version=1)
    assert plane.journal.lines == []


async def test_a_reload_that_cannot_be_recorded_does_not_happen(plane: Plane) -> None:
    plane.journal.full = True
    answer = await plane.http.post("/manage/config/reload")
    assert answer.status_code == 503
    assert plane.feed.snapshot == Snapshot(version=1)
