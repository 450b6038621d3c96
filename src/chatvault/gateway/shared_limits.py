"""Limits that all workers and hosts share: each call is decided by the store, in one round trip, by all of its windows
together. The worker's own meters count along, so that they can decide when the store does not.

A call waits 5 ms at most (`limits.store_timeout`). Once a reply was late nobody waits until one has come: the worker's
share decides, or calls are refused. A store that says nothing for a second is connected to anew.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chatvault.access.limiter import Meter
from chatvault.access.reading import Reading
from chatvault.config.schema import LimitsConfig
from chatvault.config.store_url import parse_store
from chatvault.core.errors import OperatorError
from chatvault.core.ids import short_id
from chatvault.gateway.limit_hold import Hold, Part, Told
from chatvault.gateway.limit_look import Looked, look_command, looked
from chatvault.gateway.limit_scripts import ADMIT, BEAT, LEASE_MS, LOADS
from chatvault.net.commands import bulk

if TYPE_CHECKING:
    from chatvault.net.store import Store

log = logging.getLogger(__name__)

_SILENCE: Final = 1.0
"""Seconds without a reply that was due, until the connection is given up."""
_RENEW: Final = LEASE_MS / 1000 * 0.8
"""Seconds after its last beat after which a life may be over for others: what is counted from then on is another's."""
_MOST_PARTS: Final = 30_000
_LIVES: Final = bulk(b"chatvault:lives")


