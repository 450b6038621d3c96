"""A provider that answers what was recorded, cut into packets in any way, and notes what it was asked."""

import gzip
import re
from collections.abc import Iterator
from random import Random
from typing import Final, Literal

from tests.net.peers import Peer
from tests.recorded.exchanges import Exchange

Way = Literal["recorded", "odd", "bytes"]
"""How an answer comes: event by event; in packets of odd sizes; byte by byte."""

_EVENT: Final = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")
_LINE: Final = re.compile(rb"(?<=\n)")
_FRAMING: Final = frozenset(("content-encoding", "transfer-encoding", "content-length", "connection"))
_PACKETS: Final = 48
"""About as many packets an answer is cut into at odd places, whatever its size."""


class StandIn:
    """`answer` holds the packets of the answer that comes next; `head` and `body` are the latest request."""

    def __init__(self) -> None:
        self.answer: list[bytes] = []
        self.keeps = True
        """Whether the connection stands behind the answer."""
        self.head, self.body = b"", b""
        self.asked = 0

    async def serve(self, peer: Peer) -> None:
        while True:
            head, body = await peer.request()
            if not head:
                return
            self.head, self.body = head, body
            self.asked += 1
            for packet in self.answer:
                await peer.write(packet, 1e-9)  # gives the reader its turn, so that packets come one by one
            if not self.keeps:
                return

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def fields(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def packets(exchange: Exchange, way: Way, chance: Random) -> list[bytes]:
    """The answer in HTTP, framed as it was recorded: chunked where it streamed or says so, else announced by length."""
    fields = {name.lower(): value for name, value in exchange.response_headers.items()}
    body = exchange.raw
    chunked = bool(exchange.streaming) or "chunked" in fields.get("transfer-encoding", "")
    head = f"HTTP/1.1 {exchange.status} Recorded\r\n"
    head += "".join(
        f"{name}: {value}\r\n"
        for name, value in {"content-type": kind_of(exchange), **fields}.items()
        if name not in _FRAMING
    )
    if fields.get("content-encoding") == "gzip":
        head += "content-encoding: gzip\r\n"
        body = gzip.compress(body, mtime=0)
        pieces = list(_odd(body, chance)) if chunked else [body]
    else:
        pieces = list(_pieces(body, way, chance))
    if chunked:
        head += "transfer-encoding: chunked\r\n\r\n"
        sent = [head.encode(), *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]
    else:
        head += f"content-length: {len(body)}\r\n\r\n"
        sent = [head.encode(), *pieces]
    if way == "odd":
        return list(_odd(b"".join(sent), chance))
    if way == "bytes":
        whole = b"".join(sent)
        return [whole[at : at + 1] for at in range(len(whole))]
    return sent


def kind_of(exchange: Exchange) -> str:
    """The content type, where it was not recorded."""
    if not exchange.streaming:
        return "application/json"
    begin = exchange.raw.lstrip()[:1]
    return "application/x-ndjson" if begin == b"{" else "text/event-stream"


def _pieces(body: bytes, way: Way, chance: Random) -> Iterator[bytes]:
    if way == "odd":
        yield from _odd(body, chance)
        return
    lines = body.lstrip()[:1] == b"{" and b"\n{" in body
    yield from (piece for piece in (_LINE if lines else _EVENT).split(body) if piece)


def _odd(body: bytes, chance: Random) -> Iterator[bytes]:
    most, at = max(2 * len(body) // _PACKETS, 2), 0
    while at < len(body):
        size = chance.choice((1, 2, 3, chance.randint(1, most), most))
        yield body[at : at + size]
        at += size
