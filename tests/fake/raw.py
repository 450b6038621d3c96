"""Talking to the simulated provider over a bare socket: a test sees exactly what was sent, and when."""

import asyncio
import json
import time
import zlib
from dataclasses import dataclass, field

from chatvault.fake import FakeProvider

CHAT = "/v1/chat/completions"


@dataclass
class Heard:
    """What came back: packets with their time in seconds since the request, and how it ended."""

    packets: list[tuple[float, bytes]] = field(default_factory=list)
    ended: str = "open"
    """`eof`, `reset`, or `open`: the connection stood when the answer was whole or silence set in."""

    @property
    def data(self) -> bytes:
        return b"".join(packet for _, packet in self.packets)

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def raw_body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def body(self) -> bytes:
        """The body without its chunks."""
        if self.headers.get("transfer-encoding") != "chunked":
            return self.raw_body
        rest, out = self.raw_body, b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            if not int(size, 16):
                break
            out, rest = out + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return out

    @property
    def json(self) -> dict[str, object]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def events(self) -> list[str]:
        """The data of each event, of a stream whose lines end in LF."""
        blocks = self.body.decode().split("\n\n")
        return [line[6:] for block in blocks for line in block.split("\n") if line.startswith("data: ")]

    @property
    def chunks(self) -> list[dict[str, object]]:
        return [json.loads(event) for event in self.events if event != "[DONE]"]

    @property
    def unzipped(self) -> bytes:
        return zlib.decompressobj(47).decompress(self.body)

    def whole(self) -> bool:
        """Whether HTTP says that the answer is over."""
        if b"\r\n\r\n" not in self.data or not self.data.startswith(b"HTTP/") or self.status < 200:
            return False
        if self.headers.get("transfer-encoding") == "chunked":
            return self.data.endswith(b"\r\n\r\n") and b"\r\n0\r\n" in self.data
        length = self.headers.get("content-length")
        return length is not None and len(self.raw_body) >= int(length)


def chat(model: str, *, stream: bool = False, **fields: object) -> dict[str, object]:
    """The body of a chat request."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": "hello there"}],
        "stream": stream,
        **fields,
    }


def written(body: object, path: str = CHAT, **headers: str) -> bytes:
    """A POST request; underscores in the names of headers stand for dashes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"host": "fake", "content-type": "application/json", **headers, "content-length": str(len(data))}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + data


async def ask(fake: FakeProvider, request: bytes, *, quiet: float | None = None) -> Heard:
    """Sends `request`, listens until the answer is whole, the peer ends it, or `quiet` seconds pass."""
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    try:
        return await converse(reader, writer, request, quiet=quiet)
    finally:
        writer.close()


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, *, quiet: float | None = None
) -> Heard:
    """`ask` over a connection that stands."""
    heard = Heard()
    begun = time.monotonic()
    writer.write(request)
    async with asyncio.timeout(10):
        while not heard.whole() or quiet is not None:
            try:
                packet = await asyncio.wait_for(reader.read(65_536), quiet)
            except TimeoutError:
                break
            except ConnectionResetError:
                heard.ended = "reset"
                break
            if not packet:
                heard.ended = "eof"
                break
            heard.packets.append((time.monotonic() - begun, packet))
    return heard