class SharedLimits:
    """One of a worker. `run` keeps it connected; `tick` has to be called twice a second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Callable[[], ssl.SSLContext]) -> None:
        self._loop = loop
        self._context = context
        self._now = loop.time
        self._settings = LimitsConfig()
        self._new_place = asyncio.Event()
        self._store: Store | None = None
        self._waiting: deque[Hold] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._parts: dict[Meter, Part] = {}
        self._late: float | None = None
        self._slow = False
        self._refusal: str | None = None
        """What it answered to a command that it did not run; until it runs a beat."""
        self._beaten = 0.0
        self._life = b""
        self.fault: str | None = None
        """What is wrong with the store; None while all is well, or there is none."""

    @property
    def wanted(self) -> bool:
        """Whether limits are shared."""
        return self._settings.store is not None

    @property
    def closed(self) -> bool:
        """Whether calls are refused that the store does not decide."""
        return self._settings.on_store_failure == "closed"

    def configure(self, settings: LimitsConfig) -> None:
        if settings.store != self._settings.store:
            self._new_place.set()
            self.fault = None if settings.store is None else "it was not reached yet"
        self._settings = settings

    async def run(self) -> None:
        """Ends by cancellation."""
        while True:
            self._new_place.clear()
            async with asyncio.TaskGroup() as group:
                store = await self._make()
                running = None if store is None else group.create_task(store.run())
                self._store = store
                try:
                    await self._new_place.wait()
                finally:
                    self._store = None
                    if running is not None:
                        running.cancel()

    # --- what calls ask

    def ask(self, meters: tuple[Meter, ...], tokens: int, told: Told) -> Hold | None:
        """Have a call decided that may use so many tokens. None: the store cannot be asked now."""
        store, now = self._store, self._now()
        if store is None or self._late is not None or not store.ready:
            return None
        if now - self._beaten > _RENEW:
            self._begin_life()
        parts = tuple(map(self._part, meters))
        hold = Hold(self._send, parts, tokens, told, now, self._life)
        data = admission(hold, tokens)
        if not store.send(data, partial(self._decided, hold, data)):
            return None
        self._waiting.append(hold)
        if self._timer is None:
            self._timer = self._loop.call_at(now + self._settings.store_timeout, self._overdue)
        return hold

    def look(self, rows: Sequence[Reading], told: Looked) -> None:
        """Have what the store counts told in place of what the worker does; else, False is told with the latter."""
        store = self._store
        if (
            store is None
            or not rows
            or not store.send(look_command(_LIVES, rows), partial(looked, rows, told))
        ):
            told(rows, False)

    def tick(self) -> None:
        """Say that this worker lives, and notice a store that does not."""
        store, now = self._store, self._now()
        if store is None:
            return
        if self._late is not None and now - self._late > _SILENCE:
            store.drop()
        if store.ready:
            late = f"it takes longer than {self._settings.store_timeout * 1000:g} ms" if self._slow else None
            self._say(self._refusal or late)
            self._beat()
        self._slow = self._late is not None

    # --- inside

    async def _make(self) -> "Store | None":
        """None: there is none, or it cannot be used."""
        if self._settings.store is None:
            return None
        try:
            make = await asyncio.to_thread(_store)
            return make(parse_store(self._settings.store), self._context, LOADS, self._changed)
        except OperatorError as error:
            self._say(error.message)
            return None

    def _changed(self, fault: str | None) -> None:
        """The connection is there, or is not."""
        self._late = None
        self._slow = False
        self._refusal = None
        if fault is None:
            self._begin_life()
        self._say(fault)

    def _say(self, fault: str | None) -> None:
        """Once for each change."""
        if (fault is None) != (self.fault is None):
            if fault is None:
                log.warning("the store of limits answers; limits are shared")
            else:
                log.error("limits are not shared, since their store cannot be used: %s", fault)
        self.fault = fault

    def _begin_life(self) -> None:
        """The life before is over for others, or the store has forgotten it."""
        self._life = short_id("life").encode()
        self._beaten = self._now()
        self._beat()

    def _beat(self) -> None:
        if self._store is not None:
            said = BEAT.command(1, 1, _LIVES + bulk(self._life))
            self._store.send(said, partial(self._beat_heard, self._life, self._now(), said))

    def _beat_heard(self, life: bytes, at: float, data: bytes, reply: Any) -> None:
        if self._heard(reply, data):
            self._refusal = None
            if life == self._life:
                self._beaten = max(self._beaten, at)

    def _part(self, meter: Meter) -> Part:
        part = self._parts.get(meter)
        if part is None or part.meter is not meter.limited:
            if len(self._parts) >= _MOST_PARTS:
                self._parts.clear()
            part = self._parts[meter] = Part(meter)
        return part

    def _send(self, data: bytes) -> None:
        """What nobody waits for."""
        if self._store is not None:
            self._store.send(data, partial(self._heard_of, data))

    def _heard_of(self, data: bytes, reply: Any) -> None:
        self._heard(reply, data)

    def _heard(self, reply: Any, data: bytes) -> bool:
        """Whether it is a reply in order. Where the store has lost its scripts, it gets them and the command again."""
        if reply is None:
            return False
        self._late = None
        if not isinstance(reply, Exception):
            return True
        if self._lost_scripts(reply):
            self._again(data, _ignored)
        else:
            self._refusal = f"it refuses: {reply}"
            self._say(self._refusal)
        return False

    def _decided(self, hold: Hold, data: bytes, reply: Any) -> None:
        if isinstance(reply, Exception) and self._lost_scripts(reply):
            self._again(data, hold.take)
            return
        self._heard(reply, data)
        if self._waiting and self._waiting[0] is hold:
            self._waiting.popleft()
        hold.take(reply)

    def _lost_scripts(self, reply: Exception) -> bool:
        return getattr(reply, "code", "") == "NOSCRIPT"

    def _again(self, data: bytes, told: Callable[[Any], None]) -> None:
        store = self._store
        sent = (
            store is not None and all(store.send(load, _ignored) for load in LOADS) and store.send(data, told)
        )
        if not sent:
            told(None)

    def _overdue(self) -> None:
        """The deadline of the first that waits: it is looked at once more after what has arrived was read, since it may
        be this process that was slow."""
        self._timer = None
        self._loop.call_soon(self._look_at_waiting)

    def _look_at_waiting(self) -> None:
        waiting, patience = self._waiting, self._settings.store_timeout
        now = self._now()
        while waiting:
            hold = waiting[0]
            if hold.told is not None and hold.asked_at + patience > now:
                if self._timer is None:
                    self._timer = self._loop.call_at(hold.asked_at + patience, self._overdue)
                return
            waiting.popleft()
            told, hold.told = hold.told, None
            if told is not None:
                self._late = now if self._late is None else self._late
                self._slow = True
                told(hold, False)


def _store() -> "type[Store]":
    """An extra, loaded where it is wanted."""
    from chatvault.net.store import Store

    return Store


def admission(hold: Hold, tokens: int) -> bytes:
    parts = hold.parts
    limits = sum(len(part.limits) for part in parts)
    keys = b"".join([part.keys for part in parts])
    args = b"".join([part.args for part in parts])
    call = bulk(hold.life) + bulk(b"%d" % tokens)
    return ADMIT.command(1 + limits, 2 + 4 * limits, b"".join((_LIVES, keys, call, args)))


def _ignored(reply: Any) -> None:
    """It is known to be in order, or nothing can be done."""
