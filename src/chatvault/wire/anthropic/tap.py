"""The tap beside a stream of this dialect: usage, finish reason, errors inside it, and whether it came to its
end.

It has the interface of `wire.openai.stream.StreamTap`; nothing is ever hidden. A packet is read only if it
may tell something new, which a few searches for fixed bytes decide; deltas pass at their cost. A tap never
fails: what it cannot read it passes on.
"""

import re
from typing import Final

from chatvault.wire.anthropic.reply import Learner
from chatvault.wire.json_value import decode
from chatvault.wire.openai.reply import Facts
from chatvault.wire.sse import data_of, events

_MAY_FAIL: Final = re.compile(rb'"error"|event: ?error')
_ERROR_EVENT: Final = re.compile(rb"(?:^|[\r\n])event: ?error[\r\n]")


class MessagesTap:
    __slots__ = ("_learner", "events", "last", "plain", "plain_size")

    def __init__(self) -> None:
        self._learner = Learner()
        self.events = 0
        self.plain = self.plain_size = 0
        """Events that carried nothing but content, and their bytes."""
        self.last = b""
        """The latest packet that carried plain content, for an estimate."""

    @property
    def facts(self) -> Facts:
        return self._learner.facts

    @property
    def done(self) -> bool:
        """`message_stop` was there."""
        return self._learner.done

    @property
    def ended(self) -> bool:
        """A reason to stop was there: the model had said all."""
        return self._learner.ended

    def scan(self, whole: bytes) -> bytes:
        """Whole events in, the same out."""
        if (
            b'"message_' in whole
            or (b"error" in whole and _MAY_FAIL.search(whole) is not None)
            or not self.events
        ):
            self._read(whole)
            return whole
        plain = whole.count(b"data:")
        self.events += plain
        self.plain += plain
        self.plain_size += len(whole)
        self.last = whole
        return whole

    def again(self, event: bytes) -> None:
        """One more event that is like the last plain one but for what it says."""
        self.events += 1
        self.plain += 1
        self.plain_size += len(event)
        self.last = event

    def may_hide(self, partial: bytes | bytearray) -> bool:
        return False

    def _read(self, whole: bytes) -> None:
        for event in events(whole):
            data = data_of(event)
            if data is None:
                continue
            self.events += 1
            failed = _ERROR_EVENT.search(event) is not None
            if b"content_block_delta" in data and not failed:
                self.plain += 1
                self.plain_size += len(event)
                self.last = event
            try:
                values = decode(data)
            except ValueError:
                values = None
            if isinstance(values, dict) and not (failed and values.get("type") != "error"):
                self._learner.learn(values)
            elif failed and self.facts.error is None:
                self.facts.error = data.decode(errors="replace") or "error"
