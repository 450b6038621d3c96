"""The values that say what is limited."""

import msgspec
import pytest

from chatvault.access.limits import Limits, Rule


def test_limits_name_the_windows_they_ask_for() -> None:
    limits = Limits(requests_per_hour=1000, tokens_per_day=5, requests_per_minute=0, concurrent=2)
    assert limits.rules() == (
        Rule("requests_per_minute", "requests", 60, 0),
        Rule("requests_per_hour", "requests", 3600, 1000),
        Rule("tokens_per_day", "tokens", 86_400, 5),
    )
    assert Limits(concurrent=1).rules() == ()


def test_a_limit_nobody_knows_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="requests_per_second"):
        msgspec.convert({"requests_per_second": 1}, Limits)
