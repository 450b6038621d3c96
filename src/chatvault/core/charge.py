"""What a call takes of a budget, as it stands on a line of the journal."""

import msgspec


class Charge(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of one budget and period. `amount` was reserved (a line that opens a call, or begins another attempt) or charged
    (one that closes it); `held` is what the chain holds of this budget and period after the line, settled and reserved.
    Pico-dollars, or calls."""

    budget: str
    start: int
    """Of the period: microseconds since the epoch, 0 where the budget has no end."""
    amount: int
    held: int
