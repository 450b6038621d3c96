"""Limits as people write them."""

import pytest
import typer

from chatvault.cli.limits import limits, said


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["100/minute"], {"requests_per_minute": 100}),
        (["1_000 requests/h", "50,000"], None),
        (["50000 tokens/day, concurrent=4"], {"tokens_per_day": 50_000, "concurrent": 4}),
        (["100 per hour", "shadow"], {"requests_per_hour": 100, "shadow": True}),
        (["3 concurrent"], {"concurrent": 3}),
        (["none"], {}),
        ([""], {}),
        (["100/fortnight"], None),
        (["many"], None),
        (["-1/minute"], None),
    ],
)
def test_limits_are_read(words: list[str], found: dict[str, object] | None) -> None:
    if found is None:
        with pytest.raises(typer.BadParameter, match="is no limit"):
            limits(words)
        return
    assert limits(words) == found


def test_limits_are_said_as_they_are_written() -> None:
    told: dict[str, object] = {"requests_per_minute": 5, "tokens_per_day": 9, "concurrent": 2, "shadow": True}
    assert said(told) == "5 requests/minute, 9 tokens/day, concurrent=2, shadow"
    assert limits([said(told)]) == told
    assert said(None) == said({}) == "none"
