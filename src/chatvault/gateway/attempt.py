"""One attempt of a call at its provider: the request goes out, and which relay carries the answer is decided by its
head, once; the relay hears the rest.

- an error answer, or JSON: held whole up to 1 MiB, checked, and only then shown (`WholeRelay`);
- an event stream: passed on event by event, tapped (`StreamRelay`);
- everything else, and JSON that is larger: passed on as it comes (`RawRelay`).
"""

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Final

from chatvault.audit.lines import Attempted
from chatvault.core.clock import now_us
from chatvault.core.errors import GatewayError, JournalError, OperatorError, UpstreamError
from chatvault.core.seam import Answer, Fault, Head
from chatvault.gateway.count_relay import CountRelay
from chatvault.gateway.count_translation import CountTranslation
from chatvault.gateway.embedding_relay import EmbeddingRelay
from chatvault.gateway.embedding_translation import EmbeddingTranslation
from chatvault.gateway.raw_relay import RawRelay
from chatvault.gateway.routes import Endpoint
from chatvault.gateway.settlement import reserved_of
from chatvault.gateway.stream_relay import StreamRelay
from chatvault.gateway.translated_relay import TranslatedRelay
from chatvault.gateway.translation import Translation
from chatvault.gateway.unframed import Unframed, is_framed
from chatvault.gateway.upstream_request import upstream_request
from chatvault.gateway.whole_relay import HOLD, WholeRelay
from chatvault.net.connection import LiveExchange
from chatvault.net.decoding import CODINGS, Decoded

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

log = logging.getLogger(__name__)

_EVENTS: Final = b"text/event-stream"
_JSON: Final = b"application/json"
JSON_ONLY: Final = frozenset(("completions", "moderations"))
"""Endpoints beside conversations that answer in JSON or as a stream of events; anything else is not their dialect."""

_JSON_STREAMS: Final = frozenset((b"application/stream+json",))
"""Types that end like JSON and are lines of it: Cohere's v1 (recorded answers, seen 2026-11)."""


def send(call: "Call", *, fresh: bool = False) -> None:
    """The call's request goes out. `fresh`: not over a connection that was kept."""
    admitted = call.admitted
    if call.stage != "opened" or admitted is None:
        return
    try:
        upstream = call.worker.upstream(admitted.provider, admitted.family)
        if call.key is not None:
            upstream = upstream.keyed(call.key)
    except OperatorError as error:
        log.error("the provider %s cannot be used: %s", admitted.provider, error.message)
        call.fail("gateway_error", _unusable(admitted.provider))
        return
    try:
        request = upstream_request(call, admitted, upstream)
    except (GatewayError, UpstreamError) as error:
        call.fail("gateway_error", error)
        return
    call.attempts += 1
    attempt = Attempt(call)
    call.sent_at = perf_counter()
    if admitted.body is not None:
        exchange = upstream.pool.start(request, attempt, fresh=fresh)
    else:
        # Never over a connection that was kept: what has been sent up cannot be sent again.
        exchange = upstream.pool.start(request, attempt, fresh=True, writable=call.writable)
    call.exchange = attempt.exchange = exchange
    if call.paused:
        exchange.pause()
    if call.upload is not None:
        call.upload.goes_over(exchange)


