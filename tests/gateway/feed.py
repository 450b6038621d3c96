"""Control, as far as a worker can tell: tokens in memory, pushes that wait for their acknowledgement.

It can fall silent, die, and come back.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from chatvault.access.credential import digest, new_token
from chatvault.access.grant import Grant, Whose
from chatvault.config.snapshot import AccessToken, Snapshot
from chatvault.core.ids import short_id
from chatvault.feed.frames import Frames, frame
from chatvault.feed.messages import (
    Access,
    Ack,
    Answer,
    Ask,
    Balances,
    Beat,
    Borrow,
    Configure,
    Forget,
    GaveBack,
    Granted,
    Health,
    Hello,
    Lent,
    Lookup,
    PeriodOver,
    Revoke,
    ToControl,
    Welcome,
)

PEPPER = bytes(range(32))


class Control:
    """`deaf`: look-ups are not answered. `lookups` counts them; `health` is the worker's latest."""

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        self.path = path
        self.snapshot = snapshot
        self.grants: dict[str, Granted] = {}
        self.deaf = False
        self.access: dict[str, AccessToken] = {}
        self.lookups = 0
        self.asks: list[Ask] = []
        self.answers: dict[str, tuple[int, str]] = {}
        """By what is asked; what is not here is not answered."""
        self.budgets: dict[str, int] = {}
        """What is left to lend of each budget."""
        self.heard: list[ToControl] = []
        """What the worker said of budgets."""
        self.lends = True
        """False: what is asked for is not answered."""
        self.health: Health | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pushes: dict[int, asyncio.Event] = {}
        self._beating: asyncio.Task[None] | None = None

    def token(self, *, revoked: bool = False, project: str = "default", **limits: Any) -> str:
        """A new token that control knows; `limits` are those of its grant."""
        text = new_token()
        key = digest(PEPPER, text.encode()).hex()
        grant = Grant(token=short_id("tok"), project=project, user="usr_1", **limits)
        self.grants[key] = Granted(key, None, "revoked") if revoked else Granted(key, grant)
        return text

    def grant(self, token: str) -> Grant:
        grant = self.grants[digest(PEPPER, token.encode()).hex()].grant
        assert grant is not None
        return grant

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def stop(self) -> None:
        """As a killed process: its sockets are gone."""
        server, self._server = self._server, None
        if server is None:
            return
        if self._beating is not None:
            self._beating.cancel()
        server.close()
        for writer in [*self._writers]:
            writer.transport.abort()
        await server.wait_closed()
        self.path.unlink(missing_ok=True)

    async def revoke(self, token: str) -> None:
        """Returns when the worker has acknowledged it."""
        key = digest(PEPPER, token.encode()).hex()
        grant = self.grant(token)
        self.grants[key] = Granted(key, None, "revoked")
        await self._push(Revoke(self._number(), Whose(tokens=(grant.token,))))

    async def forget(self, token: str) -> None:
        await self._push(Forget(self._number(), Whose(tokens=(self.grant(token).token,))))

    async def configure(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        await self._push(Configure(self._number(), snapshot))

    def lend(self, tokens: dict[str, AccessToken]) -> None:
        self.access = tokens
        self.say(frame(Access(tokens)))

    def say(self, data: bytes) -> None:
        """Anything, to every worker."""
        for writer in self._writers:
            writer.write(data)

    def _number(self) -> int:
        return len(self._pushes) + 1

    async def _push(self, message: Configure | Revoke | Forget) -> None:
        done = self._pushes[message.push] = asyncio.Event()
        self.say(frame(message))
        async with asyncio.timeout(2):
            await done.wait()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.say(frame(Beat()))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames: Frames[ToControl] = Frames(msgspec.json.Decoder(ToControl))
        self._writers.add(writer)
        try:
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    for message in frames.feed(data):
                        self._take(message, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    def _take(self, message: ToControl, writer: asyncio.StreamWriter) -> None:
        match message:
            case Hello():
                writer.write(frame(Welcome(PEPPER.hex(), self.snapshot, self.access)))
            case Borrow():
                self.heard.append(message)
                left = self.budgets.get(message.budget, 0)
                if self.lends:
                    amount = message.need if message.need <= left else 0
                    self.budgets[message.budget] = left - amount
                    writer.write(frame(Lent(message.budget, message.start, amount, left)))
            case GaveBack():
                self.heard.append(message)
                self.budgets[message.budget] = self.budgets.get(message.budget, 0) + message.amount
            case Balances() | PeriodOver():
                self.heard.append(message)
            case Lookup():
                self.lookups += 1
                if not self.deaf:
                    unknown = Granted(message.digest, None, "unknown")
                    writer.write(frame(self.grants.get(message.digest, unknown)))
            case Ack():
                self._pushes[message.push].set()
            case Health():
                self.health = message
            case Ask():
                self.asks.append(message)
                if message.what in self.answers:
                    writer.write(frame(Answer(message.number, *self.answers[message.what])))


@asynccontextmanager
async def control(path: Path, snapshot: Snapshot) -> AsyncIterator[Control]:
    house = Control(path, snapshot)
    await house.start()
    try:
        yield house
    finally:
        async with asyncio.timeout(5):
            await house.stop()
