"""A provider's answer in its dialect, told to the client in the client's own, event by event as they come.

The counterpart of the relays that pass bytes: the same commitment (nothing before the first event), the same
endings, the same care that a broken answer never looks like a whole one.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Fault, Head
from chatvault.gateway.translation import Translation
from chatvault.wire.hub.dialect import StreamBroken, StreamReader, StreamWriter
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    Ended,
    Failed,
    Finished,
    PartBegun,
    PartEnded,
    Pinged,
    TextDelta,
    UsageTold,
)
from chatvault.wire.openai.reply import Facts

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_MOST_HELD: Final = 64 << 20
"""Bytes of a whole answer that are held, since it can only be told once it is there."""
_PATIENCE: Final = 0.25
"""Seconds a provider may take to end the connection's answer behind the event that ended the stream."""
_JSON: Final = (b"content-type", b"application/json")
_EMPTY: Final = "the answer is empty, without a reason to stop"
_FRAME: Final = b'{"text":'
_FRAMED: Final = len(_FRAME) + len('""}')
_REPLACED: Final = frozenset((b"content-type", b"content-encoding", b"cache-control"))


class Told:
    """What a translation has told so far; the `Tap` of a translated stream, for the record and for estimates."""

    __slots__ = ("done", "ended", "events", "facts", "plain", "plain_size", "said", "text")

    def __init__(self) -> None:
        self.facts = Facts()
        self.done = self.ended = False
        self.said = False
        """A part of an answer has begun, or the provider gave a reason to stop."""
        self.events = self.plain = self.plain_size = 0
        self.text = ""
        """The latest text."""

    @property
    def last(self) -> bytes:
        """As if it had come in an event."""
        return b"%s%s}" % (_FRAME, msgspec.json.encode(self.text))

    def learn(self, events: list[AnyEvent]) -> Failed | None:
        """The error that is among the events, if there is one."""
        self.events += len(events)
        failed = None
        for event in events:
            if type(event) is TextDelta or type(event) is ArgumentsDelta:
                self.plain += 1
                self.plain_size += _FRAMED + len(event.text)
                self.text = event.text
            elif type(event) is PartBegun:
                self.said = True
            elif type(event) is not PartEnded:
                failed = failed or self._other(event)
        return failed

    def _other(self, event: AnyEvent) -> Failed | None:
        facts = self.facts
        if type(event) is UsageTold:
            facts.usage = event.usage
        elif type(event) is Begun:
            facts.model = event.model or facts.model
        elif type(event) is Finished:
            facts.finish = event.said or event.reason
            self.ended = True
            self.said = self.said or event.said is not None
        elif type(event) is Ended:
            self.done = True
        elif type(event) is Failed:
            facts.error = event.message
            return event
        return None

    @property
    def empty(self) -> bool:
        """It is over, and there was neither a part nor a reason to stop: no model answers so."""
        return self.done and not self.said

    def scan(self, whole: bytes) -> bytes:
        return whole

    def may_hide(self, partial: bytes | bytearray) -> bool:
        return False


