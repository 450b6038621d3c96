"""Questions on the feed: a registry, failures that are the question's alone, and bounds."""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from chatvault.config.snapshot import Snapshot
from chatvault.control.feed_server import open_feed
from chatvault.control.questions import Questions
from chatvault.core.errors import OperatorError, PermissionDenied
from chatvault.feed.messages import MOST_QUESTIONS, Answer, Ask
from tests.control.worker import MemoryGrants, connected


async def said(questions: Questions, what: str) -> tuple[int, object]:
    answer = await questions.answer(Ask(1, what, "tok_1", "body"))
    assert answer.number == 1
    return answer.status, json.loads(answer.body)["error"]["code"] if answer.status >= 400 else answer.body


async def test_who_is_registered_answers() -> None:
    async def echo(token: str, body: str) -> tuple[int, object]:
        return 200, [token, body]

    async def nothing(token: str, body: str) -> tuple[int, object]:
        return 204, None

    questions = Questions()
    questions.on("echo", echo)
    questions.on("nothing", nothing)
    assert await said(questions, "echo") == (200, '["tok_1","body"]')
    assert await said(questions, "nothing") == (204, "")
    assert await said(questions, "other") == (503, "control_unavailable")


async def test_failures_are_answers() -> None:
    async def refuses(token: str, body: str) -> tuple[int, object]:
        raise PermissionDenied("No.", code="cannot_widen")

    async def locked(token: str, body: str) -> tuple[int, object]:
        raise OperatorError("Locked.", code="vault_locked")

    async def fails(token: str, body: str) -> tuple[int, object]:
        raise ZeroDivisionError

    async def hangs(token: str, body: str) -> tuple[int, object]:
        await asyncio.sleep(60)
        raise AssertionError

    questions = Questions(patience=0.05)
    for name, handler in (("refuses", refuses), ("locked", locked), ("fails", fails), ("hangs", hangs)):
        questions.on(name, handler)
    assert await said(questions, "refuses") == (403, "cannot_widen")
    assert await said(questions, "locked") == (503, "vault_locked")
    assert await said(questions, "fails") == (500, "internal_error")
    assert await said(questions, "hangs") == (503, "control_unavailable")


async def test_a_worker_that_asks_too_much_at_a_time_is_dropped() -> None:
    release = asyncio.Event()

    async def waits(token: str, body: str) -> tuple[int, object]:
        await release.wait()
        return 200, 1

    with TemporaryDirectory(prefix="cv") as folder:
        path = Path(folder) / "feed.sock"
        async with open_feed(path, MemoryGrants(), b"p" * 32, Snapshot(version=1)) as feed:
            feed.questions.on("waits", waits)
            async with connected(path) as worker:
                await worker.next()
                for number in range(MOST_QUESTIONS):
                    worker.say(Ask(number, "waits", "tok_1"))
                worker.writer.write(b"")
                release.set()
                answers = {await worker.next() for _ in range(MOST_QUESTIONS)}
                assert answers == {Answer(number, 200, "1") for number in range(MOST_QUESTIONS)}
                release.clear()
                for number in range(MOST_QUESTIONS + 1):
                    worker.say(Ask(number, "waits", "tok_1"))
                assert await worker.next() is None
                release.set()
