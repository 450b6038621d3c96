"""Money: exact integers of pico-dollars (10^-12 US dollars), in motion and at rest. Never floats."""

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow

PICO = 10**12
"""Pico-dollars in a dollar."""
_EXACT = Context(prec=60, Emax=60, traps=[Inexact, InvalidOperation, Overflow])
"""Fails where the default context would round."""


def pico(dollars: Decimal | str | int) -> int:
    """Pico-dollars of an amount in dollars. Raises ValueError for what is no amount, or finer than a
    pico-dollar.
    """
    try:
        amount = _EXACT.multiply(Decimal(dollars), Decimal(PICO))
    except DecimalException:
        raise ValueError(f"{dollars!r} is not an amount of money") from None
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError(f"{dollars!r} is not a whole number of pico-dollars (10^-12 $)")
    return int(amount)


def dollars(amount: int) -> str:
    """An exact decimal, at least two places: `0.00000015`, `12.50`. Never rounds, so never shows `0.00` for
    something.
    """
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, part = divmod(amount, PICO)
    places = f"{part:012d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{places}"
