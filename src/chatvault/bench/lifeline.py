"""How a helper process of the benchmark hears of its end: the pipe on its standard input closes, whatever became of
whoever holds the other end."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

_LONGEST: Final = 1 << 20


async def commands(obey: Callable[[bytes], Awaitable[bytes]]) -> None:
    """Answer each line on standard input with one on standard output, until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_LONGEST)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        sys.stdout.buffer.write(await obey(line) + b"\n")
        sys.stdout.buffer.flush()


async def listening(port: int) -> None:
    """Say where this process listens, and return when it is to end."""

    async def nothing(line: bytes) -> bytes:
        return b""

    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await commands(nothing)
