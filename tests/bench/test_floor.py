"""The bare proxy passes every byte on, and ends with either side."""

import asyncio

from chatvault.bench.floor import Floor
from chatvault.bench.processes import Helper
from tests.bench.test_load import Says, listening


async def test_bytes_pass_both_ways() -> None:
    answer = b"x" * 3_000_000  # more than the buffers hold, so that flow control has its part

    async with listening(lambda: Says(answer)) as upstream:
        floor = Floor(upstream)
        async with listening(floor.side) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(b"go")
            await asyncio.sleep(0.05)
            assert await reader.readexactly(len(answer)) == answer
            writer.close()


async def test_it_ends_with_the_provider(free_port: int) -> None:
    async with (
        listening(lambda: Says(b"bye", close=True)) as upstream,
        listening(Floor(upstream).side) as port,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"go")
        assert await reader.read() == b"bye"
        writer.close()
    async with listening(Floor(free_port).side) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        writer.close()


def test_as_a_process(free_port: int) -> None:
    with Helper("floor", [str(free_port)]) as floor:
        assert int(floor.hear()) > 0
