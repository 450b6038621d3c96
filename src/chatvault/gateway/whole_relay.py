"""Whole answers: held, checked, settled, and then shown in one piece, so that a client never sees half of
one. What is declared as JSON and turns out to be the events that were asked for, or too large to hold, goes on
through the relay for it."""

from typing import TYPE_CHECKING, Final

from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Fault, Head
from chatvault.gateway.answers import field
from chatvault.gateway.raw_relay import RawRelay
from chatvault.gateway.stream_relay import StreamRelay
from chatvault.wire.json_value import decode
from chatvault.wire.openai.errors import error_text, is_only_error, status_in

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

HOLD: Final = 1 << 20
"""Bytes of an answer that are held. A larger one is shown as it comes, and a cut breaks it visibly."""

_EVENTS: Final = (b"data:", b"event:", b": ")
"""How server-sent events begin, and no JSON does."""
_TELLING: Final = max(map(len, _EVENTS))


class WholeRelay:
    __slots__ = ("_call", "_head", "_other", "_parts", "_size")

    def __init__(self, call: "Call") -> None:
        self._call = call
        self._parts: list[bytes] = []
        self._size = 0
        self._head: Head | None = None
        self._other: RawRelay | StreamRelay | None = None

    def head(self, head: Head) -> None:
        self._head = head

    def body(self, data: bytes) -> None:
        if self._other is not None:
            self._other.body(data)
            return
        before = self._size
        self._parts.append(data)
        self._size = size = before + len(data)
        if size > HOLD:
            self._hand_over(RawRelay(self._call, json=True))
        elif before < _TELLING and (before or not data.startswith(b"{")) and self._begins_as_events():
            self._hand_over(StreamRelay(self._call))

    def _begins_as_events(self) -> bool:
        head, parts = self._head, self._parts
        assert head is not None
        begin = parts[0] if len(parts) == 1 else b"".join(parts)
        return head.status < 400 and begin.startswith(_EVENTS)

    def _hand_over(self, other: RawRelay | StreamRelay) -> None:
        assert self._head is not None
        self._other = other
        other.head(self._head)
        parts, self._parts = self._parts, []
        for part in parts:
            other.body(part)

    def end(self) -> None:
        if self._other is not None:
            self._other.end()
            return
        head, call, parts = self._head, self._call, self._parts
        assert head is not None
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        call.first_byte()
        if head.status >= 400:
            self._refusal(head, body)
            return
        try:
            facts = call.speech.read_reply(body)
        except ValueError as error:
            call.outcome.code = "upstream_not_json"
            call.outcome.detail = f"{error}; it began: {body[:200].decode(errors='replace')}"
            call.fail(
                "upstream_error",
                UpstreamError(
                    f"The provider '{call.provider_name}' answered with something that is not JSON, so not "
                    "with this API. "
                    "Check its base URL.",
                    code="upstream_not_json",
                ),
            )
            return
        call.outcome.facts = facts
        if facts.usage is None:
            call.outcome.answer = body
        if facts.error is not None:
            call.outcome.state = "error_in_band"
            call.outcome.code = "upstream_error_in_answer"
            call.outcome.detail = facts.error
            if is_only_error(body):  # a library takes it for an answer that is empty
                head = Head(status_in(facts.error), head.headers, head.length)
        call.keep_body(body)
        call.finish_whole(head, body)

    def _refusal(self, head: Head, body: bytes) -> None:
        """The provider's own error: its status and its JSON pass; what is not JSON is put into the error
        shape."""
        call = self._call
        text = error_text(body)
        call.outcome.detail = text or body[:500].decode(errors="replace")
        kind = (field(head.headers, b"content-type") or b"").lower()
        if text is None and (b"json" not in kind or not _is_json(body)):
            error = UpstreamError(
                f"The provider '{call.provider_name}' answered {head.status} without saying why in JSON.",
                code="upstream_status",
                status=head.status,
            )
            headers = [pair for pair in head.headers if pair[0] != b"content-type"]
            head = Head(head.status, [*headers, (b"content-type", b"application/json")], None)
            body = call.speech.error_body(error)
        call.keep_body(body)
        call.finish_whole(head, body)

    def fault(self, fault: Fault) -> None:
        if self._other is not None:
            self._other.fault(fault)
        else:
            self._call.attempt_failed(fault)


def _is_json(body: bytes) -> bool:
    try:
        decode(body)
    except ValueError:
        return False
    return True
