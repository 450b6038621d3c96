"""Budgets in the worker: what a call has to reserve, from leases where they suffice; where not, the call waits for
control to lend more, or to say no.

No call waits while a lease lasts, and more is asked for before it ends. Without control what is leased goes on being
spent, and what is not is refused with 503. What lies idle is given back, so that other workers can spend it.
"""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from chatvault.access.budget import Budget, Period, period_of
from chatvault.access.purse import Claim, Holding, Key, Purse, Reservation
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import BudgetExceeded, ChatVaultError, Unavailable
from chatvault.core.money import dollars
from chatvault.feed.messages import Balance, Balances, Borrow, CallIn, GaveBack, Lent, PeriodOver

_PATIENCE: Final = 5.0
"""Seconds a call waits for a lease."""
_IDLE: Final = 5.0
"""Seconds without a call after which what is left of a lease is given back."""

Told = Callable[[Reservation | None, ChatVaultError | None], None]
"""What a call that waits is told: its reservation, or why there is none."""


class Waiter:
    """A call that waits for leases."""

    __slots__ = ("claims", "told", "until")

    def __init__(self, claims: tuple[Claim, ...], told: Told, until: float) -> None:
        self.claims = claims
        self.told = told
        self.until = until


class Spending:
    """`send` sends to control, and says whether it is there."""

    def __init__(self, send: Callable[[msgspec.Struct], bool], now: Callable[[], float]) -> None:
        self._send = send
        self._now = now
        self._purse = Purse()
        self._waiting: dict[Key, list[Waiter]] = {}
        self._periods: dict[str, tuple[Budget, Period]] = {}
        self._shown: dict[Key, Balance] = {}

    # --- what a call asks

    def claims(
        self, budgets: Iterable[Budget], model: str | None, bound: int | None, usual: int | None, at: int
    ) -> tuple[Claim, ...]:
        """What a call has to reserve, at this time (microseconds since the epoch). `bound` is the most it may cost,
        None where that is not known; `usual` is what such calls cost, for soft budgets. Raises BudgetExceeded where a
        budget is hard and the call has no bound."""
        claims = []
        for budget in budgets:
            if budget.scope == "model" and (model is None or not fnmatchcase(model, budget.subject)):
                continue
            if budget.unit == "requests":
                amount = 1
            elif not budget.hard and usual is not None:
                amount = usual if bound is None else min(usual, bound)
            elif bound is not None:
                amount = bound
            elif budget.hard and not budget.allow_unbounded:
                raise _unbounded(budget)
            else:
                amount = 0
            claims.append(Claim(budget, self._period(budget, at), amount))
        return tuple(claims)

    def reserve(self, claims: tuple[Claim, ...], told: Told) -> Reservation | Waiter:
        """The reservation, if the leases suffice; else the call waits, and is told. Raises Unavailable."""
        found = self._purse.reserve(claims)
        now = self._now()
        if isinstance(found, Reservation):
            for holding in found.holdings:
                holding.touched = now
                if holding.spare * 2 < holding.lent and not holding.asked:
                    self._borrow(holding, holding.lent - holding.spare)
            return found
        waiter = Waiter(claims, told, now + _PATIENCE)
        for claim in found:
            self._wait(waiter, claim)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """The call waits no more."""
        for claim in waiter.claims:
            waiting = self._waiting.get((claim.budget.id, claim.period.start))
            if waiting is not None and waiter in waiting:
                waiting.remove(waiter)

    # --- what control says

    def begin(self) -> None:
        """A new connection to control: say what is held, and ask again for what is waited for."""
        self._shown = {}
        self._send(Balances(self._changed(), whole=True))
        for holding in self._purse:
            holding.asked = 0
        for key, waiting in self._waiting.items():
            found = self._purse.get(key)
            if found is not None and waiting:
                self._borrow(found, self._needed(key, waiting))

    def lent(self, message: Lent) -> None:
        key = (message.budget, message.start)
        holding = self._purse.get(key)
        asked = holding.asked if holding is not None else 0
        if self._purse.lend(key, message.amount) is None:
            self._send(GaveBack(*key, message.amount))
            return
        assert holding is not None
        still = []
        for waiter in self._waiting.pop(key, ()):
            found = self._purse.reserve(waiter.claims)
            if isinstance(found, Reservation):
                self.leave(waiter)
                waiter.told(found, None)
            elif not message.amount and _need(holding, waiter, key) >= asked:
                self.leave(waiter)
                claim = next(each for each in waiter.claims if each.budget.id == key[0])
                waiter.told(None, _spent(claim, message.left + holding.spare))
            else:
                still.append((waiter, found))
        for waiter, short in still:
            try:
                for claim in short:
                    self._wait(waiter, claim)
            except Unavailable as error:
                waiter.told(None, error)

    def call_in(self, message: CallIn) -> None:
        """Others need it; it is answered in any case."""
        key = (message.budget, message.start)
        self._send(GaveBack(*key, self._purse.give_back(key)))

    # --- time

    def tick(self, now: float, at: int) -> None:
        """Once a second: say what has changed, give back what lies idle, give up on leases that do not come."""
        for holding in self._purse.over(at):
            self._send(PeriodOver(*holding.key, holding.settled))
        for holding in self._purse:
            if holding.spare and now - holding.touched > _IDLE and not self._waiting.get(holding.key):
                self._send(GaveBack(*holding.key, self._purse.give_back(holding.key)))
        changed = self._changed()
        if changed:
            self._send(Balances(changed))
        late = {waiter for waiting in self._waiting.values() for waiter in waiting if now > waiter.until}
        for waiter in late:
            for claim in waiter.claims:
                asked = self._purse.get((claim.budget.id, claim.period.start))
                if asked is not None:
                    asked.asked = 0  # control does not answer: the next call asks again
            self.leave(waiter)
            waiter.told(None, _no_control())
        self._waiting = {key: waiting for key, waiting in self._waiting.items() if waiting}

    def balance(self, key: Key) -> Holding | None:
        """What is held of a budget and period."""
        return self._purse.get(key)

    # --- inside

    def _period(self, budget: Budget, at: int) -> Period:
        known = self._periods.get(budget.id)
        if known is not None:
            period = known[1]
            if period.start <= at and (period.end is None or at < period.end) and known[0] == budget:
                return period
        period = period_of(budget.per, budget.timezone, at)
        self._periods[budget.id] = (budget, period)
        return period

    def _wait(self, waiter: Waiter, claim: Claim) -> None:
        """Raises Unavailable where control is away."""
        key = (claim.budget.id, claim.period.start)
        holding = self._purse.get(key)
        assert holding is not None
        waiting = self._waiting.setdefault(key, [])
        if waiter not in waiting:
            waiting.append(waiter)
        holding.touched = self._now()
        if not holding.asked and not self._borrow(holding, self._needed(key, waiting)):
            self.leave(waiter)
            raise _no_control()

    def _needed(self, key: Key, waiting: list[Waiter]) -> int:
        """What the least of those who wait lacks: more may be lent than is asked, and a no must not be one to all."""
        holding = self._purse.get(key)
        assert holding is not None
        return max(min(_need(holding, waiter, key) for waiter in waiting), 1)

    def _borrow(self, holding: Holding, need: int) -> bool:
        if not self._send(Borrow(*holding.key, need)):
            return False
        holding.asked = need
        return True

    def _changed(self) -> tuple[Balance, ...]:
        changed = []
        for holding in self._purse:
            now = Balance(*holding.key, holding.leased, holding.settled, holding.reserved)
            if self._shown.get(holding.key) != now:
                self._shown[holding.key] = now
                changed.append(now)
        return tuple(changed)


