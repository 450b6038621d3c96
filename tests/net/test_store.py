"""A connection to a store as it is lost: nothing is written to one that is closed."""

import asyncio
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import uvloop

from chatvault.config.store_url import StorePlace
from chatvault.net.commands import command
from chatvault.net.store import Store

PING = command(b"PING")


@pytest.mark.parametrize("make_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_a_lost_connection_is_written_to_by_nobody_and_made_again(make_loop: Any) -> None:
    async def lose() -> None:
        writers: list[asyncio.StreamWriter] = []
        states: list[str | None] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            while await reader.read(1000):
                writer.write(b"+PONG\r\n")
            writer.close()

        with TemporaryDirectory(prefix="cv") as folder:
            path = str(Path(folder) / "s")
            server = await asyncio.start_unix_server(answer, path)
            store = Store(StorePlace(path=path), ssl.create_default_context, (PING,), states.append)
            lost, replies = store.connection_lost, list[Any]()

            def and_ask(error: Exception | None) -> None:
                lost(error)
                replies.append(store.send(PING, replies.append))  # before `run` has come to it

            store.connection_lost = and_ask  # type: ignore[method-assign]
            running = asyncio.get_running_loop().create_task(store.run())
            async with asyncio.timeout(5):
                while states != [None]:
                    await asyncio.sleep(0.001)
                writers[0].transport.abort()
                while states != [None, "the connection was lost", None]:
                    await asyncio.sleep(0.001)
            assert replies == [False]
            assert store.send(PING, replies.append)
            async with asyncio.timeout(5):
                while len(replies) < 2:
                    await asyncio.sleep(0.001)
            assert replies == [False, b"PONG"]
            running.cancel()
            await asyncio.wait([running])
            server.close()
            for writer in writers:
                writer.close()
            await server.wait_closed()

    loop = make_loop()
    try:
        loop.run_until_complete(lose())
    finally:
        loop.close()
