"""`/health`: open and short; `/health/details`: all parts, and what is wrong with them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatvault.audit.keys import signing_key
from chatvault.audit.signing import Signer
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.control.edge import Edge
from chatvault.control.signed import Coverage, SignedSoFar
from chatvault.core.clock import now_us
from chatvault.core.errors import JournalError
from chatvault.feed.messages import Health, Welcome
from chatvault.ledger.place import ledger_place
from chatvault.ledger.state import BrokenChain, RecorderState, write_state
from chatvault.ledger.store import Ledger
from tests.control.plane import Plane, client, open_plane
from tests.control.worker import connected


def state(**values: Any) -> RecorderState:
    return RecorderState(**{"bytes_behind": 0, "lines_behind": 0, "seconds_behind": 0.0, **values})


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    def prepare() -> None:
        Ledger.open(ledger_place(tmp_path)).close()
        write_state(tmp_path, state(at=now_us(), lines=5, seconds_behind=0.5))

    await asyncio.to_thread(prepare)
    async with open_plane(tmp_path, expected=1) as opened:
        yield opened


async def details(plane: Plane) -> dict[str, Any]:
    answer = await plane.http.get("/health/details")
    assert answer.status_code == 200
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def test_anybody_may_ask_whether_it_lives(plane: Plane) -> None:
    async with client(Edge(plane.app)) as nobody:
        answer = await nobody.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert (await nobody.get("/health/details")).status_code == 401


async def test_all_is_well(plane: Plane) -> None:
    async with connected(plane.feed_path) as worker:
        assert isinstance(await worker.next(), Welcome)
        worker.say(Health(calls=2, served=7, rss=1000))
        async with asyncio.timeout(2):
            while plane.feed.connected()[0].health is None:
                await asyncio.sleep(0.005)
        found = await details(plane)
    assert found["problems"] == []
    assert found["status"] == "ok"
    [one] = found["workers"]
    assert (one["connected"], one["calls"], one["served"], one["rss"]) == (True, 2, 7, 1000)
    assert found["journal"]["last_signature"] == 3
    assert found["journal"]["last_signed_at"] == "1970-01-01T00:00:01.000000Z"
    assert found["journal"]["unsigned_lines"] == 2
    assert (found["recorder"]["running"], found["recorder"]["seconds_behind"]) == (True, 0.5)
    assert found["databases"] == {"vault": "ok", "ledger": "ok"}


async def test_whatever_is_wrong_is_said(plane: Plane) -> None:
    def spoil() -> None:
        broken = BrokenChain("w0", "w0.000001.jsonl", 3, "the digest does not fit")
        write_state(plane.data, state(at=1, error="The ledger is locked.", broken=[broken]))
        (plane.data / "chatvault.db").unlink()

    await asyncio.to_thread(spoil)
    plane.journal.fault = "The journal cannot be written."
    async with connected(plane.feed_path, 1) as worker:
        assert isinstance(await worker.next(), Welcome)
        worker.say(Health(journal_fault="no space"))
        async with asyncio.timeout(2):
            while plane.feed.connected()[0].health is None:
                await asyncio.sleep(0.005)
        found = await details(plane)
    assert found["status"] == "degraded"
    said = "\n".join(found["problems"])
    for part in (
        "Worker 0 is not connected",
        "Worker 1: no space",
        "The journal cannot be written",
        "does not run",
        "The ledger is locked",
        "line 3: the digest does not fit",
        "is not there yet",
    ):
        assert part in said
    assert found["recorder"]["running"] is False
    assert found["databases"]["ledger"] == "ledger_missing"


async def test_what_cannot_be_read_is_a_problem_not_a_failure(plane: Plane) -> None:
    await asyncio.to_thread((plane.data / "recorder.json").write_text, "{")
    plane.coverage = JournalError("line 7 is damaged")
    found = await details(plane)
    assert found["recorder"] is None
    assert "The journal cannot be read: line 7 is damaged" in found["problems"]
    assert any("recorder.json" in problem for problem in found["problems"])


async def test_a_recorder_that_never_ran(tmp_path: Path) -> None:
    async with open_plane(tmp_path) as plane:
        assert "The recorder has not run yet." in (await details(plane))["problems"]


def test_unsigned_lines_are_counted_over_all_chains(tmp_path: Path) -> None:
    settings = AuditConfig()
    folder = tmp_path / "journal"
    signer = Signer(signing_key(tmp_path))
    control = ChainWriter.open(folder, "control", settings, version="0")
    worker = ChainWriter.open(folder, "worker0", settings, version="0")
    so_far = SignedSoFar(folder, control.chain)
    assert so_far.coverage() == Coverage(number=None, at=None, unsigned=2, chains=2)
    heads = {control.chain: control.head, worker.chain: worker.head}
    control.append(signer.sign(heads, 5, 1))
    assert so_far.coverage().unsigned == 0
    worker.close()  # writes its last line
    assert so_far.coverage().unsigned == 1
    control.append(signer.sign({control.chain: control.head}, 6, 2))
    found = so_far.coverage()
    assert (found.number, found.at, found.unsigned) == (2, 6, 1), "what it does not name stays signed"
    so_far.close()
    control.close()
