"""What clients may ask control over the data port, and who answers it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from chatvault.control.edge import status_of
from chatvault.core.errors import ChatVaultError, GatewayError, Unavailable
from chatvault.feed.messages import Answer, Ask
from chatvault.wire.openai.errors import error_body

Handler = Callable[[str, str], Awaitable[tuple[int, object]]]
"""Takes the id of the token that asks and the body it sent; gives a status and a value for JSON, None for no body.
Raises ChatVaultError."""

_PATIENCE: Final = 4.0
"""Seconds an answer may take. The worker waits a little longer, so that what it gives up on was not done."""
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class Questions:
    """A registry. What nobody answers (yet: control has just started) is answered with 503."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._handlers: dict[str, Handler] = {}

    def on(self, what: str, handler: Handler) -> None:
        self._handlers[what] = handler

    async def answer(self, ask: Ask) -> Answer:
        handler = self._handlers.get(ask.what)
        try:
            if handler is None:
                raise _not_now("The control process has just started.")
            async with asyncio.timeout(self._patience):
                status, value = await handler(ask.token, ask.body)
        except ChatVaultError as error:
            return _refusal(ask, error)
        except TimeoutError:
            return _refusal(ask, _not_now("The control process took too long."))
        except Exception:  # noqa: BLE001  border: one question's failure, not the feed's
            _log.exception("The question %s failed", ask.what)
            return _refusal(
                ask,
                GatewayError("The control process failed at this; its log says why.", code="internal_error"),
            )
        return Answer(ask.number, status, "" if value is None else _encode(value).decode())


def _refusal(ask: Ask, error: ChatVaultError) -> Answer:
    return Answer(ask.number, status_of(error), error_body(error).decode())


def _not_now(why: str) -> Unavailable:
    return Unavailable(f"{why} Try again in a few seconds.", code="control_unavailable", retry_after=2)
