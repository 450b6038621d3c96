"""The tap beside an OpenAI stream: usage, finish reason, errors inside it, and whether it came to its end.

A packet is read only if it may tell something new, which a few searches for fixed bytes decide; all others
pass at their cost. A tap never fails: what it cannot read it passes on.
"""

import re
from typing import Final

from chatvault.wire.openai.reply import Facts, Reply, read
from chatvault.wire.sse import data_of, events

_ENDS: Final = frozenset(
    (
        "response.completed",
        "response.failed",
        "response.incomplete",
        "transcript.text.done",
        "speech.audio.done",
        "image_generation.completed",
        "image_edit.completed",
    )
)
"""Types of the events that end a stream which has no `[DONE]`."""

CONTENT: Final = re.compile(
    rb'"(?:content|text|delta|arguments|reasoning_content|reasoning)"\s*:\s*"((?:[^"\\]|\\.)*)"'
)
"""What an event says, as it is written."""
_ERROR_EVENT: Final = re.compile(rb"(?:^|[\r\n])event: ?error[\r\n]")


class StreamTap:
    """`hide`: the usage event was asked for by the gateway, not by the client, so it is taken out."""

    __slots__ = ("_hide", "done", "ended", "events", "facts", "last", "plain", "plain_size")

    def __init__(self, *, hide: bool) -> None:
        self._hide = hide
        self.facts = Facts()
        self.done = False
        """`[DONE]`, or the event that ends this kind of stream, was there."""
        self.ended = False
        """A finish reason was there: the model had said all."""
        self.events = 0
        self.plain = self.plain_size = 0
        """Events that carried content, and their bytes."""
        self.last = b""
        """The latest packet that carried plain content, for an estimate."""

    def scan(self, whole: bytes) -> bytes:
        """Whole events in, what of them the client is to see out."""
        count = whole.count
        if (
            count(b'"usage"') != count(b'"usage":null')
            or count(b'"finish_reason"') != count(b'"finish_reason":null')
            or b'"error"' in whole
            or b"event: error" in whole
            or b"event:error" in whole
            or b"[DONE]" in whole
            or not self.events
            or b'"response"' in whole
            or b'.done"' in whole
            or b'.completed"' in whole
        ):
            return self._read(whole)
        plain = count(b"data:")
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
        """Whether a part of an event may turn out to be the one that is taken out."""
        return self._hide and b'"choices":[{' not in partial

    def _read(self, whole: bytes) -> bytes:
        shown, hidden = [], False
        for event in events(whole):
            data = data_of(event)
            if data is None:
                shown.append(event)
                continue
            self.events += 1
            if data.strip() == b"[DONE]":
                self.done = True
                shown.append(event)
                continue
            try:
                reply = read(data)
            except ValueError:
                shown.append(event)
                if _ERROR_EVENT.search(event) is not None:
                    self._failed(data)
                continue
            self._learn(reply, event, data)
            if self._hide and reply.usage is not None and reply.choices == []:
                hidden = True
            else:
                shown.append(event)
        return b"".join(shown) if hidden else whole

    def _learn(self, reply: Reply, event: bytes, data: bytes) -> None:
        facts = self.facts
        facts.learn(reply)
        if (reply.type is None or reply.type.endswith(".delta")) and any(CONTENT.findall(event)):
            self.plain += 1
            self.plain_size += len(event)
            self.last = event
        if reply.type in _ENDS:
            self.done = True
        elif reply.type == "error" or reply.object == "error" or _ERROR_EVENT.search(event) is not None:
            self._failed(data)
        if facts.finish is not None:
            self.ended = True

    def _failed(self, data: bytes) -> None:
        """The event is an error as a whole; where it has a member `error`, that is known already."""
        if self.facts.error is None:
            self.facts.error = data.decode(errors="replace") or "error"
