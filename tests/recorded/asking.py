"""A client of the gateway over a bare socket that stands from one call to the next."""

import asyncio
from types import TracebackType
from typing import Self

import msgspec


class Answer(msgspec.Struct):
    """`whole`: HTTP said that this was all."""

    status: int
    fields: dict[str, str]
    body: bytes
    whole: bool


class Asking:
    def __init__(self, port: int) -> None:
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def ask(self, request: bytes) -> Answer:
        async with asyncio.timeout(20):
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
            assert self._reader is not None
            self._writer.write(request)
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, fields = _read_head(head)
            body, whole = await _read_body(self._reader, fields)
        if not whole or fields.get("connection") == "close":
            self._close()
        return Answer(status, fields, body, whole)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split(" ")[1]), fields


async def _read_body(reader: asyncio.StreamReader, fields: dict[str, str]) -> tuple[bytes, bool]:
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields["content-length"])), True
    parts: list[bytes] = []
    try:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b"".join(parts), False
    return b"".join(parts), True
