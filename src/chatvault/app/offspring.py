"""A child process as the supervisor sees it: started, told, heard, and started again when it dies."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from chatvault.app.link import Start, Stop, line
from chatvault.core.errors import OperatorError

log = logging.getLogger(__name__)

_PAUSES: Final = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the first, second, ... start after a death in quick succession."""
_QUICK: Final = 10.0
"""A child that lived longer has died of something new."""
_PASSED: Final = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "VIRTUAL_ENV",
)
_PASSED_BEGIN: Final = (
    "LC_",
    "PYTHON",
    "SSL_CERT_",
    "OPENSSL_",
    "OMP_",
    "MALLOC_",
    "LD_",
    "DYLD_",
    "COVERAGE_",
)
"""What a process needs that needs no secrets. A list of secrets would never be whole: any variable may hold
one, by the operator's choice."""

Told = Callable[[dict[str, object]], None]


class Offspring:
    """One place in the supervisor's family, filled again whenever its holder dies. `secrets`: it gets the
    whole environment."""

    def __init__(
        self,
        name: str,
        start: Callable[[], Start],
        told: Told,
        *,
        keep: tuple[int, ...] = (),
        secrets: bool = False,
    ) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self.pid: int | None = None
        self.restarts = 0
        self._start = start
        self._told = told
        self._keep = keep
        self._secrets = secrets
        self._link: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._failed: str | None = None

    async def run(self) -> None:
        """Keep one alive until `stop`. Raises OperatorError if the first one says that it cannot start."""
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self._stopping:
            began = loop.time()
            code = await self._one_life()
            if self._ended():
                return
            if self._failed is not None and not self.ready.is_set() and not self.restarts:
                raise OperatorError(self._failed)
            deaths = 1 if loop.time() - began > _QUICK else deaths + 1
            self.restarts += 1
            pause = _PAUSES[min(deaths - 1, len(_PAUSES) - 1)]
            log.warning(
                "%s (pid %s) ended with %s%s; starting it again%s",
                self.name,
                self.pid,
                code,
                f" ({self._failed})" if self._failed else "",
                f" in {pause:g} s" if pause else "",
            )
            await asyncio.sleep(pause)

    def _ended(self) -> bool:
        """Whether it was told to stop meanwhile."""
        return self._stopping

    async def _one_life(self) -> int:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._failed = None
        with theirs:
            start = self._start()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "chatvault.app",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *start.listeners.values(), *self._keep),
                env=None if self._secrets else _plain_environment(),
            )
        self._process, self.pid, self._link = process, process.pid, ours
        hearing = asyncio.create_task(self._hear(ours))  # owned: ended below
        try:
            with suppress(OSError):  # it is dead already
                await asyncio.get_running_loop().sock_sendall(ours, line(start))
            code = await process.wait()
            await asyncio.wait({hearing}, timeout=1.0)  # its last words
            return code
        finally:
            self._link = None
            hearing.cancel()
            await asyncio.wait({hearing})
            ours.close()
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _hear(self, link: socket.socket) -> None:
        loop, rest = asyncio.get_running_loop(), b""
        while True:
            try:
                data = await loop.sock_recv(link, 65536)
            except OSError:
                return
            if not data:
                return
            rest += data
            while b"\n" in rest:
                text, _, rest = rest.partition(b"\n")
                news = msgspec.json.decode(text)
                if news.get("ready"):
                    self.ready.set()
                if isinstance(news.get("failed"), str):
                    self._failed = news["failed"]
                self._told(news)

    def send(self, message: msgspec.Struct) -> None:
        """Tell the child something; one that is dead is told at its next start what it needs."""
        if self._link is not None:
            with suppress(OSError):
                self._link.send(line(message))

    async def stop(self, grace: float, patience: float) -> None:
        """End it in order; kill it if it has not ended `patience` seconds after its grace."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.send(Stop(grace))
        try:
            async with asyncio.timeout(grace + patience):
                await process.wait()
        except TimeoutError:
            log.error(
                "%s (pid %d) did not end within %g s; killing it", self.name, process.pid, grace + patience
            )
            with suppress(ProcessLookupError):
                process.kill()


def _plain_environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name in _PASSED or name.startswith(_PASSED_BEGIN)
    }
