"""Questions of clients that control answers, over the feed: a call waits for the answer as it does for a look-up, and
nothing goes upstream.

Every wait is bounded, and so is the number of them. A question whose connection to control is lost is not asked again:
it may have been acted on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.core.errors import ClientError, TooLarge, Unavailable
from chatvault.feed.messages import MAX_QUESTION, MOST_QUESTIONS, Answer, Ask
from chatvault.wire.json_fields import Body

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_PATIENCE: Final = 5.0
"""Seconds a call waits for its answer."""
_JSON: Final = b"content-type: application/json\r\n"


class Questions:
    """`send` sends to control, and says whether it is there."""

    def __init__(self, send: Callable[[msgspec.Struct], bool], now: Callable[[], float]) -> None:
        self._send = send
        self._now = now
        self._last = 0
        self._waiting: dict[int, tuple[Call, float]] = {}

    def ask(self, call: "Call", what: str, body: Body) -> None:
        """Ask it for a call, which is answered later. Raises ClientError, Unavailable."""
        assert call.grant is not None
        if len(body) > MAX_QUESTION:
            raise TooLarge(f"Such a request may hold {MAX_QUESTION} bytes.", code="body_too_large")
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise ClientError("The body is not UTF-8. Encode it in UTF-8.", code="invalid_utf8") from None
        if len(self._waiting) >= MOST_QUESTIONS:
            raise Unavailable(
                "Too many such requests are under way. Try again in a second.",
                code="control_busy",
                retry_after=1,
            )
        number = self._last + 1
        if not self._send(Ask(number, what, call.grant.token, text)):
            raise _no_control()
        self._last = number
        self._waiting[number] = call, self._now() + _PATIENCE

    def answered(self, answer: Answer) -> None:
        """Control's answer; nobody may wait for it any more."""
        call, _ = self._waiting.pop(answer.number, (None, 0.0))
        if call is None or not _waits(call):
            return
        body = answer.body.encode()
        lines = [_JSON] if body else []
        if answer.status == 401:
            lines.append(b"www-authenticate: Bearer\r\n")
        with call.connection.border():
            call.answer_locally(answer.status, lines, body)

    def begin(self) -> None:
        """A new connection to control: what was asked over the one before is not answered."""
        late, self._waiting = self._waiting, {}
        for call, _ in late.values():
            _give_up(call)

    def tick(self, now: float) -> None:
        """Give up on answers that take too long."""
        for number in [number for number, (_, until) in self._waiting.items() if now > until]:
            _give_up(self._waiting.pop(number)[0])


def _waits(call: "Call") -> bool:
    """Whether it was not ended meanwhile, by its client or by the gateway."""
    return call.stage == "begun" and call.connection.call is call


def _give_up(call: "Call") -> None:
    if _waits(call):
        call.connection.refuse(_no_control())


def _no_control() -> Unavailable:
    return Unavailable(
        "The gateway's control process did not answer. Whether it acted is not known. Try again in a few seconds.",
        code="control_unavailable",
        retry_after=2,
    )
