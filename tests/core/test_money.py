"""Amounts: exact, or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.money import PICO, dollars, pico


@given(st.integers(-(10**40), 10**40))
def test_any_amount_survives_being_written(amount: int) -> None:
    assert pico(dollars(amount)) == amount


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("0.00000015", 150_000),
        ("12.50", 12_500_000_000_000),
        ("0.000000000001", 1),
        ("1e-12", 1),
        ("-3", -3 * PICO),
        (7, 7 * PICO),
        (Decimal("0.1"), PICO // 10),
        ("12345678901234567890.123456789012", 12345678901234567890123456789012),
    ],
)
def test_read(written: Decimal | str | int, amount: int) -> None:
    assert pico(written) == amount


@pytest.mark.parametrize(
    "written",
    [
        "", "free", "1,50", "$1", "nan", "sNaN", "inf", "-Infinity", "1e999999", "1e999999999",
        "0.0000000000001",  # finer than a pico-dollar
        "1.00000000000000000000000000000000000001",  # finer, by what a rounding would hide
        "1e-999999999999",
        Decimal("0.1000000000000000055511151231257827"),  # what a float makes of a tenth
    ],
)  # fmt: skip
def test_what_is_no_exact_amount(written: Decimal | str) -> None:
    with pytest.raises(ValueError):
        pico(written)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00"),
        (1, "0.000000000001"),
        (150_000, "0.00000015"),
        (12_500_000_000_000, "12.50"),
        (-1, "-0.000000000001"),
        (-PICO, "-1.00"),
        (10**30, "1000000000000000000.00"),
    ],
)
def test_written(amount: int, text: str) -> None:
    assert dollars(amount) == text


@given(st.integers(1, 10**30))
def test_something_is_never_shown_as_nothing(amount: int) -> None:
    assert Decimal(dollars(amount)) > 0
    assert len(dollars(amount).partition(".")[2]) >= 2
