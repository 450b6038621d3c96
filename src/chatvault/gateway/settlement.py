"""What goes on record of a call: the line that opens it, and the line that closes it with usage, its source,
and what it cost."""

from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.access.purse import Reservation
from chatvault.audit.lines import Closed, Opened, Private
from chatvault.audit.redaction import redact, redact_bytes
from chatvault.core.charge import Charge
from chatvault.core.clock import now_us
from chatvault.core.sizes import Sizes
from chatvault.core.states import CostSource, State, UsageSource
from chatvault.core.usage import Usage
from chatvault.counting.measure import Kept
from chatvault.gateway.unsaid import BROKEN, unsaid_usage
from chatvault.pricing.price import cost
from chatvault.wire.openai.reply import Facts
from chatvault.wire.tap import Seen

if TYPE_CHECKING:
    from chatvault.gateway.admission import Admitted
    from chatvault.gateway.call import Call

_MAX_ERROR: Final = 4096
_MAX_WORD: Final = 256
"""Characters of a provider's model name or finish reason."""
_MAX_METADATA: Final = 16 << 10


_TELL_AS_THEY_GO: Final = frozenset(("anthropic", "gemini"))
"""Families of dialects that tell usage from the beginning of a stream (Anthropic the input, with a token of output;
Gemini what was said so far); all others tell it once, at the end."""
_PROVIDER: Final[UsageSource] = "provider"
NOTHING: Final = Facts()
"""What is known of an answer that told nothing."""


class Outcome(msgspec.Struct, gc=False):
    """What is learned of a call's answer on the way, until it is settled."""

    state: State | None = None
    """Known before the end: it goes on record instead of `completed`."""
    code: str | None = None
    detail: str | None = None
    facts: Facts | None = None
    tap: Seen | None = None
    asked: Kept | None = None
    """What is kept of the request, in case that nobody says what it used."""
    answer: bytes | None = None
    """The whole answer, where it does not say."""
    upstream_status: int | None = None
    upstream_id: str | None = None
    nothing_sent: bool = False
    """No provider has seen the call, so none can bill it."""
    muted: bool = False
    """The client has left; the answer is read for its usage alone."""
    kept: list[bytes] | None = None
    """The answer's body, where bodies are kept."""
    room: int = 0
    """Bytes that may still be kept of it."""
    torn: bool = False
    """A part of an event has gone out, so that what follows must begin a line."""


def opened_line(call: "Call", admitted: "Admitted") -> Opened:
    grant, endpoint = call.grant, call.endpoint
    assert grant is not None
    assert endpoint is not None
    price = admitted.price
    return Opened(
        at=call.at,
        id=call.id,
        token=grant.token,
        project=grant.project,
        user=grant.user,
        endpoint=endpoint.name,
        dialect=endpoint.dialect,
        model=admitted.model,
        provider=admitted.provider,
        target=admitted.target,
        price=price.version if price is not None else None,
        stream=admitted.stream,
        input_bytes=admitted.input_bytes,
        reserved=admitted.reserved,
        budgets=reserved_of(call),
        key=call.key.id if call.key is not None else None,
        trace=call.trace,
        client=call.client(),
        private=_request_private(call, admitted),
    )


def closed_line(call: "Call", state: State) -> Closed:
    admitted, grant, endpoint, outcome = call.admitted, call.grant, call.endpoint, call.outcome
    assert admitted is not None
    assert grant is not None
    assert endpoint is not None
    facts, price, first, status = outcome.facts, admitted.price, call.first_at, call.status
    if facts is None:
        facts = outcome.tap.facts if outcome.tap is not None else NOTHING
    usage, source, sizes = facts.usage, _PROVIDER, None
    if usage is None:
        usage, source, sizes = _unsaid(call, state)
    elif state in BROKEN and admitted.family in _TELL_AS_THEY_GO:
        usage, source, sizes = _so_far(call, state, usage)
    amount, origin = _cost(call, admitted, source, usage, facts)
    held = call.held_of
    return Closed(
        at=now_us(),
        id=call.id,
        opened_at=call.at,
        state=state,
        status=status,
        token=grant.token,
        project=grant.project,
        user=grant.user,
        endpoint=endpoint.name,
        model=admitted.model,
        provider=admitted.provider,
        target=admitted.target,
        resolved=facts.model and facts.model[:_MAX_WORD],
        stream=admitted.stream,
        attempts=call.attempts,
        usage=usage,
        usage_source=source,
        sizes=sizes,
        cost=amount,
        cost_source=origin,
        bound=_bound(admitted.reserved, call.attempts) if amount is None else None,
        budgets=()
        if held is None or held.reservation is None
        else _charged(call, held.reservation, amount, origin),
        shadowed=() if held is None else held.shadowed(),
        price=price.version if price is not None else None,
        key=call.key.id if call.key is not None else None,
        latency_us=int((perf_counter() - call.began) * 1e6),
        ttft_us=int((first - call.began) * 1e6) if first else None,
        finish=facts.finish and facts.finish[:_MAX_WORD],
        code=outcome.code,
        upstream_status=outcome.upstream_status if outcome.upstream_status != status else None,
        upstream_id=outcome.upstream_id,
        bytes_out=call.bytes_out,
        trace=call.trace,
        client=call.client(),
        private=_private(call, admitted, outcome),
    )


