"""A receiver of webhooks on loopback: it keeps what it got, verifies it, and can fail, hang, redirect or chatter."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import msgspec

SECRET = "whsec-0123456789abcdef"


class Got(msgspec.Struct, frozen=True):
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        value: dict[str, Any] = msgspec.json.decode(self.body)
        return value

    @property
    def genuine(self) -> bool:
        """As docs/api.md tells receivers to find out."""
        signed = self.headers["x-chatvault-timestamp"].encode() + b"." + self.body
        expected = "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, self.headers["x-chatvault-signature"])


class Receiver:
    """`answers`: what it does next, in order: a status, `hang`, `reset`, `redirect`, `endless`, `endless head`; then
    204."""

    def __init__(self, *answers: int | str) -> None:
        self.answers = list(answers)
        self.got: list[Got] = []
        self.sent = 0
        """Bytes of an endless answer that went out."""
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def url(self, path: str = "/hooks/secret-path", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def close(self) -> None:
        """End what hangs or chatters."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer.transport), suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *fields = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.got.append(Got(first.split(" ")[1], headers, body))
            await self._answer(writer, self.answers.pop(0) if self.answers else 204)

    async def _answer(self, writer: asyncio.StreamWriter, answer: int | str) -> None:
        match answer:
            case "hang":
                await asyncio.sleep(30)
            case "reset":
                writer.transport.abort()
            case "redirect":
                writer.write(f"HTTP/1.1 302 Found\r\nlocation: {self.url('/elsewhere')}\r\n".encode())
                writer.write(b"content-length: 0\r\n\r\n")
            case "endless":
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                await self._flood(writer, b"10000\r\n" + bytes(0x10000) + b"\r\n")
            case "endless head":
                writer.write(b"HTTP/1.1 200 OK\r\n")
                await self._flood(writer, b"x-more: " + b"y" * 8000 + b"\r\n")
            case _:
                writer.write(f"HTTP/1.1 {answer} Said\r\ncontent-length: 2\r\n\r\nno".encode())
        await writer.drain()

    async def _flood(self, writer: asyncio.StreamWriter, part: bytes) -> None:
        for _ in range(4000):
            writer.write(part)
            await writer.drain()
            self.sent += len(part)


@asynccontextmanager
async def receiving(*answers: int | str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver(*answers)
    server = await asyncio.start_server(receiver.accept, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.close()
