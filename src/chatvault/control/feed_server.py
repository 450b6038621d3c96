"""Control's end of the feed.

A worker connects, says `Hello`, and gets `Welcome`: pepper and configuration. From then on it asks
(`Lookup`), and control pushes: `Configure`, `Forget`, `Revoke`. A push is over when every worker it
concerns has acknowledged it.

Which workers that is differs. A new configuration concerns those that are connected: one that returns is
welcomed with it. A revocation (of tokens, or of a provider's key) concerns every worker there should be: one
that has lost its connection still serves what it knows, so it is waited for, told again as soon as it is back,
and named if it does not come in time.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from chatvault.access.grant import Whose
from chatvault.access.limits import Scope
from chatvault.access.store import GrantSource
from chatvault.config.snapshot import AccessToken, Snapshot
from chatvault.control.feed_peer import Peer
from chatvault.control.idleness import Idleness
from chatvault.control.lender import Lender
from chatvault.control.lookups import Lookups
from chatvault.control.questions import Questions
from chatvault.control.recall import Recall
from chatvault.control.shown import Shown
from chatvault.control.sockets import listen_privately
from chatvault.core.clock import now_us
from chatvault.core.errors import OperatorError
from chatvault.feed.frames import frame
from chatvault.feed.messages import (
    HEARTBEAT,
    SILENCE,
    Access,
    Ask,
    Beat,
    Configure,
    Forget,
    Health,
    Hello,
    Lending,
    Readings,
    Revoke,
    ShowLimits,
    Welcome,
)

MEMORY = 24 * 3600 * 1_000_000
"""Microseconds. A worker that returns is told of the tokens revoked since: it may have calls of theirs."""

_log = logging.getLogger(__name__)


class Pace(msgspec.Struct, frozen=True):
    """Seconds: between two signs of life; of silence, until a peer is gone; that a push waits for workers."""

    heartbeat: float = HEARTBEAT
    silence: float = SILENCE
    patience: float = 1.0


PACE = Pace()


class Connected(msgspec.Struct, frozen=True):
    """A worker that is connected. `silent` is seconds since it was last heard."""

    worker: int
    pid: int
    chain: str
    silent: float
    health: Health | None


class _Push:
    """One push that waits: for which workers, and what one that returns has to hear in its place, if anything."""

    __slots__ = ("again", "data", "done", "missing")

    def __init__(self, data: bytes, missing: set[int], again: Callable[[], bytes] | None) -> None:
        self.data = data
        self.missing = missing
        self.again = again
        self.done = asyncio.Event()

    def settle(self, worker: int) -> None:
        self.missing.discard(worker)
        if not self.missing:
            self.done.set()


class FeedServer:
    """Made by `open_feed`. `expected` is how many workers there should be, numbered from 0."""

    def __init__(
        self,
        source: GrantSource,
        pepper: bytes,
        snapshot: Snapshot,
        *,
        expected: int,
        pace: Pace,
        gone: Callable[[Hello], None],
        group: asyncio.TaskGroup,
        lender: Lender | None = None,
    ) -> None:
        self._lender = lender or Lender()
        self._source = source
        self._pepper = pepper
        self._expected = expected
        self._pace = pace
        self._gone = gone
        self._group = group
        self.idleness = Idleness(int(2 * pace.heartbeat * 1e6))
        self.questions = Questions()
        """Who answers what clients ask on the data port."""
        self.recall = Recall()
        self._lookups = Lookups(source, self.idleness, self.recall, retry=pace.heartbeat / 4)
        self._shows: dict[int, Shown] = {}
        self._strangers: set[Peer] = set()
        self._peers: dict[int, Peer] = {}
        self._pids: dict[int, int] = {}
        self._pushes: dict[int, _Push] = {}
        self._last_push = 0
        self._access: dict[str, AccessToken] = {}
        self.snapshot = snapshot

    # -- what control asks of it

    async def configure(self, snapshot: Snapshot, *, everywhere: bool = False) -> list[int]:
        """Push a configuration, which is what workers are welcomed with from now on. Answers with the workers
        that had not acknowledged it in time; they have it in their mail. `everywhere`: something in it is used no
        more, so that it is asked of a worker that is not connected too, as in `revoke`."""
        self.snapshot = snapshot
        self._last_push += 1
        message = Configure(push=self._last_push, snapshot=snapshot)
        if everywhere:
            # One that returns meanwhile has been welcomed with a newer one, perhaps: not back to this.
            number = self._last_push
            return await self._push_everywhere(
                message, lambda: frame(Configure(push=number, snapshot=self.snapshot))
            )
        return await self._push(message, set(self._peers))

    def lend(self, tokens: dict[str, AccessToken]) -> None:
        """Hand these access tokens to the workers, in place of all before them; those that return are welcomed with
        them."""
        self._access = tokens
        data = frame(Access(tokens))
        for peer in self._peers.values():
            peer.send(data)

    async def forget(self, whose: Whose) -> list[int]:
        """Have these looked up again; call it after they were changed. Answers as `configure` does."""
        self._lookups.overtake()
        self._last_push += 1
        message = Forget(push=self._last_push, whose=whose)
        return await self._push(message, set(self._peers))

    async def revoke(self, whose: Whose) -> list[int]:
        """End these everywhere; call it after the store has them revoked. Answers with the workers
        that are, or may be, alive and had not acknowledged it in time."""
        self._lookups.overtake()
        self._last_push += 1
        message = Revoke(push=self._last_push, whose=whose)
        return await self._push_everywhere(message, lambda: frame(message))

    async def show_limits(self, scope: Scope | None, subject: str | None) -> Shown:
        """How full the windows are, as all workers say that are connected; those that do not in time are named."""
        self._last_push += 1
        number = self._last_push
        shown = self._shows[number] = Shown(set(self._peers))
        try:
            data = frame(ShowLimits(number, scope, subject))
            for peer in list(self._peers.values()):
                peer.send(data)
            await shown.wait(self._pace.patience)
        finally:
            del self._shows[number]
        return shown

    def connected(self) -> list[Connected]:
        """The workers that are connected, by number."""
        now = asyncio.get_running_loop().time()
        found = []
        for worker, peer in sorted(self._peers.items()):
            assert peer.hello is not None
            silent = round(max(0.0, now - peer.heard_at), 3)
            found.append(Connected(worker, peer.hello.pid, peer.hello.chain, silent, peer.health))
        return found

    @property
    def expected(self) -> int:
        return self._expected

    # -- what peers report

    def joined(self, peer: Peer) -> None:
        self._strangers.add(peer)

    def greeted(self, peer: Peer, hello: Hello) -> None:
        self._strangers.discard(peer)
        older = self._peers.get(hello.worker)
        self._peers[hello.worker] = peer
        if older is not None:
            older.abort()
        self._pids[hello.worker] = hello.pid
        peer.send(frame(Welcome(pepper=self._pepper.hex(), snapshot=self.snapshot, access=self._access)))
        self._lender.joined(peer)
        for push in self._pushes.values():
            if push.again is not None and hello.worker in push.missing:
                peer.send(push.again())
        self._group.create_task(self._remind(peer))

    def asked(self, peer: Peer, digest: bytes) -> None:
        self._lookups.ask(peer, digest)

    def acknowledged(self, peer: Peer, push: int) -> None:
        waiting = self._pushes.get(push)
        if waiting is not None and peer.hello is not None:
            waiting.settle(peer.hello.worker)

    def questioned(self, peer: Peer, ask: Ask) -> None:
        self._group.create_task(self._answer(peer, ask))

    def healthy(self, health: Health) -> None:
        self.idleness.used(health.used)

    def lending(self, peer: Peer, message: Lending) -> None:
        self._lender.told(peer, message)

    def read(self, peer: Peer, message: Readings) -> None:
        shown = self._shows.get(message.number)
        if shown is not None and peer.hello is not None:
            shown.take(peer.hello.worker, message)

    def lost(self, peer: Peer) -> None:
        self._strangers.discard(peer)
        self._lender.lost(peer)
        hello = peer.hello
        if hello is None:
            return
        if self._peers.get(hello.worker) is peer:
            del self._peers[hello.worker]
            for push in self._pushes.values():
                if push.again is None:
                    push.settle(hello.worker)
        self._gone(hello)

    # -- what runs beside

    async def look_up(self) -> None:
        """Answer look-ups, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.recall.run())
            group.create_task(self._lookups.run())

    async def beat(self) -> None:
        """Send signs of life and drop the silent, for ever."""
        clock = asyncio.get_running_loop().time
        data = frame(Beat())
        while True:
            due = clock() + self._pace.heartbeat
            await asyncio.sleep(self._pace.heartbeat)
            now = clock()
            stood_still = now - due > self._pace.heartbeat
            for peer in [*self._strangers, *self._peers.values()]:
                if stood_still:  # then the silence was ours: what they said may wait to be read
                    peer.heard_at = now
                elif now - peer.heard_at > self._pace.silence:
                    _log.error(
                        "Worker %s was silent for too long.", peer.hello.worker if peer.hello else "(unnamed)"
                    )
                    peer.abort()
                elif peer.hello is not None:
                    peer.send(data)

    def drop_all(self) -> None:
        for peer in [*self._strangers, *self._peers.values()]:
            peer.abort()

    async def _answer(self, peer: Peer, ask: Ask) -> None:
        peer.send(frame(await self.questions.answer(ask)))
        peer.told()

    async def _push_everywhere(self, message: msgspec.Struct, again: Callable[[], bytes]) -> list[int]:
        missing = await self._push(message, {*range(self._expected), *self._peers}, again)
        return [worker for worker in missing if worker in self._peers or self._may_live(worker)]

    async def _push(
        self, message: msgspec.Struct, concerned: set[int], again: Callable[[], bytes] | None = None
    ) -> list[int]:
        number = self._last_push
        push = _Push(frame(message), concerned, again)
        for peer in list(self._peers.values()):
            peer.send(push.data)
        if not concerned:
            return []
        self._pushes[number] = push
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(push.done.wait(), self._pace.patience)
        finally:
            del self._pushes[number]
        return sorted(push.missing)

    async def _remind(self, peer: Peer) -> None:
        """Tell a worker that has connected of what was revoked while it was away."""
        while self._peers.get(peer.hello.worker if peer.hello else -1) is peer:
            try:
                whose = await self._source.revoked_since(now_us() - MEMORY)
            except OperatorError as error:
                _log.error("Revoked tokens cannot be read: %s", error.message)
                await asyncio.sleep(self._pace.heartbeat)
                continue
            if whose != Whose():
                self._last_push += 1
                peer.send(frame(Revoke(push=self._last_push, whose=whose)))
            return

    def _may_live(self, worker: int) -> bool:
        pid = self._pids.get(worker)
        if pid is None:
            return True
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


@asynccontextmanager
async def open_feed(
    path: Path,
    source: GrantSource,
    pepper: bytes,
    snapshot: Snapshot,
    *,
    expected: int = 1,
    pace: Pace = PACE,
    gone: Callable[[Hello], None] = lambda hello: None,
    lender: Lender | None = None,
) -> AsyncIterator[FeedServer]:
    """Serve the feed on a unix socket (0600) at `path`, whose folder has to be the owner's alone.

    What workers say of budgets goes to `lender`.

    `gone` hears of each worker that was connected and is not any more. Raises OperatorError when the socket
    cannot be made.
    """
    listening = await asyncio.to_thread(listen_privately, path)
    async with asyncio.TaskGroup() as group:
        server = FeedServer(
            source, pepper, snapshot, expected=expected, pace=pace, gone=gone, group=group, lender=lender
        )
        listener = await asyncio.get_running_loop().create_unix_server(lambda: Peer(server), sock=listening)
        running = [group.create_task(server.look_up()), group.create_task(server.beat())]
        try:
            yield server
        finally:
            listener.close()
            server.drop_all()
            for task in running:
                task.cancel()
