"""A real worker in the test's own loop: real sockets on both sides, a real journal, control's real feed.

    async with gateway(tmp_path) as gate:
        client = gate.client()
        ...
        assert (await gate.records()).only().state == "completed"

When it ends, what must always hold is checked: the chain verifies, each call that was opened was closed exactly
once, and the provider saw no call before the journal had it.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from openai import AsyncOpenAI

from chatvault import __version__
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig, ModelConfig, ServerConfig, Timeouts
from chatvault.config.snapshot import ProviderSnapshot, Snapshot
from chatvault.fake import FakeProvider
from chatvault.fake.stats import Stats
from chatvault.gateway.service import run
from chatvault.gateway.worker import Worker, WorkerOptions
from chatvault.providers.rows import ROWS
from tests.fake.raw import Heard, written
from tests.gateway.feed import Control, control
from tests.gateway.records import Records

KEY = "sk-upstream-0123456789abcdef"
"""The provider's key, which no client must ever see."""
RATES = {"input": 1_000_000, "output": 4_000_000, "cached": 250_000}
TIMEOUTS = Timeouts(connect=2.0, first_byte=10.0, idle=10.0)
CHAT = "/v1/chat/completions"


class Watch(Stats):
    """Notes how much of the journal was written when each call came."""

    def __init__(self) -> None:
        super().__init__()
        self.written: Callable[[], int] | None = None
        self.seen: list[tuple[str, int]] = []

    def begin(self, marker: str | None, body_bytes: int) -> None:
        super().begin(marker, body_bytes)
        if marker is not None and self.written is not None:
            self.seen.append((marker, self.written()))


class Gate:
    """The worker, and what is around it. `token` may do everything that is not account-wide."""

    def __init__(self, worker: Worker, control: Control, fakes: dict[str, FakeProvider], port: int) -> None:
        self.worker = worker
        self.control = control
        self.fakes = fakes
        self.port = port
        self.token = control.token()
        self.stop = asyncio.Event()
        self.drain_s = 0.2
        self._stack = AsyncExitStack()

    @property
    def fake(self) -> FakeProvider:
        return self.fakes["fake"]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def journal(self) -> Path:
        return self.worker.journal.folder

    async def records(self) -> Records:
        return await asyncio.to_thread(Records, self.journal)

    def client(self, token: str | None = None, **options: Any) -> AsyncOpenAI:
        """The real client library. It is closed with the gateway."""
        made = AsyncOpenAI(base_url=self.base_url, api_key=token or self.token, max_retries=0, **options)
        self._stack.push_async_callback(made.close)
        return made

    def post(self, body: object, path: str = CHAT, *, token: str | None = None, **headers: str) -> bytes:
        """The bytes of an authorised request."""
        headers = {"host": f"127.0.0.1:{self.port}"} | headers
        headers.setdefault("authorization", f"Bearer {token or self.token}")
        return written(body, path, **headers)

    def get(self, path: str, method: str = "GET", *, token: str | None = None, **headers: str) -> bytes:
        lines = {"host": f"127.0.0.1:{self.port}", "authorization": f"Bearer {token or self.token}"} | headers
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items() if value)
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._stack.callback(writer.close)
        return reader, writer

    async def send(self, request: bytes, *, quiet: float | None = None) -> Heard:
        """Over a connection of its own: until the answer is whole, the connection ends, or `quiet` seconds pass."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            return await converse(reader, writer, request, quiet=quiet)
        finally:
            writer.close()

    def on_exit(self, close: Callable[[], Awaitable[None]]) -> None:
        """Close a client library's connections with the gateway."""
        self._stack.push_async_callback(close)

    async def settled(self, calls: int = 0) -> None:
        """Until no call is under way, and `calls` have been served."""
        await until(lambda: not self.worker.calls and self.worker.served >= calls)

    async def aclose(self) -> None:
        await self._stack.aclose()


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, *, quiet: float | None = None
) -> Heard:
    """Sends `request` over a connection that stands, and listens until the answer is whole, the connection ends, or
    `quiet` seconds pass."""
    heard, loop = Heard(), asyncio.get_running_loop()
    begun, size, length, tail = loop.time(), 0, -1, b""
    writer.write(request)
    async with asyncio.timeout(20):
        while True:
            try:
                packet = await asyncio.wait_for(reader.read(1 << 18), quiet)
            except TimeoutError:
                break
            except ConnectionResetError:
                heard.ended = "reset"
                break
            if not packet:
                heard.ended = "eof"
                break
            heard.packets.append((loop.time() - begun, packet))
            size, tail = size + len(packet), (tail + packet)[-5:]
            if length < 0 and b"\r\n\r\n" in heard.data:
                length = len(heard.head) + 4 + int(heard.headers.get("content-length", 1 << 60))
            if quiet is None and (size >= length >= 0 or tail.endswith(b"\r\n\r\n")) and heard.whole():
                break
    return heard


