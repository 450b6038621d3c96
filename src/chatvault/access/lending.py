"""How much of a budget control gives away at a time: a plain decision over numbers.

What is committed is out of control's hands: leased to workers' lives that are not accounted for yet, or used by those
that are. `committed + grant <= amount` always, so that whatever workers do, and whoever is killed, settled plus
reserved never exceeds the budget.
"""

from typing import Final

_SHARE: Final = 20
"""A lease is at most this part of the budget (a twentieth), so that one worker cannot sit on much of it."""


def grant(amount: int, committed: int, need: int, workers: int) -> int:
    """What to lease to one of so many workers that needs `need` now; 0 where that much is not left.

    More than is needed where there is plenty, so that a worker asks seldom; towards the end no more than is needed, so
    that the last of it can be spent by whoever asks.
    """
    left = amount - committed
    if need > left:
        return 0
    plenty = min(amount // _SHARE, left // (2 * workers))
    return max(need, plenty)
