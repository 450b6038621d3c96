"""One call, from its head to its settlement: the state that all steps share, and every ending.

    entry -> open -> attempt -> commit -> settle

`entry.py` is the way in, `attempt.py` the way to the provider, a relay (`whole_relay`, `stream_relay`, `raw_relay`,
`translated_relay`, `embedding_relay`) the way back; `settlement.py` makes the lines. `stage` says how far the call is;
every ending passes `settle` once, and what was opened is closed there.
"""

import logging
from collections.abc import Callable
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Literal

import msgspec

from chatvault.audit.lines import Private
from chatvault.config.snapshot import KeySnapshot
from chatvault.core.errors import ChatVaultError, ClientError, JournalError, Timeout
from chatvault.core.ids import new_id
from chatvault.core.seam import Fault, Head
from chatvault.core.states import State
from chatvault.counting.measure import KEEP, keep
from chatvault.gateway.admission import Admitted
from chatvault.gateway.answers import error_answer
from chatvault.gateway.attempt import send
from chatvault.gateway.door import Held
from chatvault.gateway.faults import NOT_SENT, upstream_error
from chatvault.gateway.head_lines import head_lines
from chatvault.gateway.heading import Heading
from chatvault.gateway.routes import Endpoint
from chatvault.gateway.settlement import Outcome, closed_line, opened_line
from chatvault.gateway.speech import Speech
from chatvault.gateway.upload import UploadedBody
from chatvault.net.connection import LiveExchange
from chatvault.wire.http_head import RequestHead

if TYPE_CHECKING:
    from chatvault.access.grant import Grant
    from chatvault.gateway.connection import ClientConnection
    from chatvault.gateway.standing import Standing
    from chatvault.gateway.worker import Worker

log = logging.getLogger(__name__)

Stage = Literal["begun", "opened", "committed", "settled"]


