"""One worker's end of the feed, as control sees it."""

import asyncio
import logging
from typing import Protocol, cast

import msgspec

from chatvault.access.holder import Subject
from chatvault.feed.frames import Frames
from chatvault.feed.messages import (
    MOST_QUESTIONS,
    Ack,
    Ask,
    Health,
    Hello,
    Lending,
    Lookup,
    Readings,
    ToControl,
)

MAX_UNREAD = 8 << 20
"""Bytes a worker may leave unread; then it is dropped, and syncs anew when it returns."""
MAX_ASKED = 1024
"""Look-ups of a worker that are under way; beyond them nothing more is read from it."""

_log = logging.getLogger(__name__)


class Hub(Protocol):
    """What a peer reports to."""

    def joined(self, peer: "Peer") -> None: ...

    def greeted(self, peer: "Peer", hello: Hello) -> None: ...

    def asked(self, peer: "Peer", digest: bytes) -> None: ...

    def acknowledged(self, peer: "Peer", push: int) -> None: ...

    def healthy(self, health: Health) -> None: ...

    def questioned(self, peer: "Peer", ask: Ask) -> None: ...

    def lending(self, peer: "Peer", message: Lending) -> None: ...

    def read(self, peer: "Peer", message: Readings) -> None: ...

    def lost(self, peer: "Peer") -> None: ...


class Peer(asyncio.Protocol):
    """A connection. `hello` is None until the worker has said who it is, `heard_at` on the loop's clock."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._frames: Frames[ToControl] = Frames(msgspec.json.Decoder(ToControl))
        self._transport: asyncio.Transport | None = None
        self._asked = 0
        self._questions = 0
        self._clock = asyncio.get_running_loop().time
        self.heard_at = self._clock()
        self.hello: Hello | None = None
        self.health: Health | None = None
        self.recalled: set[Subject] = set()
        """Whose past it was told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are ones in all but name
        self._hub.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._hub.lost(self)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._clock()
        try:
            for message in self._frames.feed(data):
                self._take(message)
        except ValueError as error:
            _log.error("A peer on the feed was dropped: %s", error)
            self.abort()

    def send(self, data: bytes) -> None:
        """Hand over a frame. A peer that does not read what it was sent is dropped instead."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_UNREAD:
            _log.error("Worker %s does not read its feed and was dropped.", self.hello and self.hello.worker)
            transport.abort()
            return
        transport.write(data)

    def answered(self) -> None:
        """A look-up of this peer is done."""
        self._asked -= 1
        if self._asked == MAX_ASKED - 1 and self._transport is not None:
            self._transport.resume_reading()

    def told(self) -> None:
        """A question of this peer is answered."""
        self._questions -= 1

    @property
    def began(self) -> int:
        """When the worker's life began, microseconds since the epoch; 0: it wants to know of nothing before."""
        return 0 if self.hello is None else self.hello.began

    @property
    def chain(self) -> str:
        """The chain that the worker writes, which is its life; empty before it has said so."""
        return "" if self.hello is None else self.hello.chain

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take(self, message: ToControl) -> None:
        if self.hello is None or isinstance(message, Hello):
            if self.hello is not None or not isinstance(message, Hello):
                raise ValueError("a connection begins with one `hello`")
            self.hello = message
            self._hub.greeted(self, message)
        elif isinstance(message, Lookup):
            digest = bytes.fromhex(message.digest)
            self._asked += 1
            if self._asked == MAX_ASKED and self._transport is not None:
                self._transport.pause_reading()
            self._hub.asked(self, digest)
        elif isinstance(message, Ack):
            self._hub.acknowledged(self, message.push)
        elif isinstance(message, Health):
            self.health = message
            self._hub.healthy(message)
        elif isinstance(message, Ask):
            if self._questions >= MOST_QUESTIONS:
                raise ValueError("a worker asks more questions at a time than it may")
            self._questions += 1
            self._hub.questioned(self, message)
        elif isinstance(message, Readings):
            self._hub.read(self, message)
        else:
            self._hub.lending(self, message)
