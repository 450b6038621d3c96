"""A worker's end of the feed, reduced to what tests need: hello, reading, acknowledging."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from chatvault.access.grant import Whose
from chatvault.access.holder import Holder
from chatvault.access.token import Token
from chatvault.core.errors import OperatorError
from chatvault.feed.frames import Frames, frame
from chatvault.feed.messages import Ack, Beat, Configure, Forget, Granted, Hello, Lookup, Revoke, ToWorker


class Worker:
    """`auto` acknowledges each push at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, auto: bool) -> None:
        self._reader = reader
        self.writer = writer
        self._auto = auto
        self._frames: Frames[ToWorker] = Frames(msgspec.json.Decoder(ToWorker))
        self.heard: asyncio.Queue[ToWorker | None] = asyncio.Queue()
        self.beats = 0

    def say(self, message: msgspec.Struct) -> None:
        self.writer.write(frame(message))

    async def next(self, timeout: float = 2.0) -> ToWorker | None:
        """What comes next but for signs of life; None when the connection has ended."""
        return await asyncio.wait_for(self.heard.get(), timeout)

    async def look_up(self, digest: bytes) -> Granted:
        self.say(Lookup(digest=digest.hex()))
        answer = await self.next()
        assert isinstance(answer, Granted)
        return answer

    async def read(self) -> None:
        while data := await self._reader.read(65536):
            for message in self._frames.feed(data):
                if isinstance(message, Beat):
                    self.beats += 1
                    continue
                if self._auto and isinstance(message, Configure | Revoke | Forget):
                    self.say(Ack(push=message.push))
                self.heard.put_nowait(message)
        self.heard.put_nowait(None)


@asynccontextmanager
async def connected(
    path: Path, number: int = 0, *, auto: bool = True, pid: int | None = None, began: int = 0
) -> AsyncIterator[Worker]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    worker = Worker(reader, writer, auto)
    worker.say(
        Hello(worker=number, pid=os.getpid() if pid is None else pid, chain=f"chain_{number}", began=began)
    )
    task = asyncio.get_running_loop().create_task(_quietly(worker))
    try:
        yield worker
    finally:
        writer.close()
        task.cancel()
        await asyncio.wait([task])


async def _quietly(worker: Worker) -> None:
    try:
        await worker.read()
    except ConnectionError:
        worker.heard.put_nowait(None)


class MemoryGrants:
    """Tokens by digest, in memory. `gate` holds a read back after it has read; `faults` counts down."""

    def __init__(self) -> None:
        self.tokens: dict[bytes, Token] = {}
        self.gate: asyncio.Event | None = None
        self.read = asyncio.Event()
        self.reads = 0
        self.faults = 0

    async def holders(self, digests: Sequence[bytes]) -> dict[bytes, Holder]:
        self.reads += 1
        if self.faults:
            self.faults -= 1
            raise OperatorError("The store is locked.")
        found = {digest: Holder(token=self.tokens[digest]) for digest in digests if digest in self.tokens}
        self.read.set()
        if self.gate is not None:
            await self.gate.wait()
        return found

    async def revoked_since(self, at_us: int) -> Whose:
        if self.faults:
            self.faults -= 1
            raise OperatorError("The store is locked.")
        tokens = self.tokens.values()
        return Whose(tuple(t.id for t in tokens if t.revoked_at is not None and t.revoked_at >= at_us))

    def revoke(self, digest: bytes, at_us: int) -> None:
        self.tokens[digest] = msgspec.structs.replace(self.tokens[digest], revoked_at=at_us)
