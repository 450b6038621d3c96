"""The door: what every call that may go to a provider passes, whatever its path.

First the limits, which decide at once; then the budgets, for which a call may have to wait until control has lent more.
What was taken is held by the call, and given back or settled when it ends.
"""

from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.access.limiter import MICRO, Exceeded, Meter, Ticket, admit, left
from chatvault.access.limiter import count as count_along
from chatvault.access.limits import USUAL_OUTPUT
from chatvault.access.purse import Reservation
from chatvault.core.errors import BudgetExceeded, ChatVaultError, RateLimited, Unavailable
from chatvault.gateway.limit_hold import Hold
from chatvault.gateway.rate_headers import Standing
from chatvault.gateway.spending import Waiter
from chatvault.gateway.unsaid import unsaid_usage

if TYPE_CHECKING:
    from chatvault.gateway.admission import Admitted
    from chatvault.gateway.call import Call


class Held(msgspec.Struct, eq=False, gc=False):
    """What a call has taken of limits and budgets, while it is under way."""

    meters: tuple[Meter, ...]
    ticket: Ticket | None = None
    hold: Hold | None = None
    """What the store of limits has counted."""
    reservation: Reservation | None = None
    waiter: Waiter | None = None
    """Set while it waits for leases. It knows the call, so it is let go of as soon as it has been told."""

    def shadowed(self) -> tuple[str, ...]:
        """The limits that the call would have passed, had they been more than shadows."""
        shadowed = self.ticket.shadowed if self.ticket is not None else None
        if self.hold is not None and self.hold.reply is not None:
            _, shadowed = self.hold.exceeded()
        return tuple(f"{each.scope}:{each.subject}:{each.limit}" for each in shadowed) if shadowed else ()

    def left(self, now: int) -> Standing:
        """What is left of the tightest windows, of calls and of tokens: as the store said, or as this worker counts."""
        hold = self.hold
        if hold is not None and hold.reply is not None:
            return hold.left("requests"), hold.left("tokens")
        ticket = self.ticket
        tokens = left(self.meters, "tokens", now) if ticket is None or ticket.filed is not None else None
        return left(self.meters, "requests", now), tokens

    def let_go(self, call: "Call") -> None:
        """The call does not go: nothing of it counts."""
        if self.waiter is not None:
            call.worker.spending.leave(self.waiter)
        if self.ticket is not None:
            self.ticket.cancel()
        if self.reservation is not None:
            self.reservation.cancel()
        if self.hold is not None:
            self.hold.cancel()
        self.waiter = self.ticket = self.reservation = None

    def settle(self, tokens: int | None) -> None:
        """The call has ended, and used so many tokens; None: nobody knows."""
        if self.ticket is not None:
            self.ticket.settle(tokens)
        if self.hold is not None:
            self.hold.settle(tokens)


