import asyncio
from pathlib import Path
from typing import Any

import pytest

from chatvault.core.errors import OperatorError
from chatvault.ledger.state import read_state
from chatvault.recorder.options import RecorderOptions
from chatvault.recorder.process import run_recorder
from tests.recorder.journals import calls, ids, options, writer


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.01)


async def test_it_says_that_it_is_ready_follows_and_stops_level(tmp_path: Path) -> None:
    heard: list[dict[str, object]] = []
    stop = asyncio.Event()
    chain = await asyncio.to_thread(writer, tmp_path)
    async with asyncio.TaskGroup() as group:
        group.create_task(run_recorder(options(tmp_path), heard.append, stop))
        await eventually(lambda: heard == [{"ready": True}])
        expected = await asyncio.to_thread(calls, chain, 5)
        await eventually(lambda: ids(tmp_path) == expected)
        expected += await asyncio.to_thread(calls, chain, 5, 10)
        stop.set()
    assert await asyncio.to_thread(ids, tmp_path) == expected
    await asyncio.to_thread(chain.close)


async def test_an_idle_recorder_is_behind_by_less_than_a_second(tmp_path: Path) -> None:
    stop = asyncio.Event()
    chain = await asyncio.to_thread(writer, tmp_path)
    async with asyncio.TaskGroup() as group:
        group.create_task(run_recorder(RecorderOptions(data_dir=tmp_path), lambda _: None, stop))
        await eventually(lambda: (tmp_path / "chatvault.db").exists() and read_state(tmp_path) is not None)
        expected = await asyncio.to_thread(calls, chain, 1)
        async with asyncio.timeout(1):
            await eventually(lambda: ids(tmp_path) == expected)
        stop.set()
    await asyncio.to_thread(chain.close)


async def test_it_is_ready_without_its_ledger_and_tells_of_it(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "chatvault.db").mkdir)
    heard: list[dict[str, object]] = []
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_recorder(options(tmp_path), heard.append, stop))
        await eventually(lambda: {"ready": True} in heard)
        assert [news.get("code") for news in heard if "code" in news] == ["ledger_unwritable"]
        await asyncio.to_thread((tmp_path / "chatvault.db").rmdir)
        await eventually(lambda: {"error": None, "code": None} in heard)
        stop.set()


async def test_cancelling_it_ends_its_thread(tmp_path: Path) -> None:
    chain = await asyncio.to_thread(writer, tmp_path)
    expected = await asyncio.to_thread(calls, chain, 5)
    task = asyncio.create_task(run_recorder(options(tmp_path), lambda _: None, asyncio.Event()))
    await eventually((tmp_path / "chatvault.db").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ids, tmp_path) == expected
    await asyncio.to_thread(chain.close)


async def test_options_that_cannot_be_met_are_refused(tmp_path: Path) -> None:
    wrong = RecorderOptions(data_dir=tmp_path, database_url="mysql://somewhere/db")
    with pytest.raises(OperatorError, match="sqlite"):
        await run_recorder(wrong, lambda _: None, asyncio.Event())