class Call(msgspec.Struct, eq=False):
    """`opened`: a record is open and must be closed. `committed`: the client has seen the answer's head."""

    worker: "Worker"
    connection: "ClientConnection"
    heading: Heading
    length: int | None
    """Of the request's body in bytes, None where it is chunked."""
    at: int
    """When it came, in microseconds since the epoch; `began` is the same in seconds of a clock that only goes forward,
    as are `sent_at` and `first_at`."""
    began: float
    id: str
    head: RequestHead
    endpoint: Endpoint | None
    speech: Speech
    """The dialect that the client speaks."""
    trace: str | None
    outcome: Outcome
    stage: Stage = "begun"
    standing: "Standing | None" = None
    grant: "Grant | None" = None
    admitted: Admitted | None = None
    key: KeySnapshot | None = None
    """The key of the vault that it is signed with."""
    upload: UploadedBody | None = None
    exchange: LiveExchange | None = None
    attempts: int = 0
    status: int = 0
    bytes_out: int = 0
    held: int = 0
    """Bytes of its body on the worker's account."""
    held_of: "Held | None" = None
    """What it has taken of limits and budgets."""
    sent_at: float = 0.0
    first_at: float = 0.0
    retried: bool = False
    paused: bool = False
    _keeps: bool = False

    @classmethod
    def of(
        cls, worker: "Worker", connection: "ClientConnection", heading: Heading, length: int | None
    ) -> "Call":
        """A call that begins now."""
        now = time_ns()
        return cls(
            worker,
            connection,
            heading,
            length,
            now // 1000,
            perf_counter(),
            new_id(now),
            heading.head,
            heading.endpoint,
            heading.speech,
            heading.trace,
            Outcome(),
        )

    # --- on record, then upstream

    def open(self, admitted: Admitted) -> None:
        """Write the call ahead. Nothing goes upstream before the journal has it. Raises Unavailable where there is no
        key for it."""
        self.admitted = admitted
        worker = self.worker
        turns = worker.keys.get(admitted.provider)
        if turns is not None and self.grant is not None:
            self.key = turns.take(self.grant.project)
        try:
            worker.journal.append(opened_line(self, admitted))
        except JournalError as error:
            if worker.snapshot.audit.on_failure == "refuse":
                raise worker.refusals.no_journal(error) from None
            log.warning("call %s goes on without a record, as configured: %s", self.id, error.message)
        self.stage = "opened"
        self._keeps = worker.snapshot.audit.bodies == "full"
        worker.calls.add(self)
        if worker.journal.at_once:
            send(self)
        else:
            self.once_durable(lambda: send(self))

    def once_durable(self, then: Callable[[], None]) -> None:
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

    def writable(self) -> None:
        """The provider takes more of an upload."""
        if self.upload is not None:
            self.upload.writable()

    # --- what an attempt tells

    def body_spent(self) -> None:
        """The answer has begun: the request's body will not be needed again."""
        if self.held:
            self._release()
        admitted = self.admitted
        if admitted is None or not admitted.body:
            return
        if admitted.input_bytes > KEEP and self.endpoint is not None and self.endpoint.conversation:
            self.outcome.asked = keep(admitted.body)  # of a small one all is kept, where it is
        if admitted.input_bytes > KEEP:
            admitted.body = b""

    @property
    def may_retry(self) -> bool:
        """Whether the request may be sent once more: nothing of it went on, and all of it is here."""
        return self.stage == "opened" and not self.retried and self.upload is None

    def attempt_failed(self, fault: Fault) -> None:
        """The attempt ended in a fault before anything was committed, or after it."""
        if self.exchange is not None:
            self.exchange.cancel()
        state, error = upstream_error(fault, self.provider_name)
        self.outcome.code = error.code
        self.outcome.detail = fault.detail or error.message
        self.outcome.nothing_sent = fault.code in NOT_SENT and not self.retried
        self.fail(state, error)

    def first_byte(self) -> None:
        """The first event, or the whole, of the answer is there."""
        self.first_at = perf_counter()

    def drop_upstream(self) -> None:
        """What the provider may still send is not wanted."""
        if self.exchange is not None:
            self.exchange.cancel()

    # --- to the client

    def answer_locally(self, status: int, lines: list[bytes], body: bytes) -> None:
        """An answer of the gateway's own, which is no call to put on record."""
        self.stage = "settled"
        self._release()
        self.connection.answer(status, lines + head_lines(self, None), body)

    def commit(self, head: Head, length: int | None) -> None:
        """The client gets the head; from here on a failure can only break the answer."""
        self.stage = "committed"
        self.status = head.status
        if not self.outcome.muted:
            self.connection.begin_answer(head.status, head_lines(self, head), length)

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
            self.once_durable(lambda: self._last_byte(last))

    def _last_byte(self, last: bytes) -> None:
        if self.connection.call is self:
            self.connection.end_answer(last)

    def finish_whole(self, head: Head, body: bytes) -> None:
        """A whole answer that was held and checked."""
        self.status = head.status
        self.bytes_out = len(body)
        lines = head_lines(self, head)
        self.settle(self.outcome.state or "completed")
        if self.outcome.muted:
            return
        if self.worker.journal.at_once:
            self._answer(head.status, lines, body)
        else:
            self.once_durable(lambda: self._answer(head.status, lines, body))

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
        if self.exchange is not None:
            self.exchange.cancel()
        if self.stage != "committed" or not self.connection.begun:
            self.status = error.http_status
            lines = head_lines(self, None)
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
        self._let_go()
        status, lines, body = error_answer(error, self.speech)
        self.connection.answer(status, lines + head_lines(self, None), body)

    def client_gone(self) -> None:
        """The client left. Its provider's answer is cancelled, or read to its end if so configured."""
        self.worker.grants.leave(self)
        if self.stage not in ("opened", "committed"):
            self.stage = "settled"
            self._let_go()
            return
        self.outcome.state = "client_gone"
        self.outcome.code = "client_gone"
        if self.worker.snapshot.server.client_gone == "drain" and self.upload is None:
            self.outcome.muted = True
            if self.exchange is not None:
                self.exchange.resume()
            return
        if self.exchange is not None:
            self.exchange.cancel()
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
        if self.held:
            self._release()
        line = closed_line(self, "client_gone" if self.outcome.muted else state)
        worker.journal.append_reserved(line)
        if self.held_of is not None:
            usage = line.usage
            self.held_of.settle(None if usage is None else usage.input + usage.output)
        worker.served += 1
        self.exchange = None  # it holds the relay, which holds this call: no cycle is left to the collector

    def _let_go(self) -> None:
        """The call did not go out: it holds nothing any more."""
        self._release()
        if self.held_of is not None:
            self.held_of.let_go(self)

    def _release(self) -> None:
        self.worker.held -= self.held
        self.held = 0

    # --- back-pressure

    def pause(self) -> None:
        """The client is slow."""
        self.paused = True
        if self.exchange is not None:
            self.exchange.pause()

    def resume(self) -> None:
        self.paused = False
        if self.exchange is not None:
            self.exchange.resume()

    # --- for the record

    def client(self) -> Private | None:
        """Where the record says who is at the other end."""
        return self.worker.client_of(self.connection)

    @property
    def provider_name(self) -> str:
        return self.admitted.provider if self.admitted is not None else ""


def _state_of(error: ChatVaultError) -> State:
    """How a call ended whose error arose after it was opened."""
    if isinstance(error, Timeout):
        return "client_gone"
    return "ended_by_gateway" if isinstance(error, ClientError) else "gateway_error"