async def until(true: Callable[[], object], timeout: float = 5.0) -> None:
    async with asyncio.timeout(timeout):
        while not true():
            await asyncio.sleep(0.002)


def snapshot_of(fakes: dict[str, FakeProvider], **changes: Any) -> Snapshot:
    """A configuration with these providers; `timeouts` is theirs."""
    timeouts = changes.pop("timeouts", TIMEOUTS)
    providers = {
        name: ProviderSnapshot(
            name=name,
            kind="fake",
            base_url=fake.base_url,
            headers={"authorization": f"Bearer {KEY}"},
            dialects=ROWS["fake"].dialects,
            timeouts=timeouts,
        )
        for name, fake in fakes.items()
    }
    providers |= changes.pop("providers", {})
    settings: dict[str, Any] = {
        "version": 1,
        "server": ServerConfig(drain_timeout=0.2),
        "audit": AuditConfig(reserve=1 << 16),
        "models": {"public": ModelConfig(provider="fake", model="simulated")},
        "known": {"fake": ("echo", "simulated")},
        "default_provider": "fake",
        "prices": {"fake/*": RATES},
    }
    return Snapshot(providers=providers, **settings | changes)


@asynccontextmanager
async def gateway(
    tmp_path: Path,
    *,
    names: tuple[str, ...] = ("fake",),
    tick: float | None = 0.02,
    write: Callable[[int, bytes], int] = os.write,
    sync: Callable[[int], None] | None = None,
    check: bool = True,
    **changes: Any,
) -> AsyncIterator[Gate]:
    """`names` are the providers, each a simulated one. `changes` go into the snapshot. `tick`: the worker's clock runs
    faster than it does in service, so that a test need not wait. `write` and `sync` are what the journal writes with.
    `check`: at the end, what must always hold."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="cv")))
        watch = Watch()
        fakes = {}
        for name in names:
            fake = FakeProvider(api_key=KEY, marker="x-request-id")
            fake.stats = watch
            fakes[name] = await stack.enter_async_context(fake)
        snapshot = snapshot_of(fakes, **changes)
        house = await stack.enter_async_context(control(folder / "feed.sock", snapshot))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        listener.setblocking(False)
        options = WorkerOptions(
            number=0, listener=listener, feed=folder / "feed.sock", data_dir=tmp_path, snapshot=snapshot
        )
        worker = Worker(options, asyncio.get_running_loop())
        if write is not os.write or sync is not None:
            worker.journal.close()
            more = {"sync": sync} if sync is not None else {}
            worker.journal = ChainWriter.open(
                tmp_path / "journal", "worker0", snapshot.audit, version=__version__, write=write, **more
            )
        watch.written = lambda: worker.journal.bytes
        gate = Gate(worker, house, fakes, listener.getsockname()[1])
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(
                run(worker, options, lambda status: ready.set(), gate.stop, lambda: gate.drain_s)
            )
            ticking = group.create_task(_ticking(worker, tick)) if tick is not None else None
            try:
                async with asyncio.timeout(5):
                    await ready.wait()
                yield gate
            finally:
                await gate.aclose()
                gate.stop.set()
                async with asyncio.timeout(10):
                    await asyncio.wait([serving])
                if ticking is not None:
                    ticking.cancel()
        if check:
            await _check(gate, watch)


async def _ticking(worker: Worker, pause: float) -> None:
    while True:
        await asyncio.sleep(pause)
        worker.tick()


async def _check(gate: Gate, watch: Watch) -> None:
    records = await gate.records()
    records.check_pairs()
    for call, written_then in watch.seen:
        assert call in records.ends, f"call {call} reached the provider and is not on record"
        assert records.ends[call] <= written_then, (
            f"call {call} reached the provider before its record was written"
        )
    assert KEY not in await asyncio.to_thread(_everything, gate.journal)


def _everything(folder: Path) -> str:
    return "".join(
        path.read_bytes().decode(errors="replace")
        for path in folder.parent.rglob("*.jsonl")
        if path.is_file()
    )


def decoded(heard: Heard) -> dict[str, Any]:
    value = msgspec.json.decode(heard.body)
    assert isinstance(value, dict)
    return value
