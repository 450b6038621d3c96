"""One client's connection: requests in, scripts out, in order."""

import asyncio
import socket
import struct
from collections import deque
from typing import Any, Protocol, cast

import httptools
import msgspec

from chatvault.fake.pages import page
from chatvault.fake.request import Request
from chatvault.fake.routes import Routes
from chatvault.fake.script import Script
from chatvault.fake.stats import Stats

MOST_BODY = 512 << 20
"""Bytes of a request's body; a longer one gets 413."""
RESET = struct.pack("ii", 1, 0)
REFUSED = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class House(Protocol):
    """What a connection needs of its provider."""

    routes: Routes
    stats: Stats
    marker: str
    patience_s: float
    last: Request | None

    def join(self, connection: "Connection") -> None: ...

    def leave(self, connection: "Connection") -> None: ...


class _Call(msgspec.Struct):
    """The call being answered: its marker, its script, and the place in it."""

    marker: str | None
    script: Script
    counted: bool
    place: int = 0
    waited: bool = False
    events: int = 0


class Connection(asyncio.Protocol):
    """An HTTP/1.1 server connection. Nothing here knows what an answer means: that is the script's."""

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self._house = house
        self._loop = loop
        self._parser: Any = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Request, bool]] = deque()
        self._call: _Call | None = None
        self._timer: asyncio.Handle | None = None
        self._paused = False
        self._served = 0
        self._receiving = False
        self._deaf = False

    # transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's in all but their class.
        self._transport = cast(asyncio.Transport, transport)
        self._house.join(self)
        self._house.stats.connections += 1

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True
        except httptools.HttpParserError:
            self._refuse(b"400 Bad Request")

    def connection_lost(self, exc: Exception | None) -> None:
        self._house.leave(self)
        self._cancel_timer()
        self._queue.clear()
        if self._receiving:
            self._house.stats.partial += 1
        call, self._call = self._call, None
        if call is not None and call.counted:
            self._house.stats.abort(call.marker, call.events)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._call is not None and self._timer is None:
            self._play()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abort()

    # parser

    def on_message_begin(self) -> None:
        self._receiving = True
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower().decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MOST_BODY:
            self._refuse(b"413 Content Too Large")
        elif not self._deaf:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._receiving = False
        if self._deaf:
            return
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            method=self._parser.get_method().decode(),
            path=path,
            query=query,
            headers=self._headers,
            body=b"".join(self._body),
        )
        self._body = []
        self._queue.append((request, self._parser.should_keep_alive()))
        if self._call is None:
            self._next()

    # answering

    def _next(self) -> None:
        """Begins the next request that waits."""
        if not self._queue or self._transport.is_closing():
            return
        request, keep_alive = self._queue.popleft()
        house = self._house
        script = page(house, request, keep_alive=keep_alive)
        counted = script is None
        marker = request.headers.get(house.marker)
        if script is None:
            house.last = request
            house.stats.begin(marker, len(request.body))
            script = house.routes.script(request, keep_alive=keep_alive, reused=self._served > 0)
        self._served += 1
        self._call = _Call(marker, script, counted)
        self._play()

    def _play(self) -> None:
        """Writes what is due: until the script is over, a wait begins, or the transport is full."""
        self._timer = None
        call = self._call
        if call is None or self._transport.is_closing():
            return
        steps, apart = call.script.steps, call.script.apart
        while call.place < len(steps):
            if self._paused:
                return
            step = steps[call.place]
            if step.wait_s and not call.waited:
                call.waited = True
                self._timer = self._loop.call_later(step.wait_s, self._play)
                return
            call.waited = False
            call.place += 1
            call.events = step.events
            if step.data:
                self._transport.write(step.data)
            if apart and call.place < len(steps):
                # Writes of one turn of the loop are joined; another turn makes another packet.
                self._timer = self._loop.call_soon(self._play)
                return
        self._end(call)

    def _end(self, call: _Call) -> None:
        ending = call.script.ending
        if ending == "stall":
            self._timer = self._loop.call_later(self._house.patience_s, self._give_up)
            return
        self._call = None
        if call.counted and ending == "normal":
            self._house.stats.complete()
        elif call.counted:
            self._house.stats.break_off()
        if ending == "reset":
            self._reset()
        elif ending == "close" or not call.script.keep_alive:
            self._transport.close()
        elif self._queue:
            # Not from here: a thousand pipelined requests must not be a thousand frames deep.
            self._timer = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._timer = None
        if self._call is None:
            self._next()

    def _give_up(self) -> None:
        self._call = None
        self._house.stats.break_off()
        self._transport.abort()

    def _reset(self) -> None:
        """RST instead of FIN; a unix socket knows no such thing and is closed at once."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._transport.abort()

    def _refuse(self, status: bytes) -> None:
        """What is no HTTP request, or too large a one, ends the connection."""
        self._deaf = True
        if self._call is None and not self._transport.is_closing():
            self._transport.write(REFUSED % status)
        self._transport.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
