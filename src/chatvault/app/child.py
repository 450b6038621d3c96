"""The entry of every process but the supervisor: `python -m chatvault.app FD`, where FD is its end of the
link."""

import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from chatvault.app.link import Reload, Start, Stop, Told, decode_to_child
from chatvault.core.errors import OperatorError

Status = Callable[[dict[str, object]], None]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_FILES: Final = 65_536
_LAST_RESORT: Final = 5.0
"""Seconds a child may take to end after its supervisor died, before it ends itself."""


class Life:
    """How long this process goes on: until `stop` is set, by the supervisor or because the supervisor died."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self.stop = asyncio.Event()
        self.told = asyncio.Event()
        """The operator has seen the first tokens."""
        self.grace = 0.0
        self.on_reload: Callable[[], Awaitable[None]] | None = None
        self._reloads: set[asyncio.Task[None]] = set()
        self._last_resort = False

    def tell(self, news: dict[str, object]) -> None:
        """Say something to the supervisor; if it is gone, its silence says more."""
        with suppress(OSError):
            self._link.sendall(msgspec.json.encode(news) + b"\n")

    async def watch(self, rest: bytes) -> None:
        """Hear the supervisor out. Ends by cancellation, or with the link."""
        loop = asyncio.get_running_loop()
        self._link.setblocking(False)
        while True:
            while b"\n" in rest:
                text, _, rest = rest.partition(b"\n")
                self._take(decode_to_child(text))
            try:
                data = await loop.sock_recv(self._link, 65536)
            except OSError:  # reset: it died with words of ours unread
                data = b""
            if not data:
                self.orphaned()
                return
            rest += data

    def _take(self, message: object) -> None:
        if isinstance(message, Stop):
            self.grace = message.grace
            self.stop.set()
        elif isinstance(message, Told):
            self.told.set()
        elif isinstance(message, Reload) and self.on_reload is not None:
            task = asyncio.get_running_loop().create_task(
                _reload(self.on_reload)
            )  # owned: awaited by `settle`
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

    def orphaned(self) -> None:
        """The supervisor is dead: nobody will start again what ends now, and the next gateway waits for the
        end."""
        self.grace = 0.0
        self.stop.set()
        if self._last_resort:
            return
        self._last_resort = True
        timer = threading.Timer(_LAST_RESORT, os._exit, (1,))
        timer.daemon = True
        timer.start()

    async def settle(self) -> None:
        for task in [*self._reloads]:
            task.cancel()
        await asyncio.gather(*self._reloads, return_exceptions=True)


async def _reload(reload: Callable[[], Awaitable[None]]) -> None:
    await reload()


_TELL_ALL = "httpx2", "httpcore2"
"""They log whole addresses and heads, secrets among them."""


def main(argv: list[str]) -> int:
    """Run the child that the link asks for. The exit status is 0 after an orderly end, 1 when it could not do
    its work."""
    link = socket.socket(fileno=int(argv[0]))
    link.set_inheritable(False)
    start, rest = _first_line(link)
    if start is None:
        return 1
    _settle_in(start)
    _allow_many_files()
    logging.basicConfig(
        level=start.log_level.upper(),
        stream=sys.stderr,
        format=f"%(asctime)s %(levelname)s {_name(start)} %(name)s: %(message)s",
    )
    for name in _TELL_ALL:
        logging.getLogger(name).setLevel(logging.WARNING)
    run = _runner()
    try:
        return run(_live(start, link, rest))
    except KeyboardInterrupt:
        return 0


def _first_line(link: socket.socket) -> tuple[Start | None, bytes]:
    data = b""
    while b"\n" not in data:
        part = link.recv(65536)
        if not part:
            return None, b""
        data += part
    text, _, rest = data.partition(b"\n")
    start = decode_to_child(text)
    return (start, rest) if isinstance(start, Start) else (None, rest)


def _settle_in(start: Start) -> None:
    """Leave signals to the supervisor, which ends us in order: a terminal's Ctrl-C and a service manager's
    SIGTERM reach every process of the group, and calls are to have their grace. On Linux, take a name for
    `ps` and `top`, and ask for SIGUSR1 when the supervisor dies; elsewhere the link's end has to do."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NAME, f"cv-{_name(start)}".encode())
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)


