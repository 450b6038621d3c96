"""How a budget stands, from what the store and the workers say of it: a plain sum."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from chatvault.access.budget import Budget, Period
from chatvault.access.purse import Key
from chatvault.access.store import Lease, Spent
from chatvault.feed.messages import Balance


class Standing(msgspec.Struct, frozen=True):
    """A budget in a period. Pico-dollars. `settled`: charged to calls that have ended; `reserved`: the worst case of
    those under way, and all that is lent to workers nobody hears of, dead ones that are not accounted for yet among
    them; `leased`: given to workers and not used yet; `left`: what nobody has."""

    period: Period
    settled: int
    reserved: int
    leased: int
    left: int


class Out:
    """What is out of control's hands, at one moment. `living` are the chains of workers that are connected."""

    def __init__(
        self,
        spent: Iterable[Spent],
        lent: Iterable[Lease],
        balances: Mapping[tuple[str, Key], Balance],
        living: Collection[str],
    ) -> None:
        self._spent = {each.key: each for each in spent}
        self._settled: dict[Key, int] = {}
        self._reserved: dict[Key, int] = {}
        for (chain, key), balance in balances.items():
            _add(self._settled, key, balance.settled)
            if chain in living:
                _add(self._reserved, key, balance.reserved)
        for lease in lent:
            if lease.chain not in living:
                known = balances.get((lease.chain, lease.key))
                _add(self._reserved, lease.key, max(lease.amount - (known.settled if known else 0), 0))

    def standing(self, budget: Budget, period: Period) -> Standing:
        key = (budget.id, period.start)
        spent = self._spent.get(key, Spent(key, 0, 0))
        settled = spent.used + self._settled.get(key, 0)
        reserved = self._reserved.get(key, 0)
        # What a worker nobody hears of was charged counts as reserved. A call of its that was reconciled is no less.
        shown = max(settled, 0)
        return Standing(
            period=period,
            settled=shown,
            reserved=max(reserved - (shown - settled), 0),
            leased=max(spent.committed - settled - reserved, 0),
            left=max(budget.amount - spent.committed, 0),
        )


def _add(sums: dict[Key, int], key: Key, amount: int) -> None:
    sums[key] = sums.get(key, 0) + amount
