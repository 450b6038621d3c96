"""A connection to Valkey or Redis that is made again whenever it is lost. Commands are pipelined: each is written at
once, and the replies come in the order of the commands.

Nothing waits here. Who asks is told of the reply, or of the loss of the connection, and minds the time himself.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from chatvault.config.store_url import StorePlace
from chatvault.net.commands import command
from chatvault.net.resp import Refused, Replies

_RETRY: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Seconds between two tries to connect; the last one for ever."""
_CONNECT: Final = 2.0
_MOST: Final = 20_000
"""Commands that are under way; the store is too slow for more."""

log = logging.getLogger(__name__)

Told = Callable[[Any], None]
"""Gets the reply; `Refused` where it is an error, None where the connection was lost before."""


class Store(asyncio.Protocol):
    """`run` keeps it connected; `greeting` are the commands that each connection begins with, after authentication.
    `changed` is told what is wrong, or None once the greeting was answered in order."""

    def __init__(
        self,
        place: StorePlace,
        context: Callable[[], ssl.SSLContext],
        greeting: tuple[bytes, ...],
        changed: Callable[[str | None], None],
    ) -> None:
        self._place = place
        self._context = context
        self._greeting = greeting
        self._changed = changed
        self._transport: asyncio.WriteTransport | None = None
        self._replies = Replies()
        self._waiting: deque[Told] = deque()
        self._lost = asyncio.Event()
        self._answered = asyncio.Event()
        self._greeted = False
        self._fault: str | None = None

    @property
    def ready(self) -> bool:
        return self._greeted

    def send(self, data: bytes, told: Told) -> bool:
        """Write a command. False: there is no connection, or too much is under way on it; nothing is told then."""
        transport = self._transport
        if not self._greeted or transport is None or transport.is_closing() or len(self._waiting) >= _MOST:
            return False
        self._waiting.append(told)
        transport.write(data)
        return True

    def drop(self) -> None:
        """It does not answer: connect again."""
        self._blame("it does not answer")
        if self._transport is not None:
            self._transport.abort()

    async def run(self) -> None:
        """Connect and stay connected. Ends by cancellation."""
        tries = 0
        while True:
            self._lost.clear()
            self._answered.clear()
            self._fault = None
            greeted = False
            try:
                async with asyncio.timeout(_CONNECT):
                    await self._connect()
                    await self._answered.wait()
                greeted = self._greeted
                await self._lost.wait()
            except (OSError, TimeoutError) as error:  # TLS's errors are OSErrors, too
                self._blame(f"it cannot be reached ({str(error) or 'it does not answer'})")
            finally:
                self._leave()
            self._changed(self._why())
            tries = 0 if greeted else tries + 1
            await asyncio.sleep(_RETRY[min(tries, len(_RETRY) - 1)])

    async def _connect(self) -> None:
        loop, place = asyncio.get_running_loop(), self._place
        if place.path is not None:
            await loop.create_unix_connection(lambda: self, place.path)
        else:
            tls = self._context() if place.tls else None
            await loop.create_connection(
                lambda: self, place.host, place.port, ssl=tls, server_hostname=place.host if tls else None
            )

    def _blame(self, fault: str) -> None:
        """What is found first is the cause of what follows."""
        self._fault = self._fault or fault

    def _why(self) -> str:
        return self._fault or "the connection was lost"

    def _leave(self) -> None:
        self._greeted = False
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        waiting, self._waiting = self._waiting, deque()
        for told in waiting:
            told(None)

    def _begin(self) -> None:
        """Authentication and greeting, all at once: if one is refused, the connection is of no use."""
        place = self._place
        first: list[bytes] = []
        if place.password is not None:
            words = (place.password,) if place.user is None else (place.user, place.password)
            first.append(command(b"AUTH", *(word.encode() for word in words)))
        if place.database:
            first.append(command(b"SELECT", b"%d" % place.database))
        commands = (*first, *self._greeting)
        for number, data in enumerate(commands, 1):
            self._waiting.append(self._last if number == len(commands) else self._one)
            assert self._transport is not None
            self._transport.write(data)

    def _one(self, reply: Any) -> None:
        if isinstance(reply, Refused):
            self._blame(f"it refuses: {reply}")
            if self._transport is not None:
                self._transport.abort()

    def _last(self, reply: Any) -> None:
        self._one(reply)
        if reply is not None and self._fault is None:
            self._greeted = True
            self._answered.set()
            self._changed(None)

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._replies = Replies()
        self._begin()

    def connection_lost(self, error: Exception | None) -> None:
        self._greeted = False
        self._transport = None  # a closed one must not be written to, and `run` comes to it later
        self._answered.set()
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        try:
            replies = self._replies.feed(data)
        except ValueError as error:
            self._blame(f"it sent what is no reply ({error})")
            self.drop()
            return
        for reply in replies:
            if not self._waiting:
                self._blame("it sent more replies than were asked for")
                self.drop()
                return
            self._waiting.popleft()(reply)