class TranslatedRelay:
    """The `Answer` of an attempt whose provider speaks another dialect than the client."""

    __slots__ = (
        "_begun", "_call", "_head", "_last", "_parts", "_reader", "_size", "_timer", "_told", "_translation", "_writer",
    )  # fmt: skip

    def __init__(self, call: "Call", translation: Translation) -> None:
        self._call = call
        self._translation = translation
        self._told = Told()
        self._head: Head | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._reader: StreamReader | None = None
        self._writer: StreamWriter | None = None
        self._begun = False
        self._last: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None

    def head(self, head: Head) -> None:
        translation = self._translation
        self._head = head
        self._call.outcome.facts = self._told.facts
        if head.status < 400 and translation.conversation.stream:
            self._call.outcome.tap = self._told
            self._reader = translation.answering.stream_reader()
            self._writer = translation.asked.stream_writer(translation.conversation, model=translation.public)

    def body(self, data: bytes) -> None:
        if self._last is not None:
            return
        if self._reader is not None:
            try:
                events = self._reader.feed(data)
            except StreamBroken as error:
                self._call.attempt_failed(Fault("cut", str(error)))
                return
            except (ValueError, RecursionError) as error:
                self._not_its_dialect(f"{error}; a packet began: {data[:200].decode(errors='replace')}")
                return
            self._tell(events)
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size > _MOST_HELD:
            self._call.attempt_failed(Fault("protocol_error", f"an answer of over {_MOST_HELD} bytes"))

    # --- streams

    def _tell(self, events: list[AnyEvent]) -> None:
        """Pass on what has come. The packet that ends the stream waits for the record."""
        if not events:
            return
        call, told, writer = self._call, self._told, self._writer
        failed = told.learn(events)
        if failed is not None:
            self._failed(failed, events[: events.index(failed)])
            return
        if told.empty:
            self._not_its_dialect(_EMPTY)
            return
        assert writer is not None
        out = writer.feed(events)
        if not self._begun:
            if all(isinstance(event, Pinged) for event in events):
                return
            self._begin()
        if told.done:
            self._last = out
            self._timer = call.worker.loop.call_later(_PATIENCE, self._end_without_end)
        elif out:
            call.write(out)

    def _begin(self) -> None:
        if self._begun:
            return
        assert self._head is not None
        self._begun = True
        self._call.first_byte()
        kept = [pair for pair in self._head.headers if pair[0] not in _REPLACED]
        kind = (b"content-type", self._translation.asked.stream_type)
        self._call.commit(Head(self._head.status, [*kept, kind, (b"cache-control", b"no-cache")], None), None)

    def _failed(self, failed: Failed, before: list[AnyEvent]) -> None:
        """The provider reported an error inside its stream."""
        call, asked = self._call, self._translation.asked
        call.outcome.code = "upstream_error_in_answer"
        call.outcome.detail = failed.message
        if not self._begun and not any(isinstance(event, PartBegun) for event in before):
            call.outcome.state = "error_in_band"
            call.drop_upstream()
            call.first_byte()
            self._show(failed.status or 502, asked.write_error(failed, failed.status or 502))
            return
        self._begin()
        out = self._writer.feed(before) if self._writer is not None and before else b""
        if out:  # a chunk of nothing would say that the answer was whole
            call.write(out)
        call.break_off("error_in_band", asked.write_error_event(failed))

    def _end_without_end(self) -> None:
        self._timer = None
        self._call.drop_upstream()
        with self._call.connection.border():
            self.end()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reader is None:
            self._whole()
            return
        if self._last is None:
            self._tell(self._reader.end())
        self._finish()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._call.stage == "settled":
            return
        if self._last is None:
            self._call.outcome.detail = "the answer ended before it was whole"
            self._call.fail("upstream_cut", _cut(self._call.provider_name))
            return
        self._call.finish(self._last)

    def fault(self, fault: Fault) -> None:
        if self._last is not None:
            self.end()  # the stream was whole before its connection broke
            return
        self._call.attempt_failed(fault)

    # --- whole answers

    def _whole(self) -> None:
        call, translation, head = self._call, self._translation, self._head
        assert head is not None
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        call.first_byte()
        if head.status >= 400:
            refusal = translation.answering.read_error(head.status, body)
            call.outcome.detail = refusal.message
            self._show(head.status, translation.asked.write_error(refusal, head.status))
            return
        try:
            events = translation.answering.read_reply(body)
        except (ValueError, RecursionError) as error:
            self._not_its_dialect(f"{error}; it began: {body[:200].decode(errors='replace')}")
            return
        failed = self._told.learn(events)
        if failed is not None:
            self._failed(failed, [])
            return
        if self._told.facts.usage is None:
            call.outcome.answer = body
        if not self._told.done:
            self._finish()
            return
        if self._told.empty:
            self._not_its_dialect(f"{_EMPTY}; it began: {body[:200].decode(errors='replace')}")
            return
        said = translation.asked.write_reply(
            events, model=translation.public, conversation=translation.conversation
        )
        self._show(head.status, said)

    def _not_its_dialect(self, detail: str) -> None:
        call = self._call
        error = _not_its_dialect(call.provider_name, self._translation.answering.name)
        call.outcome.code = error.code
        call.outcome.detail = detail
        call.fail("upstream_error", error)

    def _show(self, status: int, body: bytes) -> None:
        assert self._head is not None
        kept = [pair for pair in self._head.headers if pair[0] not in _REPLACED]
        self._call.keep_body(body)
        self._call.finish_whole(Head(status, [*kept, _JSON], None), body)


def _cut(provider: str) -> UpstreamError:
    return UpstreamError(
        f"The provider '{provider}' ended its answer before it was whole. What came is not the full answer.",
        code="upstream_cut",
    )


def _not_its_dialect(provider: str, dialect: str) -> UpstreamError:
    return UpstreamError(
        f"The provider '{provider}' answered with something that is not {dialect}. Check its base URL and "
        "its kind.",
        code="upstream_not_json",
    )
