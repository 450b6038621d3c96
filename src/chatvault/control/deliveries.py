"""Sends events to the webhook, each at least once, or gives it up after a day.

What is to be sent when lies in the vault, so a restart goes on where it was. A receiver that is dead, slow or wrong
delays nothing but its own events.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from chatvault.access.threshold import KeptEvent
from chatvault.config.schema import WebhooksConfig
from chatvault.config.webhook_url import shown
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import OperatorError

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 3600.0
"""Seconds between two tries, before jitter."""
GIVE_UP_US: Final = 86_400_000_000
_LEAST_TRIES: Final = 10
"""Before an event is given up, however old it is: the gateway may have been away."""
_JITTER: Final = 0.2
_AT_A_TIME: Final = 20
_LOOK: Final = 60.0
"""Seconds after which it looks again in any case: the clock may have been set."""

_log = logging.getLogger(__name__)

Post = Callable[[WebhooksConfig, KeptEvent], Awaitable[None]]
"""Raises OperatorError where the event was not taken."""


class Outgoing(Protocol):
    """How the events are that are to be sent. Microseconds since the epoch."""

    @property
    def waiting(self) -> int: ...

    @property
    def oldest_at(self) -> int | None: ...

    @property
    def given_up(self) -> int: ...

    @property
    def last_sent_at(self) -> int | None: ...


class SendingStore(Protocol):
    """Methods raise OperatorError when it cannot be asked."""

    async def due(self, now_us: int, limit: int) -> list[KeptEvent]: ...

    async def next_at(self) -> int | None: ...

    async def sent(self, event_id: str, at_us: int) -> None: ...

    async def not_sent(self, event_id: str, tries: int, next_at: int | None) -> None: ...

    async def outgoing(self) -> Outgoing: ...


class Deliveries:
    def __init__(self, store: SendingStore, post: Post, webhook: WebhooksConfig) -> None:
        self._store = store
        self._post = post
        self._webhook = webhook
        self._woken = asyncio.Event()
        self.fault: str | None = None
        """Why the last try failed; None where it did not."""

    @property
    def sending(self) -> bool:
        """Whether there is a webhook."""
        return self._webhook.url is not None

    def configure(self, webhook: WebhooksConfig) -> None:
        if webhook != self._webhook:
            self._webhook, self.fault = webhook, None
            self.wake()

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    async def state(self) -> dict[str, object] | None:
        """For those who ask how it is; None where there is no webhook. Raises OperatorError."""
        if self._webhook.url is None:
            return None
        out = await self._store.outgoing()
        return {
            "to": shown(self._webhook.url),
            "waiting": out.waiting,
            "oldest_at": _iso(out.oldest_at),
            "last_sent_at": _iso(out.last_sent_at),
            "given_up": out.given_up,
            "fault": self.fault,
        }

    async def run(self) -> None:
        """For ever."""
        while True:
            self._woken.clear()
            try:
                pause = await self.send_due()
            except OperatorError as error:
                _log.error("Events cannot be sent yet: %s", error.message)
                pause = FIRST_PAUSE
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()

    async def send_due(self) -> float:
        """Send what is due; the seconds until something else may be. Raises OperatorError."""
        if not self.sending:
            return _LOOK
        for event in await self._store.due(now_us(), _AT_A_TIME):
            await self._send(event)
        following = await self._store.next_at()
        return _LOOK if following is None else min(max((following - now_us()) / 1e6, 0.0), _LOOK)

    async def _send(self, event: KeptEvent) -> None:
        try:
            await self._post(self._webhook, event)
        except OperatorError as error:
            await self._failed(event, error.message)
        except Exception as error:  # noqa: BLE001  border: it must not end the process that lends budgets
            _log.exception("The event %s could not be sent.", event.id)
            await self._failed(event, f"Sending failed ({type(error).__name__}); the log says where.")
        else:
            self.fault = None
            await self._store.sent(event.id, now_us())

    async def _failed(self, event: KeptEvent, why: str) -> None:
        self.fault = why
        tries, now = event.tries + 1, now_us()
        if now - event.at >= GIVE_UP_US and tries >= _LEAST_TRIES:
            _log.error("The event %s is given up after %d tries: %s", event.id, tries, why)
            await self._store.not_sent(event.id, tries, None)
            return
        pause = pause_after(tries)
        _log.warning("The event %s was not sent: %s Trying again in %.0f s.", event.id, why, pause)
        await self._store.not_sent(event.id, tries, now + int(pause * 1e6))


def pause_after(tries: int) -> float:
    """Seconds, doubled with every try, and scattered."""
    pause = min(FIRST_PAUSE * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE)
    return pause * random.uniform(1 - _JITTER, 1 + _JITTER)


def _iso(at_us: int | None) -> str | None:
    return None if at_us is None else iso(at_us)
