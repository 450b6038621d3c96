"""The feed's server over real sockets: look-ups, pushes, silence, returns."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chatvault.access.grant import Whose
from chatvault.access.holder import Holder
from chatvault.access.token import Token
from chatvault.config.snapshot import Snapshot
from chatvault.control import feed_peer
from chatvault.control.feed_server import Pace, open_feed
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError
from chatvault.feed.frames import frame
from chatvault.feed.messages import Ack, Configure, Forget, Granted, Health, Hello, Lookup, Revoke, Welcome
from tests.control.worker import MemoryGrants, connected

PEPPER = bytes(range(32))
DIGEST = b"d" * 32
TOKEN = Token(id="tok_1", name="one", created_at=1, expires_at=99, models=("gpt-*",))
QUICK = Pace(heartbeat=0.02, silence=0.1, patience=0.3)
PATIENT = Pace(heartbeat=5, silence=15, patience=0.15)


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="cv") as folder:
        yield Path(folder) / "feed.sock"


@pytest.fixture
def grants() -> MemoryGrants:
    source = MemoryGrants()
    source.tokens[DIGEST] = TOKEN
    return source


async def until(true: Callable[[], object], timeout: float = 2.0) -> None:
    async with asyncio.timeout(timeout):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_worker_is_welcomed_with_pepper_and_configuration(path: Path, grants: MemoryGrants) -> None:
    async with open_feed(path, grants, PEPPER, Snapshot(version=7)), connected(path) as worker:
        welcome = await worker.next()
    assert welcome == Welcome(pepper=PEPPER.hex(), snapshot=Snapshot(version=7))


async def test_the_socket_is_its_owners_alone_and_replaces_a_left_over(
    path: Path, grants: MemoryGrants
) -> None:
    path.write_text("left by a killed life")
    async with open_feed(path, grants, PEPPER, Snapshot(version=1)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)


async def test_a_socket_that_cannot_be_made_is_the_operators_error(
    tmp_path: Path, grants: MemoryGrants
) -> None:
    with pytest.raises(OperatorError, match="cannot be made"):
        async with open_feed(tmp_path / "no" / "feed.sock", grants, PEPPER, Snapshot(version=1)):
            pass


async def test_look_ups_are_answered_with_grant_or_reason(path: Path, grants: MemoryGrants) -> None:
    grants.tokens[b"r" * 32] = Token(id="tok_r", name="gone", created_at=1, revoked_at=2)
    async with open_feed(path, grants, PEPPER, Snapshot(version=1)), connected(path) as worker:
        assert isinstance(await worker.next(), Welcome)
        assert await worker.look_up(DIGEST) == Granted(digest=DIGEST.hex(), grant=Holder(token=TOKEN).grant())
        assert await worker.look_up(b"r" * 32) == Granted(digest=(b"r" * 32).hex(), reason="revoked")
        assert await worker.look_up(b"x" * 32) == Granted(digest=(b"x" * 32).hex(), reason="unknown")


async def test_a_look_up_overtaken_by_a_revocation_never_brings_the_older_grant(
    path: Path, grants: MemoryGrants
) -> None:
    grants.gate = asyncio.Event()
    async with open_feed(path, grants, PEPPER, Snapshot(version=1)) as feed, connected(path) as worker:
        assert isinstance(await worker.next(), Welcome)
        worker.say(Lookup(digest=DIGEST.hex()))
        await asyncio.wait_for(grants.read.wait(), 2)  # the grant is read, the answer not yet sent
        grants.revoke(DIGEST, now_us())
        assert await feed.revoke(Whose(tokens=("tok_1",))) == []
        grants.gate.set()
        assert await worker.next() == Revoke(push=1, whose=Whose(tokens=("tok_1",)))
        assert await worker.next() == Granted(digest=DIGEST.hex(), reason="revoked")
        assert grants.reads == 2


async def test_a_store_that_cannot_be_asked_is_asked_again_and_nothing_is_answered_meanwhile(
    path: Path, grants: MemoryGrants
) -> None:
    grants.faults = 2
    async with open_feed(path, grants, PEPPER, Snapshot(version=1), pace=QUICK), connected(path) as worker:
        assert isinstance(await worker.next(), Welcome)
        assert (await worker.look_up(DIGEST)).grant == Holder(token=TOKEN).grant()


async def test_a_revocation_waits_for_every_worker(path: Path, grants: MemoryGrants) -> None:
    async with (
        open_feed(path, grants, PEPPER, Snapshot(version=1), expected=2) as feed,
        connected(path, 0) as quick,
        connected(path, 1, auto=False) as slow,
    ):
        assert isinstance(await quick.next(), Welcome)
        assert isinstance(await slow.next(), Welcome)
        revoking = asyncio.create_task(feed.revoke(Whose(tokens=("tok_1",))))
        push = await slow.next()
        assert isinstance(push, Revoke)
        assert isinstance(await quick.next(), Revoke)
        await asyncio.sleep(0.02)
        assert not revoking.done()
        slow.say(Ack(push=push.push))
        assert await asyncio.wait_for(revoking, 0.5) == []


async def test_a_worker_that_does_not_acknowledge_in_time_is_named(path: Path, grants: MemoryGrants) -> None:
    async with (
        open_feed(path, grants, PEPPER, Snapshot(version=1), expected=2, pace=PATIENT) as feed,
        connected(path, 0) as quick,
        connected(path, 1, auto=False) as slow,
    ):
        assert isinstance(await quick.next(), Welcome)
        assert isinstance(await slow.next(), Welcome)
        assert await feed.revoke(Whose(tokens=("tok_1",))) == [1]
        assert await feed.forget(Whose(tokens=("tok_1",))) == [1]
        assert await feed.configure(Snapshot(version=2)) == [1]


async def test_a_revocation_is_told_to_a_worker_that_returns_while_it_waits(
    path: Path, grants: MemoryGrants
) -> None:
    async with open_feed(path, grants, PEPPER, Snapshot(version=1), expected=1) as feed:
        revoking = asyncio.create_task(feed.revoke(Whose(tokens=("tok_1",))))
        await asyncio.sleep(0)
        async with connected(path) as worker:
            assert isinstance(await worker.next(), Welcome)
            assert await worker.next() == Revoke(push=1, whose=Whose(tokens=("tok_1",)))
            assert await revoking == []


async def test_a_dead_worker_is_not_waited_for_in_vain(path: Path, grants: MemoryGrants) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    async with open_feed(path, grants, PEPPER, Snapshot(version=1), pace=PATIENT) as feed:
        async with connected(path, pid=dead.pid) as worker:
            assert isinstance(await worker.next(), Welcome)
        await until(lambda: not feed.connected())
        assert await feed.revoke(Whose(tokens=("tok_1",))) == []
        async with connected(path, pid=os.getpid()) as worker:
            assert isinstance(await worker.next(), Welcome)
        await until(lambda: not feed.connected())
        assert await feed.revoke(Whose(tokens=("tok_1",))) == [0], "it lives, only its connection is gone"


async def test_a_worker_that_returns_is_told_what_was_revoked_while_it_was_away(
    path: Path, grants: MemoryGrants
) -> None:
    grants.revoke(DIGEST, now_us())
    grants.faults = 1
    async with open_feed(path, grants, PEPPER, Snapshot(version=1), pace=QUICK), connected(path) as worker:
        assert isinstance(await worker.next(), Welcome)
        assert await worker.next() == Revoke(push=1, whose=Whose(tokens=("tok_1",)))


async def test_configurations_and_changed_grants_are_pushed(path: Path, grants: MemoryGrants) -> None:
    async with open_feed(path, grants, PEPPER, Snapshot(version=1)) as feed:
        assert await feed.configure(Snapshot(version=2)) == []
        assert await feed.forget(Whose(tokens=("tok_1",))) == [], "one that connects knows no grants"
        async with connected(path) as worker:
            assert await worker.next() == Welcome(pepper=PEPPER.hex(), snapshot=Snapshot(version=2))
            assert await feed.configure(Snapshot(version=3)) == []
            assert await feed.forget(Whose(tokens=("tok_1",))) == []
            assert await worker.next() == Configure(push=3, snapshot=Snapshot(version=3))
            assert await worker.next() == Forget(push=4, whose=Whose(tokens=("tok_1",)))


async def test_a_configuration_does_not_wait_for_a_worker_that_went(path: Path, grants: MemoryGrants) -> None:
    async with open_feed(path, grants, PEPPER, Snapshot(version=1)) as feed:
        async with connected(path, auto=False) as worker:
            assert isinstance(await worker.next(), Welcome)
            pushing = asyncio.create_task(feed.configure(Snapshot(version=2)))
            assert isinstance(await worker.next(), Configure)
        assert await asyncio.wait_for(pushing, 0.5) == []


async def test_a_configuration_for_everywhere_waits_for_a_worker_that_is_away(
    path: Path, grants: MemoryGrants
) -> None:
    slow = Pace(5, 15, 1.0)
    async with open_feed(path, grants, PEPPER, Snapshot(version=1), expected=1, pace=slow) as feed:
        waiting = asyncio.create_task(feed.configure(Snapshot(version=2), everywhere=True))
        await asyncio.sleep(0.05)
        await feed.configure(Snapshot(version=3))
        assert not waiting.done()
        async with connected(path) as worker:
            # What returns hears the newest of them, under the number that is waited for.
            assert await worker.next() == Welcome(pepper=PEPPER.hex(), snapshot=Snapshot(version=3))
            assert await worker.next() == Configure(push=1, snapshot=Snapshot(version=3))
            assert await waiting == []
    async with (
        open_feed(path, grants, PEPPER, Snapshot(version=1), expected=2, pace=PATIENT) as feed,
        connected(path, 1),
    ):
        await until(lambda: len(feed.connected()) == 1)
        assert await feed.configure(Snapshot(version=2), everywhere=True) == [0]


async def test_a_silent_peer_is_dropped_and_a_living_one_kept(path: Path, grants: MemoryGrants) -> None:
    gone: list[Hello] = []
    async with (
        open_feed(path, grants, PEPPER, Snapshot(version=1), pace=QUICK, gone=gone.append) as feed,
        connected(path, 0) as silent,
        connected(path, 1) as living,
    ):
        assert isinstance(await silent.next(), Welcome)
        assert isinstance(await living.next(), Welcome)
        async with asyncio.timeout(2):
            while silent.heard.empty():
                living.say(Health(calls=3))
                await asyncio.sleep(0.02)
        assert await silent.next() is None
        assert [hello.worker for hello in gone] == [0]
        [state] = feed.connected()
        assert (state.worker, state.pid, state.chain) == (1, os.getpid(), "chain_1")
        assert state.health is not None
        assert state.health.calls == 3
        assert living.beats >= 2


async def test_one_that_never_says_hello_is_dropped(path: Path, grants: MemoryGrants) -> None:
    async with open_feed(path, grants, PEPPER, Snapshot(version=1), pace=QUICK):
        reader, writer = await asyncio.open_unix_connection(str(path))
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()


@pytest.mark.parametrize(
    "said",
    [
        [Ack(push=1)],
        [Hello(worker=0, pid=1, chain="c"), Hello(worker=0, pid=1, chain="c")],
        [Hello(worker=0, pid=1, chain="c"), Lookup(digest="no hex")],
    ],
)
async def test_one_that_does_not_speak_the_feed_is_dropped(
    path: Path, grants: MemoryGrants, said: list[Hello | Ack | Lookup]
) -> None:
    async with open_feed(path, grants, PEPPER, Snapshot(version=1)):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"".join(frame(message) for message in said))
        with pytest.raises(ConnectionError) if len(said) == 3 else _ended():
            await asyncio.wait_for(reader.read(), 2)
        writer.close()


class _ended:
    """Either kind of ending will do: a reset, or an end."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        return kind is None or issubclass(kind, ConnectionError)


