"""One call, from its head to its settlement: the steps in their order, and the state that joins them.

    begin -> authorized -> body_read -> open -> send -> (attempt) -> commit -> settle

Each step is a function of its own file where it is a decision (`admission`, `upstream_request`,
`settlement`), and a relay where it is a flow (`whole_relay`, `stream_relay`, `raw_relay`,
`translated_relay`). What is left here is what all of them share: the state of one call and its endings, which
is why this file is longer than others. Only waiting is asynchronous: for a grant, for the body, for the disk,
for the provider. `stage` says how far the call is; every ending passes `settle` once, and what was opened is
closed there.
"""

import logging
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from chatvault.access.grant import Grant
from chatvault.audit.lines import Attempted, Private
from chatvault.core.clock import now_us
from chatvault.core.errors import (
    ChatVaultError,
    ClientError,
    GatewayError,
    JournalError,
    OperatorError,
    Timeout,
    UpstreamError,
)
from chatvault.core.ids import new_id
from chatvault.core.seam import Fault, Head
from chatvault.core.states import State
from chatvault.counting.measure import keep
from chatvault.gateway import hops, local
from chatvault.gateway.admission import (
    Admitted,
    Estimated,
    admit_json,
    admit_upload,
    body_kind,
    check_endpoint,
)
from chatvault.gateway.answers import error_answer, passed
from chatvault.gateway.attempt import Attempt
from chatvault.gateway.faults import NOT_SENT, upstream_error
from chatvault.gateway.intake import HeldBody
from chatvault.gateway.outbound import credential
from chatvault.gateway.routes import Endpoint, find_endpoint
from chatvault.gateway.settlement import Outcome, closed_line, opened_line
from chatvault.gateway.speech import OPENAI, speech_of
from chatvault.gateway.trace import trace_id
from chatvault.gateway.upload import UploadedBody
from chatvault.gateway.upstream_request import upstream_request
from chatvault.net.connection import LiveExchange
from chatvault.wire.http_head import RequestHead
from chatvault.wire.json_fields import Body

if TYPE_CHECKING:
    from chatvault.gateway.connection import ClientConnection
    from chatvault.gateway.worker import Worker

log = logging.getLogger(__name__)

Stage = Literal["begun", "opened", "committed", "settled"]


