"""What one worker may spend: leases of budgets, and the calls that reserve and settle against them.

Control holds every budget and leases slices of it (`lending.py`); a worker spends only what was leased to it, so no
call waits for control while a lease lasts, and nothing is spent twice. Of each budget and period a worker keeps three
numbers, which never fail `settled + reserved <= leased` (but for a provider that bills more than the worst case):

    leased     what control gave, less what was given back
    reserved   the worst case of the calls under way
    settled    what ended calls were charged

Each line that the worker writes of a call says what the chain then holds of its budgets, `settled + reserved`. The last
such line of a dead chain is all that control needs to know of it: calls that were interrupted keep their reservation.
"""

from collections.abc import Iterable, Iterator

import msgspec

from chatvault.access.budget import Budget, Period
from chatvault.core.charge import Charge

Key = tuple[str, int]
"""A budget's id and the start of a period."""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What a call asks of one budget."""

    budget: Budget
    period: Period
    amount: int


class Holding:
    """Of one budget and period."""

    __slots__ = ("asked", "budget", "leased", "lent", "period", "reserved", "settled", "touched")

    def __init__(self, budget: Budget, period: Period) -> None:
        self.budget = budget
        self.period = period
        self.leased = self.reserved = self.settled = 0
        self.asked = 0
        """So much was asked for, and is not answered yet."""
        self.lent = 0
        """The size of the last lease."""
        self.touched = 0.0
        """When a call last asked; for giving back what lies idle."""

    @property
    def key(self) -> Key:
        return self.budget.id, self.period.start

    @property
    def held(self) -> int:
        return self.settled + self.reserved

    @property
    def spare(self) -> int:
        return max(self.leased - self.settled - self.reserved, 0)


class Reservation:
    """A call's claims, while it is under way. It is settled once."""

    __slots__ = ("_amounts", "holdings")

    def __init__(self, holdings: list[Holding], amounts: list[int]) -> None:
        self.holdings = holdings
        self._amounts = amounts

    def reserved(self) -> tuple[Charge, ...]:
        """For the line that opens the call."""
        return tuple(
            Charge(holding.budget.id, holding.period.start, amount, holding.held)
            for holding, amount in zip(self.holdings, self._amounts, strict=True)
        )

    def again(self) -> bool:
        """Reserve the same once more, for another attempt that may be billed too; False, and nothing is reserved,
        where a lease does not suffice."""
        pairs = list(zip(self.holdings, self._amounts, strict=True))
        if any(holding.spare < amount for holding, amount in pairs if holding.budget.unit == "money"):
            return False
        for index, (holding, amount) in enumerate(pairs):
            if holding.budget.unit == "money":
                holding.reserved += amount
                self._amounts[index] += amount
        return True

    def settle(self, cost: int | None, at_least: int = 0) -> tuple[Charge, ...]:
        """Charge what the call cost; None: it is unknown, and what was reserved is kept, or what it cost `at_least` if
        that is more. For the line that closes it."""
        entries = []
        for holding, amount in zip(self.holdings, self._amounts, strict=True):
            if holding.budget.unit == "requests":
                charged = amount
            else:
                charged = max(amount, at_least) if cost is None else cost
            holding.reserved -= amount
            holding.settled += charged
            entries.append(Charge(holding.budget.id, holding.period.start, charged, holding.held))
        return tuple(entries)

    def cancel(self) -> None:
        """The call did not go."""
        for holding, amount in zip(self.holdings, self._amounts, strict=True):
            holding.reserved -= amount


class Purse:
    """The holdings of a worker's life."""

    __slots__ = ("_holdings",)

    def __init__(self) -> None:
        self._holdings: dict[Key, Holding] = {}

    def __iter__(self) -> Iterator[Holding]:
        return iter(self._holdings.values())

    def holding(self, budget: Budget, period: Period) -> Holding:
        key = (budget.id, period.start)
        holding = self._holdings.get(key)
        if holding is None:
            holding = self._holdings[key] = Holding(budget, period)
        elif holding.budget is not budget:
            holding.budget = budget
        return holding

    def get(self, key: Key) -> Holding | None:
        return self._holdings.get(key)

    def reserve(self, claims: Iterable[Claim]) -> Reservation | list[Claim]:
        """Reserve for all claims, or for none: then the claims that the leases do not suffice for. A claim of nothing
        needs no lease."""
        holdings, amounts, short = [], [], []
        for claim in claims:
            holding = self.holding(claim.budget, claim.period)
            if claim.amount and holding.leased - holding.settled - holding.reserved < claim.amount:
                short.append(claim)
            holdings.append(holding)
            amounts.append(claim.amount)
        if short:
            return short
        for holding, amount in zip(holdings, amounts, strict=True):
            holding.reserved += amount
        return Reservation(holdings, amounts)

    def lend(self, key: Key, amount: int) -> Holding | None:
        """Control has given so much more, or 0. None: nobody waits for it any more, and it has to be given back."""
        holding = self._holdings.get(key)
        if holding is not None:
            holding.asked = 0
            holding.leased += amount
            holding.lent = amount
        return holding

    def give_back(self, key: Key) -> int:
        """Give back what is not needed; how much that is. Whoever calls this tells control."""
        holding = self._holdings.get(key)
        if holding is None:
            return 0
        spare = holding.spare
        holding.leased -= spare
        return spare

    def over(self, now_us: int) -> list[Holding]:
        """Holdings of periods that have ended, with nothing under way any more. They are forgotten here."""
        found = [
            holding
            for holding in self._holdings.values()
            if holding.period.end is not None and holding.period.end <= now_us and not holding.reserved
        ]
        for holding in found:
            del self._holdings[holding.key]
        return found
