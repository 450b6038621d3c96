"""The two ends of a call: a provider that does to the byte what a test tells it, and an `Answer` that writes down
what it hears.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chatvault.core.seam import Fault, Head, Request

POST = Request(b"POST", b"/v1/chat", [(b"x-n", b"1")], b"{}")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@dataclass
class Heard:
    """What an answer told. It checks the order `head body* (end | fault)` as it hears."""

    heads: list[Head] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    ended: bool = False
    faults: list[Fault] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    flowed: asyncio.Event = field(default_factory=asyncio.Event)
    on_body: Callable[[bytes], None] | None = None

    def head(self, head: Head) -> None:
        assert not self.heads
        assert not self.over.is_set()
        self.heads.append(head)
        self.began.set()

    def body(self, data: bytes) -> None:
        assert self.heads
        assert not self.over.is_set()
        assert data
        self.parts.append(data)
        self.flowed.set()
        if self.on_body is not None:
            self.on_body(data)

    def end(self) -> None:
        assert self.heads
        assert not self.over.is_set()
        self.ended = True
        self.over.set()

    def fault(self, fault: Fault) -> None:
        assert not self.over.is_set()
        self.faults.append(fault)
        self.over.set()

    async def whole(self) -> "Heard":
        async with asyncio.timeout(5):
            await self.over.wait()
        return self

    @property
    def status(self) -> int:
        return self.heads[0].status

    @property
    def data(self) -> bytes:
        return b"".join(self.parts)

    @property
    def code(self) -> str:
        """The fault's code, or `end`."""
        return self.faults[0].code if self.faults else "end" if self.ended else "nothing"


@dataclass
class Provider:
    """A server on a real socket. `dialled` counts connections, `gone` those that the client closed."""

    port: int = 0
    dialled: int = 0
    gone: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)


Handler = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """One connection to the provider."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    async def request(self) -> tuple[bytes, bytes]:
        """The head and the body of the next request; two empty strings at the end."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b"", b""
        length = re.search(rb"content-length: (\d+)", head)
        if length is not None:
            return head, await self.reader.readexactly(int(length[1]))
        body = b""
        if b"transfer-encoding: chunked" in head:
            while True:
                size = int(await self.reader.readline(), 16)
                part = await self.reader.readexactly(size + 2)
                if not size:
                    break
                body += part[:-2]
        return head, body

    async def write(self, data: bytes, wait: float = 0.0) -> None:
        self.writer.write(data)
        await self.writer.drain()
        if wait:
            await asyncio.sleep(wait)

    async def left(self) -> None:
        """Until the client closes."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Close with an RST."""
        self.writer.transport.abort()


@asynccontextmanager
async def provider(
    handle: Handler, *, context: ssl.SSLContext | None = None, path: str | None = None
) -> AsyncIterator[Provider]:
    state, running = Provider(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        state.dialled += 1
        try:
            await handle(Peer(reader, writer, state.dialled))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            running.discard(task)
            state.gone += 1
            state.left.set()
            writer.close()

    if path is not None:
        server = await asyncio.start_unix_server(serve, path)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in [*running]:
            task.cancel()
        if running:
            await asyncio.wait([*running], timeout=2)


def answering(*answers: bytes, wait: float = 0.0) -> Handler:
    """Answers each request of a connection in turn, the last one again and again."""

    async def handle(peer: Peer) -> None:
        turn = 0
        while (await peer.request())[0]:
            await peer.write(answers[min(turn, len(answers) - 1)], wait)
            turn += 1

    return handle


def closing(*parts: bytes, wait: float = 0.0) -> Handler:
    """Answers one request in these packets, then closes."""

    async def handle(peer: Peer) -> None:
        await peer.request()
        for part in parts:
            await peer.write(part, wait)

    return handle


async def soon(condition: Callable[[], bool], within: float = 2.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)
