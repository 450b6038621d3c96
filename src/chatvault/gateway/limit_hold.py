"""A call at the store of limits: asked about, let through or refused, and settled once."""

from collections.abc import Callable
from typing import Any, Final

from chatvault.access.limiter import MICRO, Exceeded, Left, Meter
from chatvault.access.limits import Scope, Unit
from chatvault.gateway.limit_scripts import SETTLE
from chatvault.net.commands import bulk

_END_OF_CALL: Final = bulk(b"c") + 2 * bulk(b"0")

Told = Callable[["Hold", bool], None]
"""What a call is told: its hold, and whether the store has answered, in time."""
Limit = tuple[bytes, str, str, int, int]
"""Of one window: its key, the limit's name, `requests`, `tokens` or `calls` (under way), the most, microseconds."""


def key_of(scope: Scope, subject: str, limit: str) -> bytes:
    """Where the store has a window."""
    return f"chatvault:{scope}:{subject}:{limit}".encode()


class Part:
    """What a meter adds to a command: written once."""

    __slots__ = ("args", "keys", "limits", "meter")

    def __init__(self, meter: Meter) -> None:
        limited = meter.limited
        scope, subject = limited.scope, limited.subject
        self.meter = limited
        self.limits: list[Limit] = [
            (key_of(scope, subject, rule.limit), rule.limit, rule.unit, rule.most, rule.seconds * MICRO)
            for rule in limited.limits.rules()
        ]
        most = limited.limits.concurrent
        if most is not None:
            self.limits.append((key_of(scope, subject, "concurrent"), "concurrent", "calls", most, 0))
        shadow = b"1" if limited.limits.shadow else b"0"
        self.keys = b"".join(bulk(key) for key, *_ in self.limits)
        self.args = b"".join(
            bulk(unit[:1].encode()) + bulk(b"%d" % most) + bulk(b"%d" % span) + bulk(shadow)
            for _, _, unit, most, span in self.limits
        )


class Hold:
    """A call at the store: asked about, let through or refused, and settled once."""

    __slots__ = ("_send_on", "_tokens", "_used", "asked_at", "life", "parts", "reply", "told")

    def __init__(
        self,
        send: Callable[[bytes], None],
        parts: tuple[Part, ...],
        tokens: int,
        told: Told | None,
        asked_at: float,
        life: bytes,
    ) -> None:
        self._send_on = send
        self.parts = parts
        self._tokens = tokens
        self._used: tuple[int | None, bool] | None = None
        self.told = told
        """None: nobody waits any more."""
        self.asked_at = asked_at
        self.life = life
        self.reply: list[int] | None = None

    @property
    def through(self) -> bool:
        return self.reply is not None and bool(self.reply[0])

    def exceeded(self) -> tuple[Exceeded | None, list[Exceeded]]:
        """The first limit that the call would pass, if it was refused; and the shadows that it would have, the first of
        each subject."""
        first, shadows, seen = None, [], None
        for part, (_, limit, _, most, _), values in self._limits():
            if values[0]:
                wait = None if values[2] < 0 else values[2] / MICRO
                found = Exceeded(part.meter.scope, part.meter.subject, limit, most, values[1], wait)
                if part.meter.limits.shadow:
                    shadows += [found] if part is not seen else []
                    seen = part
                else:
                    first = first or found
        return first, shadows

    def left(self, unit: Unit) -> Left | None:
        """What the tightest window of this unit had left when the call was decided; None where there is none."""
        found: Left | None = None
        weight = 0 if not self.through else 1 if unit == "requests" else self._tokens
        for _, (_, _, kind, most, _), values in self._limits():
            if kind == unit:
                rest = max(most - values[1] - weight, 0)
                if found is None or rest * found.most < found.left * most:
                    found = Left(most, rest, values[3] / MICRO)
        return found

    def settle(self, tokens: int | None) -> None:
        """As of `access.limiter.Ticket`."""
        self._end(tokens, False)

    def cancel(self) -> None:
        self.told = None
        self._end(None, True)

    def take(self, reply: Any) -> None:
        """The store's answer, late or not."""
        self.reply = reply if isinstance(reply, list) else None
        told, self.told = self.told, None
        if told is not None:
            told(self, self.reply is not None)
        elif self._used is not None and self.through:
            self._send(*self._used)

    def _end(self, tokens: int | None, cancelled: bool) -> None:
        if self._used is None:
            self._used = (tokens, cancelled)
            if self.through:
                self._send(tokens, cancelled)

    def _send(self, tokens: int | None, cancelled: bool) -> None:
        """What was reserved is corrected, and the call is not under way any more."""
        by = -self._tokens if cancelled else 0 if tokens is None else tokens - self._tokens
        keys, args = [], [bulk(self.life)]
        for _, (key, _, unit, _, _), values in self._limits():
            change = by if unit == "tokens" else -1 if cancelled and unit == "requests" else 0
            if unit == "calls":
                keys.append(bulk(key))
                args.append(_END_OF_CALL)
            elif change:
                keys.append(bulk(key))
                args.append(bulk(b"%d" % values[4]) + bulk(b"%d" % values[5]) + bulk(b"%d" % change))
        if keys:
            self._send_on(SETTLE.command(len(keys), 1 + 3 * len(keys), b"".join((*keys, *args))))

    def _limits(self) -> list[tuple[Part, Limit, list[int]]]:
        reply = self.reply
        assert reply is not None
        limits = [(part, limit) for part in self.parts for limit in part.limits]
        return [
            (part, limit, reply[1 + 6 * number : 7 + 6 * number])
            for number, (part, limit) in enumerate(limits)
        ]
