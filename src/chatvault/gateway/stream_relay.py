"""Streams of events: passed on as they come, tapped beside, and never made to look whole when they are not.

The client gets the head together with the first event, so that until then a failure is an error with a
status. The packet that ends the stream is held until the record is closed, which takes microseconds: what a
client saw complete is on record complete.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Fault, Head
from chatvault.wire.hub.events import Failed
from chatvault.wire.likeness import Likeness
from chatvault.wire.openai.errors import error_text, status_in

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_PATIENCE: Final = 0.25
"""Seconds a provider may take to end the connection's answer behind the event that ended the stream."""
_MOST_BEFORE: Final = 8 << 20
"""Bytes that may come before the first event is whole."""
_MOST_AFTER: Final = 1 << 20
"""Bytes that may follow the event that ended the stream; what goes beyond is dropped."""


class StreamRelay:
    __slots__ = (
        "_begun", "_call", "_flows", "_head", "_held", "_last", "_likeness", "_passed", "_splitter", "_tap",
        "_timer",
    )  # fmt: skip

    def __init__(self, call: "Call") -> None:
        self._call = call
        admitted = call.admitted
        self._tap = call.speech.tap(admitted is not None and admitted.hide_usage)
        self._splitter = splitter = call.speech.splitter()
        self._likeness = Likeness(splitter.end)
        self._begun = False
        self._flows = False
        """The answer has begun, and the next packet begins an event."""
        self._held = bytearray()
        self._last: bytes | None = None
        self._passed = 0
        self._timer: asyncio.TimerHandle | None = None
        self._head: Head | None = None

    def head(self, head: Head) -> None:
        self._head = head
        self._call.outcome.tap = self._tap

    def body(self, data: bytes) -> None:
        if self._flows and self._likeness.like(data):
            self._tap.again(data)
            self._call.write(data)
        else:
            self._look_at(data)

    def _look_at(self, data: bytes) -> None:
        """A packet that may tell something new."""
        if self._last is not None:
            if len(self._last) < _MOST_AFTER:
                self._last += data
            return
        splitter, tap = self._splitter, self._tap
        before = tap.events, tap.plain
        whole = splitter.feed(data)
        out = b""
        if whole:
            out = tap.scan(whole)
            if self._passed:
                out, self._passed = out[self._passed :], 0
        if splitter.partial and self._begun and (splitter.overflowed or not tap.may_hide(splitter.partial)):
            out += splitter.partial[self._passed :]
            self._passed = len(splitter.partial)
            if splitter.overflowed:
                splitter.partial.clear()
                self._passed = 0
        if not self._begun:
            self._held += out
            if not tap.events:
                self._bound()
                return
            if self._failed_at_once():
                return
            out, self._held = bytes(self._held), bytearray()
            self._begin()
        if tap.done:
            self._last = out
            self._timer = self._call.worker.loop.call_later(_PATIENCE, self._end_without_end)
            self._flows = False
            return
        self._flows = not splitter.partial and not splitter.overflowed
        if out:
            self._call.outcome.torn = self._passed > 0 or splitter.overflowed
            self._call.write(out)
        if self._flows and out == data and (tap.events, tap.plain) == (before[0] + 1, before[1] + 1):
            self._likeness.learn(data)

    def _bound(self) -> None:
        """Before the first event nothing can be passed on, and what is held has to end somewhere."""
        if len(self._held) + len(self._splitter.partial) > _MOST_BEFORE:
            self._call.attempt_failed(
                Fault("protocol_error", f"{_MOST_BEFORE} bytes came in which there is no event")
            )

    def _begin(self) -> None:
        assert self._head is not None
        self._begun = True
        self._call.first_byte()
        self._call.commit(self._head, None)

    def _failed_at_once(self) -> bool:
        """An error before anything was said becomes an answer with a status: nothing was committed yet."""
        error = self._tap.facts.error
        if error is None or self._head is None or self._tap.plain:
            return False
        call = self._call
        call.first_byte()
        call.outcome.state = "error_in_band"
        call.outcome.code = "upstream_error_in_answer"
        call.outcome.detail = error
        headers = [pair for pair in self._head.headers if pair[0] not in (b"content-type", b"cache-control")]
        status = status_in(error)
        hub = call.speech.hub if call.speech.family != "openai" else None
        if hub is None:
            body = b'{"error":%s}' % _error_object(error)
        else:
            body = hub.write_error(Failed(message=error_text(error.encode()) or error, status=status), status)
        head = Head(status, [*headers, (b"content-type", b"application/json")], None)
        call.drop_upstream()
        call.finish_whole(head, body)
        return True

    def _end_without_end(self) -> None:
        self._timer = None
        self._call.drop_upstream()
        with self._call.connection.border():
            self.end()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        call, tap = self._call, self._tap
        rest = bytes(self._splitter.partial[self._passed :]) if self._last is None else b""
        if self._splitter.partial and self._last is None:
            ended = bytes(self._splitter.partial) + b"\n\n"
            if tap.scan(ended) != ended:
                rest = b""
            if not self._begun and tap.events and not self._failed_at_once():
                self._begin()
                rest, self._held = bytes(self._held) + rest, bytearray()
        if call.stage == "settled":
            return
        endpoint = call.endpoint
        tells = endpoint is not None and endpoint.conversation
        whole = tap.done or tap.ended or not tells  # a stream that tells its end, and ends without, was cut
        if not self._begun or not (whole or tap.facts.error is not None):
            call.outcome.detail = "the stream ended without its last event"
            call.fail(
                "upstream_cut",
                UpstreamError(
                    f"The provider '{call.provider_name}' ended its stream before it was whole. What came "
                    "is not the full answer.",
                    code="upstream_cut",
                ),
            )
            return
        if tap.facts.error is not None:
            call.outcome.state = call.outcome.state or "error_in_band"
            call.outcome.code = "upstream_error_in_answer"
            call.outcome.detail = tap.facts.error
        call.finish(self._last if self._last is not None else rest)

    def fault(self, fault: Fault) -> None:
        if self._last is not None:
            self.end()  # the stream was whole before its connection broke
            return
        if self._tap.facts.error is not None and self._begun:
            self._call.outcome.detail = self._tap.facts.error
            self._call.fail(
                "error_in_band",
                UpstreamError(
                    f"The provider '{self._call.provider_name}' reported an error and ended its stream.",
                    code="upstream_error_in_answer",
                ),
            )
            return
        self._call.attempt_failed(fault)


def _error_object(text: str) -> bytes:
    """The provider's error as the value of `error`: an object, whatever it was."""
    raw = text.encode()
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        value = text
    if isinstance(value, dict):
        inner = value.get("error")
        return raw if not isinstance(inner, dict) else msgspec.json.encode(inner)
    return msgspec.json.encode(
        {"message": str(value), "type": "upstream_error", "param": None, "code": "upstream_error_in_answer"}
    )