def reserved_of(call: "Call") -> tuple[Charge, ...]:
    """What the call has reserved of budgets."""
    held = call.held_of
    return () if held is None or held.reservation is None else held.reservation.reserved()


def _charged(
    call: "Call", reservation: Reservation, amount: int | None, origin: CostSource
) -> tuple[Charge, ...]:
    """What each budget is charged: the cost where it is known, and where it is not, or only estimated, all that was
    reserved."""
    admitted = call.admitted
    if amount is None or origin == "estimated":
        return reservation.settle(None, amount or 0)
    if admitted is not None:
        call.worker.usual.add(admitted.provider, admitted.target, amount)
    return reservation.settle(amount)


def _so_far(call: "Call", state: State, told: Usage) -> tuple[Usage, UsageSource, Sizes | None]:
    """The usage of a stream that broke after its provider had told some of it: what was told, and for the output what
    came, if that is more. Where the model had said all, what was told is all there is."""
    tap = call.outcome.tap
    if tap is None or tap.ended:
        return told, _PROVIDER, None
    found = unsaid_usage(call, state)
    if found is None or found[0].output <= told.output:
        return told, "estimated", None
    return msgspec.structs.replace(told, output=found[0].output), "estimated", found[1]


def _bound(reserved: int | None, attempts: int) -> int | None:
    """Each attempt may have been billed."""
    return None if reserved is None else reserved * attempts


def _unsaid(call: "Call", state: State) -> tuple[Usage | None, UsageSource, Sizes | None]:
    found = unsaid_usage(call, state)
    return (found[0], "estimated", found[1]) if found is not None else (None, "unknown", None)


def _cost(
    call: "Call", admitted: "Admitted", source: UsageSource, usage: Usage | None, facts: Facts
) -> tuple[int | None, CostSource]:
    if facts.cost is not None:
        return facts.cost, "provider"
    if call.outcome.nothing_sent or not call.attempts or admitted.free:
        return 0, "free"
    if usage is None:
        status = call.outcome.upstream_status
        refused = status is not None and 400 <= status < 500
        return (0, "free") if refused else (None, "unknown")
    amount = cost(admitted.price, usage) if admitted.price is not None else None
    if amount is None:
        return None, "unknown"
    return amount, "prices" if source == "provider" else "estimated"


def _shown(metadata: dict[str, object]) -> object:
    """What the client said about itself, without secrets, bounded."""
    raw = msgspec.json.encode(metadata)
    if len(raw) > _MAX_METADATA:
        return {"omitted": f"{len(raw)} bytes, over the limit of {_MAX_METADATA}"}
    clean = redact_bytes(raw)
    return metadata if clean == raw else {"redacted": clean.decode(errors="replace")}


def _request_private(call: "Call", admitted: "Admitted") -> Private | None:
    audit = call.worker.snapshot.audit
    if audit.bodies != "full" or admitted.body is None:
        return None
    most = audit.max_kept_body
    body = admitted.body if isinstance(admitted.body, bytes) else b"".join(admitted.body)
    return call.worker.journal.private(
        call.id,
        "request",
        {
            "metadata": _shown(admitted.metadata),
            "request": redact(body[:most].decode(errors="replace")),
            "request_size": len(body),
        },
    )


def _private(call: "Call", admitted: "Admitted", outcome: Outcome) -> Private | None:
    if outcome.detail is None and outcome.kept is None and not admitted.metadata:
        return None
    data: dict[str, object] = {}
    if outcome.detail is not None:
        data["error"] = redact(outcome.detail[:_MAX_ERROR])
    if admitted.metadata:
        data["metadata"] = _shown(admitted.metadata)
    if outcome.kept is not None:
        data["response"] = redact(b"".join(outcome.kept).decode(errors="replace"))
    return call.worker.journal.private(call.id, "call", data)
