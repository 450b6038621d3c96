"""A provider that answers what it is told, byte for byte: for what no real one would do twice alike."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from chatvault.config.snapshot import ProviderSnapshot
from tests.gateway.harness import Gate

JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
ENDS = b"connection: close\r\n\r\n"
"""The body ends where the connection does."""


class Scripted:
    """`pieces` are written one by one; a number is a pause in seconds, "reset" resets. `reads`: all of the request
    first."""

    def __init__(self, pieces: Sequence[bytes | float | str], reads: bool) -> None:
        self.pieces = pieces
        self.reads = reads
        self.seen: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length is not None and self.reads else b""
            self.seen.append(head + body)
            for piece in self.pieces:
                if isinstance(piece, bytes):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
                elif piece == "reset":
                    writer.transport.abort()
                else:
                    await asyncio.sleep(float(piece))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(gate: Gate, *pieces: bytes | float | str, reads: bool = True) -> AsyncIterator[Scripted]:
    """Call it as `scripted/any`."""
    provider = Scripted(pieces, reads)
    async with await asyncio.start_server(provider.serve, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        snapshot = gate.control.snapshot
        entry = ProviderSnapshot(
            name="scripted", kind="fake", base_url=address, timeouts=snapshot.providers["fake"].timeouts
        )
        await gate.control.configure(
            msgspec.structs.replace(
                snapshot,
                providers={**snapshot.providers, "scripted": entry},
                prices={**snapshot.prices, "scripted/*": {"input": 1}},
            )
        )
        yield provider
