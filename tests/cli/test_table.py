"""Text in columns."""

from chatvault.cli.table import columns, number, plain, price


def test_columns_are_aligned() -> None:
    rows = [["NAME", "N"], ["a", "10"], ["longer", "2"]]
    assert columns(rows, right=[1]) == "NAME     N\na       10\nlonger   2"
    assert columns(rows).splitlines()[2] == "longer  2"
    assert columns([]) == ""


def test_what_is_not_known_is_said() -> None:
    assert (number(None), number(1234567), price(None), price("0.00000015")) == (
        "?",
        "1,234,567",
        "unknown",
        "$0.00000015",
    )


def test_text_from_outside_is_made_safe() -> None:
    assert plain("a\x1b[31mb\n") == "a?[31mb?"
    assert plain("x" * 100) == "x" * 79 + "…"