class Attempt:
    """The `Answer` of an attempt until its head is there."""

    __slots__ = ("_call", "exchange")

    def __init__(self, call: "Call") -> None:
        self._call = call
        self.exchange: LiveExchange | None = None

    def head(self, head: Head) -> None:
        call, exchange, status = self._call, self.exchange, head.status
        assert exchange is not None
        outcome = call.outcome
        outcome.upstream_status = status
        fields = dict(head.headers)
        request_id = fields.get(b"x-request-id") or fields.get(b"x-amzn-requestid")
        if request_id is not None:
            outcome.upstream_id = request_id[:128].decode("latin-1")
        call.body_spent()
        if status >= 300 and not self._goes_on(head):
            return
        relay = _relay(call, head, fields.get(b"content-type", b""))
        self.exchange = None  # no cycle is left to the collector
        if b"content-encoding" in fields and fields[b"content-encoding"].lower() in CODINGS:
            relay = Decoded(relay, exchange)
        exchange.take_over(relay)
        relay.head(head)

    def _goes_on(self, head: Head) -> bool:
        """Whether there is more to an answer of such a status."""
        call = self._call
        if head.status >= 400:
            call.outcome.state, call.outcome.code = "upstream_error", "upstream_status"
            return True
        if head.status == 304:
            return True
        call.fail(
            "upstream_error",
            UpstreamError(
                f"The provider '{call.provider_name}' answered with a redirect ({head.status}), which "
                "is never followed. "
                "Set its base URL to where it really is.",
                code="upstream_redirect",
            ),
        )
        return False

    def body(self, data: bytes) -> None:
        raise AssertionError("a body before its head")

    def end(self) -> None:
        raise AssertionError("an end before the head")

    def fault(self, fault: Fault) -> None:
        call = self._call
        if fault.code == "stale_connection" and call.may_retry:
            _retry(call, fault)
        else:
            call.attempt_failed(fault)


def _relay(call: "Call", head: Head, kind: bytes) -> Answer:
    admitted = call.admitted
    if admitted is not None and admitted.framed:
        return Unframed(_carrier(call, head, _EVENTS if is_framed(head) else kind))
    return _carrier(call, head, kind)


def _carrier(call: "Call", head: Head, kind: bytes) -> Answer:
    admitted = call.admitted
    if admitted is not None and admitted.translation is not None:
        return _translating(call, admitted.translation)
    status = head.status
    if call.head.method == b"HEAD" or status == 204 or status == 304:
        return RawRelay(call)
    if status >= 400:
        return WholeRelay(call)
    kind = kind.lower()
    asked_stream = admitted is not None and admitted.stream
    if kind.startswith(_EVENTS) or (asked_stream and kind.startswith(call.speech.stream_type)):
        return StreamRelay(call)
    json_kind = kind == _JSON or _is_json(kind)
    if json_kind and head.length is not None and head.length > HOLD:
        return RawRelay(call, json=True)
    if json_kind or (call.endpoint is not None and _in_json(call.endpoint)):
        return WholeRelay(call)
    return RawRelay(call)


def _translating(call: "Call", translation: Translation | EmbeddingTranslation | CountTranslation) -> Answer:
    if isinstance(translation, EmbeddingTranslation):
        return EmbeddingRelay(call, translation)
    if isinstance(translation, CountTranslation):
        return CountRelay(call, translation)
    return TranslatedRelay(call, translation)


def _is_json(kind: bytes) -> bool:
    """Whether a content type is that of one JSON document."""
    name = kind.partition(b";")[0].strip()
    return name == _JSON or (name.endswith(b"+json") and name not in _JSON_STREAMS)


def _in_json(endpoint: Endpoint) -> bool:
    return endpoint.conversation or endpoint.embedding or endpoint.name in JSON_ONLY


def _retry(call: "Call", fault: Fault) -> None:
    """Once more, over a fresh connection: the one that was kept died without a byte of an answer."""
    admitted, held = call.admitted, call.held_of
    assert admitted is not None
    if held is not None and held.reservation is not None and not held.reservation.again():
        call.attempt_failed(fault)  # nobody knows whether the first was billed, and a second has no budget
        return
    call.retried = True
    line = Attempted(
        at=now_us(),
        id=call.id,
        number=call.attempts + 1,
        provider=admitted.provider,
        target=admitted.target,
        price=admitted.price.version if admitted.price else None,
        reserved=admitted.reserved,
        after=fault.code,
        budgets=reserved_of(call),
    )
    try:
        call.worker.journal.append(line)
    except JournalError as error:
        if call.worker.snapshot.audit.on_failure == "refuse":
            call.fail("gateway_error", call.worker.refusals.no_journal(error))
            return
    call.once_durable(lambda: send(call, fresh=True))


def _unusable(provider: str) -> GatewayError:
    return GatewayError(
        f"The configuration of the provider '{provider}' cannot be used; the gateway's log says why.",
        code="provider_unusable",
    )
