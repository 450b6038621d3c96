"""The floor: a proxy of two asyncio protocols that reads nothing, records nothing, and passes all bytes on.

What a gateway in Python costs above it is what the gateway does. `python -m chatvault.bench.floor PORT` passes on
to that port of 127.0.0.1, prints its own, and ends when its standard input does.
"""

import asyncio
import sys
from typing import cast

import uvloop

from chatvault.bench.lifeline import listening


class _Side(asyncio.Protocol):
    """One of the two connections; `other` is the transport of its opposite."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: asyncio.Transport | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.waiting.append(data)
        else:
            self.other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.close()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.resume_reading()


class Floor:
    """Makes the two sides of each client; owns the tasks that connect them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connecting: set[asyncio.Task[None]] = set()

    def side(self) -> asyncio.Protocol:
        client = _Side()
        task = asyncio.get_running_loop().create_task(self._connect(client))  # owned: held until it is done
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return client

    async def _connect(self, client: _Side) -> None:
        upstream = _Side()
        try:
            await asyncio.get_running_loop().create_connection(lambda: upstream, "127.0.0.1", self._port)
        except OSError:
            if client.transport is not None:
                client.transport.abort()
            return
        assert upstream.transport is not None
        upstream.other, client.other = client.transport, upstream.transport
        for data in client.waiting:
            upstream.transport.write(data)
        if client.transport is None or client.transport.is_closing():
            upstream.transport.close()


async def serve(port: int) -> None:
    floor = Floor(port)
    loop = asyncio.get_running_loop()
    async with await loop.create_server(floor.side, "127.0.0.1", 0, backlog=8192) as server:
        await listening(server.sockets[0].getsockname()[1])


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