def _allow_many_files() -> None:
    """Hold as many files open as the system lets us: each call takes two, and shells allow few unasked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a limit beside the one it states
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _name(start: Start) -> str:
    return f"worker{start.number}" if start.kind == "worker" else start.kind


def _runner() -> Callable[[Any], int]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


async def _live(start: Start, link: socket.socket, rest: bytes) -> int:
    life = Life(link)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, life.orphaned)
    watching = loop.create_task(life.watch(rest))  # owned: cancelled below
    failed = 0
    try:
        await KINDS[start.kind](start, life)
    except* OperatorError as errors:
        failed = 1
        first = _first(errors)
        life.tell({"failed": first.message, "code": first.code})
    finally:
        watching.cancel()
        await life.settle()
        with suppress(asyncio.CancelledError):
            await watching
    return failed


def _first(errors: BaseExceptionGroup[OperatorError]) -> OperatorError:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, OperatorError)
    return found


async def _worker(start: Start, life: Life) -> None:
    from chatvault.app.options import WorkerStart
    from chatvault.config.runtime import FEED_SOCKET
    from chatvault.gateway.service import run_worker
    from chatvault.gateway.worker import WorkerOptions

    told = msgspec.json.decode(start.options, type=WorkerStart)
    listener = socket.socket(fileno=start.listeners["data"])
    listener.setblocking(False)
    options = WorkerOptions(
        number=start.number,
        listener=listener,
        feed=Path(told.runtime_dir) / FEED_SOCKET,
        data_dir=Path(told.data_dir),
        snapshot=told.snapshot,
    )

    def status(news: dict[str, object]) -> None:
        gc.collect()
        gc.freeze()  # what start-up made stays; the collector need not look at it again
        gc.set_threshold(20_000, 20, 50)  # calls leave no cycles behind, so that it has little to find
        life.tell(news)

    await run_worker(options, status, life.stop, lambda: life.grace)


async def _recorder(start: Start, life: Life) -> None:
    from chatvault.app.options import RecorderStart
    from chatvault.recorder.options import RecorderOptions
    from chatvault.recorder.process import run_recorder

    told = msgspec.json.decode(start.options, type=RecorderStart)
    await run_recorder(RecorderOptions(data_dir=Path(told.data_dir)), life.tell, life.stop)


async def _control(start: Start, life: Life) -> None:
    from chatvault.app.control import run

    await run(start, life)


async def _fake(start: Start, life: Life) -> None:
    from chatvault.app.options import FakeStart
    from chatvault.fake import FakeProvider

    told = msgspec.json.decode(start.options, type=FakeStart)
    async with FakeProvider(unix=told.socket, pace_ms=told.pace_ms):
        life.tell({"ready": True})
        await life.stop.wait()


async def _longtail(start: Start, life: Life) -> None:
    from chatvault.app.longtail import serve_longtail
    from chatvault.app.options import LongtailStart

    told = msgspec.json.decode(start.options, type=LongtailStart)
    await serve_longtail(Path(told.socket), told.env, life.tell, life.stop)


async def _tiny(start: Start, life: Life) -> None:
    from chatvault.app.options import TinyStart
    from chatvault.app.tiny import serve_tiny

    await serve_tiny(msgspec.json.decode(start.options, type=TinyStart).port, life.tell, life.stop)


KINDS: Final[dict[str, Callable[[Start, Life], Awaitable[None]]]] = {
    "worker": _worker,
    "recorder": _recorder,
    "control": _control,
    "fake": _fake,
    "tiny": _tiny,
    "litellm": _longtail,
}