def _need(holding: Holding, waiter: Waiter, key: Key) -> int:
    """What a lease lacks for this call."""
    claimed = sum(claim.amount for claim in waiter.claims if (claim.budget.id, claim.period.start) == key)
    return claimed - (holding.leased - holding.settled - holding.reserved)


_OWNERS: Final = {"token": "this token", "user": "its user", "project": "its project", "model": "this model"}
_SPANS: Final = {"day": " a day", "week": " a week", "month": " a month", "total": ""}


def _named(budget: Budget) -> str:
    if budget.unit == "requests":
        return f"{budget.amount} calls in all of {_owner(budget)}"
    return f"${dollars(budget.amount)}{_SPANS[budget.per]} of {_owner(budget)} ({budget.id})"


def _owner(budget: Budget) -> str:
    return f"the token {budget.subject}" if budget.scope == "token" else _OWNERS[budget.scope]


def _spent(claim: Claim, left: int) -> BudgetExceeded:
    budget, end = claim.budget, claim.period.end
    if budget.unit == "requests":
        return BudgetExceeded(
            f"The budget of {_named(budget)} is used up. Ask for a new token.", code="budget_exceeded"
        )
    begins = " Ask for a larger one." if end is None else f" It begins anew at {iso(end)[:19]}Z."
    return BudgetExceeded(
        f"The budget of {_named(budget)} does not suffice: this call may cost up to ${dollars(claim.amount)}, and "
        f"${dollars(min(max(left, 0), claim.amount))} is left beside what calls under way may cost. Ask for less "
        f"output (max_tokens), or wait.{begins}",
        code="budget_exceeded",
        retry_after=None if end is None else max((end - now_us()) // 1_000_000 + 1, 1),
    )


def _unbounded(budget: Budget) -> BudgetExceeded:
    return BudgetExceeded(
        f"What this call may cost has no known bound, and the budget of {_named(budget)} is a hard one. Set an output "
        "limit (max_tokens), leave out what has no price or lies elsewhere (files, stored prompts, tools of the "
        "provider), or have the budget allow it (allow_unbounded).",
        code="budget_unbounded",
    )


def _no_control() -> Unavailable:
    return Unavailable(
        "The gateway cannot reserve this call's budget: its control process is away, and what it had lent is in use. "
        "Try again in a few seconds.",
        code="control_unavailable",
        retry_after=2,
    )
