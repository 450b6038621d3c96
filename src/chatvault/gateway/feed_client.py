"""The worker's end of the feed: one connection to control, made again whenever it is lost."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec

from chatvault.access.grant import Whose
from chatvault.config.snapshot import AccessToken, Snapshot
from chatvault.feed.frames import Frames, frame
from chatvault.feed.messages import (
    HEARTBEAT,
    SILENCE,
    Access,
    Ack,
    Answer,
    Beat,
    CallIn,
    Configure,
    Forget,
    Granted,
    Health,
    Hello,
    Lent,
    Lookup,
    Recalled,
    Revoke,
    ShowLimits,
    ToWorker,
    Welcome,
)

log = logging.getLogger(__name__)

_RETRY: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between two tries to reach control; the last one for ever."""


class Subscriber(Protocol):
    """What the feed tells."""

    def welcome(self, pepper: bytes, snapshot: Snapshot) -> None: ...

    def configure(self, snapshot: Snapshot) -> None: ...

    def access(self, tokens: dict[str, AccessToken]) -> None: ...

    def granted(self, answer: Granted) -> None: ...

    def answered(self, answer: Answer) -> None: ...

    def lent(self, message: Lent) -> None: ...

    def call_in(self, message: CallIn) -> None: ...

    def recalled(self, message: Recalled) -> None: ...

    def show_limits(self, message: ShowLimits) -> None: ...

    def forget(self, whose: Whose) -> None: ...

    def revoke(self, whose: Whose) -> None: ...


class FeedClient(asyncio.Protocol):
    """`run` keeps it connected. A half-open connection is noticed by its silence."""

    def __init__(
        self, path: Path, hello: Hello, subscriber: Subscriber, health: Callable[[], Health]
    ) -> None:
        self._path = path
        self._hello = hello
        self._subscriber = subscriber
        self._health = health
        self._transport: asyncio.WriteTransport | None = None
        self._frames: Frames[ToWorker] = Frames(msgspec.json.Decoder(ToWorker))
        self._lost = asyncio.Event()
        self._heard = 0.0
        self._welcomed = False
        self._pending: asyncio.WriteTransport | None = None

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def tell(self, message: msgspec.Struct) -> bool:
        """Send a message. False: control is away."""
        if self._transport is None:
            return False
        self._transport.write(frame(message))
        return True

    def ask(self, key: bytes) -> bool:
        """Look a token up. False: control is away."""
        if self._transport is None:
            return False
        self._transport.write(frame(Lookup(key.hex())))
        return True

    async def run(self) -> None:
        """Connect, stay connected, and send signs of life. Ends by cancellation."""
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            self._lost.clear()
            self._welcomed = False
            try:
                await loop.create_unix_connection(lambda: self, str(self._path))
                await self._stay()
            except OSError:
                pass
            finally:
                self._drop()
            tries = 0 if self._welcomed else tries + 1
            await asyncio.sleep(_RETRY[min(tries, len(_RETRY) - 1)])

    async def _stay(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await self._lost.wait()
            except TimeoutError:
                if loop.time() - self._heard > SILENCE:
                    log.warning("control was silent for %g s; connecting again", SILENCE)
                    return
                self._send(self._health())

    def _drop(self) -> None:
        self._transport = None
        if self._pending is not None:
            self._pending.abort()
            self._pending = None

    def _send(self, message: msgspec.Struct) -> None:
        if self._transport is not None:
            self._transport.write(frame(message))

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._frames = Frames(msgspec.json.Decoder(ToWorker))
        self._heard = asyncio.get_running_loop().time()
        self._pending = cast(asyncio.WriteTransport, transport)
        self._pending.write(frame(self._hello))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        try:
            for message in self._frames.feed(data):
                self._take(message)
        except ValueError as error:
            log.error("control sent what is no message (%s); connecting again", error)
            self._lost.set()

    def _take(self, message: ToWorker) -> None:
        subscriber = self._subscriber
        match message:
            case Welcome():
                self._transport = self._pending
                self._welcomed = True
                subscriber.access(message.access)
                subscriber.welcome(bytes.fromhex(message.pepper), message.snapshot)
            case Granted():
                subscriber.granted(message)
            case Answer():
                subscriber.answered(message)
            case Recalled():
                subscriber.recalled(message)
            case ShowLimits():
                subscriber.show_limits(message)
            case Configure():
                subscriber.configure(message.snapshot)
                self._send(Ack(message.push))
            case Revoke():
                subscriber.revoke(message.whose)
                self._send(Ack(message.push))
            case Forget():
                subscriber.forget(message.whose)
                self._send(Ack(message.push))
            case Lent():
                subscriber.lent(message)
            case CallIn():
                subscriber.call_in(message)
            case Access():
                subscriber.access(message.tokens)
            case Beat():
                pass