def enter(call: "Call", admitted: "Admitted") -> None:
    """Let the call through, have it wait, or raise RateLimited, Unavailable."""
    worker, standing = call.worker, call.standing
    assert standing is not None
    if standing.free and worker.address_limits is None and not worker.snapshot.limits.models:
        call.open(admitted)
        return
    meters = _meters(call)
    if worker.snapshot.limits.models and admitted.model is not None:
        limited = worker.model_limits.of(admitted.model)
        if limited is not None:
            meters = (*meters, worker.limiter.meter(limited))
    budgets = standing.grant.budgets
    if not meters and not budgets:
        call.open(admitted)
        return
    held = call.held_of = Held(meters)
    if meters:
        tokens = -(-admitted.input_bytes // 4) + USUAL_OUTPUT
        found = admit(meters, tokens, int(call.began * MICRO))
        if worker.shared.wanted:
            _share(call, admitted, found, tokens)
            return
        if isinstance(found, Exceeded):
            raise limit_reached(found)
        held.ticket = found
    _pay(call, admitted)


def _share(call: "Call", admitted: "Admitted", found: Ticket | Exceeded, tokens: int) -> None:
    """Have the store decide; `found` is what this worker's share says, which counts along in any case."""
    worker, held = call.worker, call.held_of
    assert held is not None
    ours = found if isinstance(found, Exceeded) else None
    now = int(call.began * MICRO)
    held.ticket = count_along(held.meters, tokens, now) if isinstance(found, Exceeded) else found
    held.hold = worker.shared.ask(held.meters, tokens, partial(_decided, call, admitted, ours))
    if held.hold is None:
        _alone(call, ours)
        _pay(call, admitted)


def _decided(call: "Call", admitted: "Admitted", ours: Exceeded | None, hold: Hold, answered: bool) -> None:
    """The store has decided, or has not in time."""
    held = call.held_of
    if call.stage != "begun" or held is None or call.connection.call is not call:
        return
    with call.connection.border():
        if not answered:
            _alone(call, ours)
        elif not hold.through:
            exceeded, _ = hold.exceeded()
            assert exceeded is not None
            raise limit_reached(exceeded)
        _pay(call, admitted)


def _alone(call: "Call", ours: Exceeded | None) -> None:
    """Without the store. Raises RateLimited, Unavailable."""
    if call.worker.shared.closed:
        raise Unavailable(
            "The gateway cannot check the limits of this call: the store that they are shared in does not answer. Try "
            "again in a few seconds.",
            code="limits_unavailable",
            retry_after=2,
        )
    if ours is not None:
        raise limit_reached(ours)


def _pay(call: "Call", admitted: "Admitted") -> None:
    """Reserve what the call may cost, and let it go."""
    worker, standing, held = call.worker, call.standing, call.held_of
    assert standing is not None
    assert held is not None
    budgets = standing.grant.budgets
    if not budgets:
        call.open(admitted)
        return
    usual = worker.usual.of(admitted.provider, admitted.target)
    claims = worker.spending.claims(budgets, admitted.model, admitted.reserved, usual, call.at)
    reserved = worker.spending.reserve(claims, partial(_told, call, admitted))
    if isinstance(reserved, Reservation):
        held.reservation = reserved
        call.open(admitted)
    else:
        held.waiter = reserved


def count(call: "Call") -> None:
    """Count a request that control answers by the limits, as a call of no tokens; no budget has to pay. The
    worker's share decides; a store that limits are shared in counts along. Raises RateLimited."""
    meters = _meters(call)
    call.held_of = Held(meters)
    found = admit(meters, 0, int(call.began * MICRO))
    if isinstance(found, Exceeded):
        raise limit_reached(found)
    found.settle(0)
    hold = call.worker.shared.ask(meters, 0, lambda hold, answered: None)
    if hold is not None:
        hold.settle(0)


def _meters(call: "Call") -> tuple[Meter, ...]:
    """What counts the calls of this token and this address."""
    worker, standing = call.worker, call.standing
    assert standing is not None
    meters = standing.meters(worker.limiter)
    if worker.address_limits is None:
        return meters
    return (*meters, worker.limiter.address(call.connection.address, worker.address_limits))


def _told(
    call: "Call", admitted: "Admitted", reservation: Reservation | None, error: ChatVaultError | None
) -> None:
    """The leases that the call has waited for are there, or will not come."""
    held = call.held_of
    if call.stage != "begun" or held is None or call.connection.call is not call:
        if reservation is not None:
            reservation.cancel()
        return
    held.waiter, held.reservation = None, reservation
    with call.connection.border():
        if error is not None:
            raise error
        call.open(admitted)


def overrun(call: "Call") -> BudgetExceeded | None:
    """Why a stream has to end that its provider lets go on beyond what was reserved for it. Asked once a second.

    What came is taken for no more tokens than it has events, and than it is estimated to be: a stream that keeps to its
    limit is never ended.
    """
    held, admitted, tap = call.held_of, call.admitted, call.outcome.tap
    if held is None or held.reservation is None or tap is None or admitted is None:
        return None
    price, reserved = admitted.price, admitted.reserved
    if price is None or not reserved:
        return None
    least = price.rates.get("request", 0) + admitted.input_bytes * price.dearest_in
    if least + tap.plain * price.dearest_out <= reserved:
        return None
    found = unsaid_usage(call, "ended_by_gateway")
    if found is None or least + min(found[0].output, tap.plain) * price.dearest_out <= reserved:
        return None
    return BudgetExceeded(
        "The provider goes on beyond the output limit that was asked for, and the budget of this call is used up. "
        "What came is not the full answer.",
        code="budget_exceeded",
    )


_WHOSE: Final = {
    "token": "the token {}",
    "user": "the user {}",
    "project": "the project {}",
    "model": "the model {}",
    "address": "this address",
}


def limit_reached(found: Exceeded) -> RateLimited:
    """Which limit, whose, its state, and when it frees."""
    whose = _WHOSE[found.scope].format(found.subject)
    if found.limit == "concurrent":
        return RateLimited(
            f"{found.used} calls of {whose} are under way, and its limit is {found.most} at a time. Try again when one "
            "has ended.",
            code="too_many_calls",
            retry_after=1,
        )
    unit, _, span = found.limit.partition("_per_")
    if found.retry_after is None:
        return RateLimited(
            f"This call alone is above the limit of {found.most} {unit} a {span} of {whose}. Ask for less, or for a "
            "higher limit.",
            code="rate_limited",
        )
    return RateLimited(
        f"The limit of {found.most} {unit} a {span} of {whose} is reached ({found.used} within the last {span}). Try "
        f"again in {ceil(found.retry_after)} s.",
        code="rate_limited",
        retry_after=max(ceil(found.retry_after), 1),
    )
