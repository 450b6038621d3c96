"""What is left of limits, in OpenAI's and in Anthropic's fields."""

import pytest

from chatvault.access.limiter import MICRO, Limiter, Ticket, admit, left
from chatvault.access.limits import Limited, Limits
from chatvault.gateway.rate_headers import Standing, duration, rate_lines


def counted(now: int, **limits: int) -> Standing:
    """What is left then, after one call of 25 tokens."""
    meters = (Limiter().meter(Limited("token", "t", Limits(**limits))),)  # type: ignore[arg-type]
    assert isinstance(admit(meters, 25, 0), Ticket)
    return left(meters, "requests", now), left(meters, "tokens", now)


def test_openais_clients_get_durations() -> None:
    lines = b"".join(rate_lines(counted(MICRO, requests_per_hour=10, tokens_per_minute=100), "openai", 0))
    assert lines == (
        b"x-ratelimit-limit-requests: 10\r\nx-ratelimit-remaining-requests: 9\r\nx-ratelimit-reset-requests: 59m59s\r\n"
        b"x-ratelimit-limit-tokens: 100\r\nx-ratelimit-remaining-tokens: 75\r\nx-ratelimit-reset-tokens: 59s\r\n"
    )


def test_anthropics_clients_get_moments() -> None:
    lines = rate_lines(counted(0, requests_per_minute=10), "anthropic", 1_750_000_000_000_000)
    assert lines == [
        (
            b"anthropic-ratelimit-requests-limit: 10\r\nanthropic-ratelimit-requests-remaining: 9\r\n"
            b"anthropic-ratelimit-requests-reset: 2025-06-15T15:07:40Z\r\n"
        )
    ]


def test_nothing_is_said_where_nothing_is_limited() -> None:
    assert rate_lines(counted(0, concurrent=3), "openai", 0) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.25, "250ms"),
        (1, "1s"),
        (59.5, "59.5s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (3723, "1h2m3s"),
        (86_400, "24h0m0s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