async def test_a_worker_that_connects_anew_replaces_its_older_connection(
    path: Path, grants: MemoryGrants
) -> None:
    async with open_feed(path, grants, PEPPER, Snapshot(version=1)) as feed, connected(path) as older:
        assert isinstance(await older.next(), Welcome)
        async with connected(path) as newer:
            assert isinstance(await newer.next(), Welcome)
            assert await older.next() is None
            assert len(feed.connected()) == 1
            assert await feed.revoke(Whose(tokens=("tok_1",))) == []


async def test_a_worker_that_reads_nothing_is_dropped_before_it_fills_the_memory(
    path: Path, grants: MemoryGrants
) -> None:
    big = tuple(f"tok_{n:020}" for n in range(100_000))
    async with open_feed(path, grants, PEPPER, Snapshot(version=1), expected=0, pace=PATIENT) as feed:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1024)
        writer.write(frame(Hello(worker=0, pid=os.getpid(), chain="c")))
        await until(feed.connected)
        tries = 0
        while feed.connected() and tries < 10:
            tries += 1
            await feed.forget(Whose(tokens=big))
        assert feed.connected() == []
        assert tries * len(big) * 24 > feed_peer.MAX_UNREAD / 2
        writer.close()
        del reader


async def test_a_flood_of_look_ups_is_read_no_faster_than_it_is_answered(
    path: Path, grants: MemoryGrants
) -> None:
    grants.gate = asyncio.Event()
    asked = feed_peer.MAX_ASKED * 2
    async with open_feed(path, grants, PEPPER, Snapshot(version=1)), connected(path) as worker:
        assert isinstance(await worker.next(), Welcome)
        for number in range(asked):
            worker.say(Lookup(digest=number.to_bytes(32).hex()))
        await asyncio.wait_for(grants.read.wait(), 2)
        grants.gate.set()
        for _ in range(asked):
            assert isinstance(await worker.next(), Granted)


async def test_control_may_die_and_return_and_the_worker_syncs_anew(path: Path, grants: MemoryGrants) -> None:
    async with AsyncExitStack() as lives:
        async with open_feed(path, grants, PEPPER, Snapshot(version=1)):
            worker = await lives.enter_async_context(connected(path))
            assert isinstance(await worker.next(), Welcome)
            assert (await worker.look_up(DIGEST)).grant is not None
        assert await worker.next() is None, "the worker notices"
    grants.revoke(DIGEST, now_us())
    async with open_feed(path, grants, PEPPER, Snapshot(version=2)), connected(path) as worker:
        assert await worker.next() == Welcome(pepper=PEPPER.hex(), snapshot=Snapshot(version=2))
        assert await worker.next() == Revoke(push=1, whose=Whose(tokens=("tok_1",)))
        assert (await worker.look_up(DIGEST)).reason == "revoked"
