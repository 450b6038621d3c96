"""One attempt's answer: which relay carries it is decided by its head, once, and the relay hears the rest.

- an error answer, or JSON: held whole up to 1 MiB, checked, and only then shown (`WholeRelay`);
- an event stream: passed on event by event, tapped (`StreamRelay`);
- everything else, and JSON that is larger: passed on as it comes (`RawRelay`).
"""

from typing import TYPE_CHECKING, Final

from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Answer, Fault, Head
from chatvault.gateway.count_relay import CountRelay
from chatvault.gateway.count_translation import CountTranslation
from chatvault.gateway.embedding_relay import EmbeddingRelay
from chatvault.gateway.embedding_translation import EmbeddingTranslation
from chatvault.gateway.raw_relay import RawRelay
from chatvault.gateway.routes import Endpoint
from chatvault.gateway.stream_relay import StreamRelay
from chatvault.gateway.translated_relay import TranslatedRelay
from chatvault.gateway.unframed import Unframed, is_framed
from chatvault.gateway.whole_relay import HOLD, WholeRelay
from chatvault.net.connection import LiveExchange
from chatvault.net.decoding import CODINGS, Decoded

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_EVENTS: Final = b"text/event-stream"
JSON_ONLY: Final = frozenset(("completions", "moderations"))
"""Endpoints beside conversations that answer in JSON or as a stream of events; anything else is not their dialect."""


def _in_json(endpoint: Endpoint) -> bool:
    return endpoint.conversation or endpoint.embedding or endpoint.name in JSON_ONLY


_JSON_STREAMS: Final = frozenset((b"application/stream+json",))
"""Types that end like JSON and are lines of it: Cohere's v1 (recorded answers, seen 2026-11)."""


def _is_json(kind: bytes) -> bool:
    """Whether a content type is that of one JSON document."""
    name = kind.partition(b";")[0].strip()
    return name == b"application/json" or (name.endswith(b"+json") and name not in _JSON_STREAMS)


class Attempt:
    """The `Answer` of an attempt until its head is there."""

    __slots__ = ("_call", "exchange")

    def __init__(self, call: "Call") -> None:
        self._call = call
        self.exchange: LiveExchange | None = None

    def head(self, head: Head) -> None:
        call, exchange = self._call, self.exchange
        assert exchange is not None
        outcome, fields = call.outcome, dict(head.headers)
        outcome.upstream_status = head.status
        request_id = fields.get(b"x-request-id") or fields.get(b"x-amzn-requestid")
        if request_id is not None:
            outcome.upstream_id = request_id[:128].decode("latin-1")
        call.body_spent()
        if head.status >= 400:
            outcome.state, outcome.code = "upstream_error", "upstream_status"
        if 300 <= head.status < 400 and head.status != 304:
            call.fail(
                "upstream_error",
                UpstreamError(
                    f"The provider '{call.provider_name}' answered with a redirect ({head.status}), which "
                    "is never followed. "
                    "Set its base URL to where it really is.",
                    code="upstream_redirect",
                ),
            )
            return
        relay: Answer
        unframed = call.admitted is not None and call.admitted.framed
        translation = call.admitted.translation if call.admitted is not None else None
        if isinstance(translation, EmbeddingTranslation):
            relay = EmbeddingRelay(call, translation)
        elif isinstance(translation, CountTranslation):
            relay = CountRelay(call, translation)
        elif translation is not None:
            relay = TranslatedRelay(call, translation)
        else:
            kind = fields.get(b"content-type", b"").lower()
            relay = self._relay(head, _EVENTS if unframed and is_framed(head) else kind)
        if unframed:
            relay = Unframed(relay)
        coding = fields.get(b"content-encoding")
        self.exchange = None  # no cycle is left to the collector
        if coding is not None and coding.lower() in CODINGS:
            decoded = Decoded(relay, exchange)
            exchange.answer = decoded
            decoded.head(head)
        else:
            exchange.answer = relay
            relay.head(head)

    def _relay(self, head: Head, kind: bytes) -> Answer:
        call = self._call
        if call.head.method == b"HEAD" or head.status in (204, 304):
            return RawRelay(call)
        if head.status >= 400:
            return WholeRelay(call)
        asked_stream = call.admitted is not None and call.admitted.stream
        if kind.startswith(_EVENTS) or (asked_stream and kind.startswith(call.speech.stream_type)):
            return StreamRelay(call)
        json_kind = _is_json(kind)
        if json_kind and head.length is not None and head.length > HOLD:
            return RawRelay(call, json=True)
        endpoint = call.endpoint
        if json_kind or (endpoint is not None and _in_json(endpoint)):
            return WholeRelay(call)
        return RawRelay(call)

    def body(self, data: bytes) -> None:
        raise AssertionError("a body before its head")

    def end(self) -> None:
        raise AssertionError("an end before the head")

    def fault(self, fault: Fault) -> None:
        self._call.attempt_failed(fault)