class Call:
    """`opened`: a record is open and must be closed. `committed`: the client has seen the answer's head."""

    __slots__ = (
        "_exchange",
        "_first_at",
        "_held",
        "_keeps",
        "_paused",
        "_sent_at",
        "admitted",
        "at",
        "attempts",
        "began",
        "bytes_out",
        "connection",
        "endpoint",
        "grant",
        "head",
        "id",
        "outcome",
        "retried",
        "speech",
        "stage",
        "status",
        "trace",
        "upload",
        "worker",
    )

    def __init__(self, worker: "Worker", connection: "ClientConnection", head: RequestHead) -> None:
        self.began = perf_counter()
        self.worker = worker
        self.connection = connection
        self.head = head
        self.at = now_us()
        self.id = new_id()
        self.trace = trace_id(head.fields.get(b"traceparent"))
        self.stage: Stage = "begun"
        self.endpoint: Endpoint | None = None
        self.speech = OPENAI
        """The dialect that the client speaks."""
        self.grant: Grant | None = None
        self.admitted: Admitted | None = None
        self.outcome = Outcome()
        self.attempts = 0
        self.retried = False
        self.status = 0
        self.bytes_out = 0
        self.upload: UploadedBody | None = None
        self._held = 0
        self._exchange: LiveExchange | None = None
        self._sent_at = self._first_at = 0.0
        self._paused = self._keeps = False

    # --- who asks, and for what

    def begin(self) -> None:
        head = self.head
        if head.method == b"OPTIONS":
            local.preflight(self)
            return
        self.endpoint = endpoint = find_endpoint(head.method, head.path, head.query)
        if endpoint is None:
            raise local.not_found(self)
        self.speech = speech_of(endpoint.dialect)
        if hops.FIELD in head.fields:
            hops.check(head, self.worker.grants.hop)
        if endpoint is local.HEALTH or endpoint is local.ROOT:
            local.answer_open(self, endpoint)
            return
        grant = self.worker.grants.find(credential(head), self)
        if grant is not None:
            self.authorized(grant)

    def granted(self, grant: Grant | None, error: ChatVaultError | None) -> None:
        """The look-up is answered; the connection has waited for it."""
        if self.stage != "begun" or self.connection.call is not self:
            return
        self.connection.resume_reading()
        with self.connection.border():
            if grant is None:
                raise error or GatewayError("The token could not be looked up.", code="internal_error")
            self.authorized(grant)

    def authorized(self, grant: Grant) -> None:
        """The grant is there, at once or after a look-up."""
        endpoint = self.endpoint
        assert endpoint is not None
        self.grant = grant
        check_endpoint(grant, endpoint, self.at)
        if endpoint.local and endpoint.body == "none":
            local.answer_local(self, endpoint)
            return
        if body_kind(self.head, endpoint) == "upload":
            self.upload = UploadedBody(self)
            self.connection.read_body(self.upload)
            return
        plain = b"content-encoding" not in self.head.fields
        body = self.connection.whole_body(self.worker.snapshot.server.max_body) if plain else None
        if body is None:
            self.connection.read_body(HeldBody(self))
            return
        self.worker.held += len(body)
        self.body_read(body, len(body))

    # --- the body is in, or begins to be

    def body_read(self, body: Body, held: int) -> None:
        """The whole body. `held` of its bytes are on the worker's account, and are taken off it with the
        call."""
        self._held = held
        if self.endpoint is not None and self.endpoint.local:
            local.answer_asked(self, body)
            return
        admitted = admit_json(self, body)
        if isinstance(admitted, Estimated):
            local.answer_estimate(self, admitted.tokens)
            return
        self.admitted = admitted
        self._open()

    def upload_begins(self, model: str | None, span: tuple[int, int] | None, held: bytes) -> bytes:
        """The first part of an upload says where it goes; it comes back as it is to be sent."""
        self.admitted, rest = admit_upload(self, model, span, held)
        self._open()
        return rest

    # --- on record, then upstream

    def body_spent(self) -> None:
        """The answer has begun: the request's body will not be needed again."""
        self._release()
        if self.admitted is not None and self.admitted.body:
            if self.endpoint is not None and self.endpoint.conversation:
                self.outcome.asked = keep(self.admitted.body)
            self.admitted.body = b""

    def _open(self) -> None:
        """Write the call ahead. Nothing goes upstream before the journal has it."""
        journal = self.worker.journal
        try:
            journal.append(opened_line(self))
        except JournalError as error:
            if self.worker.snapshot.audit.on_failure == "refuse":
                raise self.worker.refusals.no_journal(error) from None
            log.warning("call %s goes on without a record, as configured: %s", self.id, error.message)
        self.stage = "opened"
        self._keeps = self.worker.snapshot.audit.bodies == "full"
        self.worker.calls.add(self)
        self._once_durable(self._send)

    def _once_durable(self, then: Callable[[], None]) -> None:
        """Go on when the record is as durable as configured: at once, or after the disk has said so."""
        self.worker.journal.when_durable(then, self._not_durable)

    def _not_durable(self, error: JournalError) -> None:
        """The disk would not keep the record: the call does not go out, or its answer is not shown as whole."""
        refusal = self.worker.refusals.no_journal(error)
        if self.stage != "settled":
            self.fail("gateway_error", refusal)
        elif self.connection.call is self:
            if self.status and self.connection.begun:
                self.connection.break_answer()
            else:
                self._answer(*error_answer(refusal, self.speech))

    def _send(self, *, fresh: bool = False) -> None:
        if self.stage != "opened":
            return
        admitted = self.admitted
        assert admitted is not None
        try:
            upstream = self.worker.upstream(admitted.provider, admitted.family)
        except OperatorError as error:
            log.error("the provider %s cannot be used: %s", admitted.provider, error.message)
            self.fail("gateway_error", _unusable(admitted.provider))
            return
        try:
            request = upstream_request(self, admitted, upstream)
        except (GatewayError, UpstreamError) as error:
            self.fail("gateway_error", error)
            return
        self.attempts += 1
        attempt = Attempt(self)
        self._sent_at = perf_counter()
        if admitted.body is not None:
            self._exchange = upstream.pool.start(request, attempt, fresh=fresh)
        else:
            # Never over a connection that was kept: what has been sent up cannot be sent again.
            self._exchange = upstream.pool.start(request, attempt, fresh=True, writable=self._writable)
        attempt.exchange = self._exchange
        if self._paused:
            self._exchange.pause()
        if self.upload is not None:
            self.upload.goes_over(self._exchange)

    def _writable(self) -> None:
        if self.upload is not None:
            self.upload.writable()

    # --- what an attempt tells

    def attempt_failed(self, fault: Fault) -> None:
        """The attempt ended in a fault before anything was committed, or after it."""
        exchange = self._exchange
        if exchange is not None:
            exchange.cancel()
        if (
            self.stage == "opened"
            and fault.code == "stale_connection"
            and not self.retried
            and self.upload is None
        ):
            self._retry(fault)
            return
        state, error = upstream_error(fault, self.provider_name)
        self.outcome.code = error.code
        self.outcome.detail = fault.detail or error.message
        self.outcome.nothing_sent = fault.code in NOT_SENT and not self.retried
        self.fail(state, error)

    def _retry(self, fault: Fault) -> None:
        """Once more, over a fresh connection: the one that was kept died without a byte of an answer."""
        self.retried = True
        admitted = self.admitted
        assert admitted is not None
        line = Attempted(
            at=now_us(),
            id=self.id,
            number=self.attempts + 1,
            provider=admitted.provider,
            target=admitted.target,
            price=admitted.price.version if admitted.price else None,
            reserved=admitted.reserved,
            after=fault.code,
        )
        try:
            self.worker.journal.append(line)
        except JournalError as error:
            if self.worker.snapshot.audit.on_failure == "refuse":
                self.fail("gateway_error", self.worker.refusals.no_journal(error))
                return
        self._once_durable(lambda: self._send(fresh=True))

    def first_byte(self) -> None:
        """The first event, or the whole, of the answer is there."""
        self._first_at = perf_counter()

    def drop_upstream(self) -> None:
        """What the provider may still send is not wanted."""
        if self._exchange is not None:
            self._exchange.cancel()

    # --- to the client

    def answer_locally(self, status: int, lines: list[bytes], body: bytes) -> None:
        """An answer of the gateway's own, which is no call to put on record."""
        self.stage = "settled"
        self._release()
        self.connection.answer(status, lines + self.lines(None), body)

    def lines(self, head: Head | None) -> list[bytes]:
        """The answer's own head fields, behind the provider's."""
        lines = passed(head.headers) if head is not None else []
        lines.append(b"x-request-id: %s\r\n" % self.id.encode())
        if self._sent_at:
            spent = (self._sent_at - self.began) * 1e3
            waited = ((self._first_at or perf_counter()) - self._sent_at) * 1e3
            lines.append(b"server-timing: gateway;dur=%.3f, upstream;dur=%.3f\r\n" % (spent, waited))
        if self.admitted is not None and self.admitted.translation is not None:
            dropped = self.admitted.translation.header()
            if dropped is not None:
                lines.append(b"x-chatvault-dropped: %s\r\n" % dropped)
        origin = self.head.fields.get(b"origin")
        if origin is not None:
            lines += local.cors_lines(self, origin)
        return lines

    def commit(self, head: Head, length: int | None) -> None:
        """The client gets the head; from here on a failure can only break the answer."""
        self.stage = "committed"
        self.status = head.status
        if not self.outcome.muted:
            self.connection.begin_answer(head.status, self.lines(head), length)

    def keep_body(self, data: bytes) -> None:
        """Keep the answer's body for the record, where bodies are kept, up to their limit."""
        if not self._keeps:
            return
        outcome = self.outcome
        if outcome.kept is None:
            outcome.kept, outcome.room = [], self.worker.snapshot.audit.max_kept_body
        if outcome.room > 0:
            outcome.kept.append(data[: outcome.room])
            outcome.room -= len(data)

    def write(self, data: bytes) -> None:
        self.bytes_out += len(data)
        if self._keeps:
            self.keep_body(data)
        if not self.outcome.muted:
            self.connection.write(data)

    def finish(self, last: bytes = b"") -> None:
        """The answer is whole: put it on record, then send its last byte."""
        self.bytes_out += len(last)
        if last:
            self.keep_body(last)
        self.settle(self.outcome.state or "completed")
        if not self.outcome.muted:
            self._once_durable(lambda: self._last_byte(last))

    def _last_byte(self, last: bytes) -> None:
        if self.connection.call is self:
            self.connection.end_answer(last)

    def finish_whole(self, head: Head, body: bytes) -> None:
        """A whole answer that was held and checked."""
        self.status = head.status
        self.bytes_out = len(body)
        lines = self.lines(head)
        self.settle(self.outcome.state or "completed")
        if not self.outcome.muted:
            self._once_durable(lambda: self._answer(head.status, lines, body))

    def _answer(self, status: int, lines: list[bytes], body: bytes) -> None:
        if self.connection.call is self:
            self.connection.answer(status, lines, body)

    # --- endings

    def fail(self, state: State, error: ChatVaultError) -> None:
        """The answer will not be whole, and this is why. Before a byte went out the client gets it as a
        status, after it as an event."""
        if self.stage == "settled":
            return
        if self.outcome.code is None:
            self.outcome.code = error.code
            self.outcome.detail = error.message
        if self._exchange is not None:
            self._exchange.cancel()
        if self.stage != "committed" or not self.connection.begun:
            self.status = error.http_status
            lines = self.lines(None)
            self.settle(state)
            status, more, body = error_answer(error, self.speech)
            self._answer(status, more + lines, body)
            return
        streamed = self.outcome.tap is not None
        self.settle(state)
        if self.connection.call is self and not self.outcome.muted:
            event = self.speech.error_event(error) if streamed else b""
            self.connection.break_answer(b"\n\n" + event if self.outcome.torn else event)

    def break_off(self, state: State, event: bytes) -> None:
        """The answer ends here, with an event in the client's dialect that says so."""
        if self.stage == "settled":
            return
        self.drop_upstream()
        self.settle(state)
        if self.connection.call is self and not self.outcome.muted:
            self.connection.break_answer(event)

    def refused(self, error: ChatVaultError) -> None:
        """An error of this call's own: before it was opened a refusal, later a failure."""
        if self.stage in ("opened", "committed"):
            self.fail(_state_of(error), error)
            return
        if self.stage == "settled":
            self.connection.break_answer()
            return
        self.stage = "settled"
        self.worker.refusals.refused(self, error)
        self._release()
        status, lines, body = error_answer(error, self.speech)
        self.connection.answer(status, lines + self.lines(None), body)

    def client_gone(self) -> None:
        """The client left. Its provider's answer is cancelled, or read to its end if so configured."""
        self.worker.grants.leave(self)
        if self.stage not in ("opened", "committed"):
            self.stage = "settled"
            self._release()
            return
        self.outcome.state = "client_gone"
        self.outcome.code = "client_gone"
        if self.worker.snapshot.server.client_gone == "drain" and self.upload is None:
            self.outcome.muted = True
            if self._exchange is not None:
                self._exchange.resume()
            return
        if self._exchange is not None:
            self._exchange.cancel()
        self.settle("client_gone")

    def end_by_gateway(self, error: ChatVaultError) -> None:
        """A drain that took too long, or a revocation."""
        if self.stage in ("opened", "committed"):
            self.fail("ended_by_gateway", error)
        elif self.stage == "begun":
            self.refused(error)

    def settle(self, state: State) -> None:
        """Close the record. Once for every call that was opened; before the last byte of the answer is sent."""
        if self.stage == "settled":
            return
        self.stage = "settled"
        worker = self.worker
        worker.calls.discard(self)
        self._release()
        worker.journal.append_reserved(closed_line(self, "client_gone" if self.outcome.muted else state))
        worker.served += 1
        self._exchange = None  # it holds the relay, which holds this call: no cycle is left to the collector

    def _release(self) -> None:
        self.worker.held -= self._held
        self._held = 0

    # --- back-pressure

    def pause(self) -> None:
        """The client is slow."""
        self._paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        self._paused = False
        if self._exchange is not None:
            self._exchange.resume()

    # --- for the record

    def client(self) -> Private | None:
        """Where the record says who is at the other end."""
        return self.worker.client_of(self.connection)

    @property
    def provider_name(self) -> str:
        return self.admitted.provider if self.admitted is not None else ""

    @property
    def first_byte_us(self) -> int | None:
        return int((self._first_at - self.began) * 1e6) if self._first_at else None


def _unusable(provider: str) -> GatewayError:
    return GatewayError(
        f"The configuration of the provider '{provider}' cannot be used; the gateway's log says why.",
        code="provider_unusable",
    )


def _state_of(error: ChatVaultError) -> State:
    """How a call ended whose error arose after it was opened."""
    if isinstance(error, Timeout):
        return "client_gone"
    return "ended_by_gateway" if isinstance(error, ClientError) else "gateway_error"
