"""What is shown of windows."""

from chatvault.access.limiter import MICRO, Limiter, Ticket, admit
from chatvault.access.limits import Limited, Limits
from chatvault.access.past import spans_of
from chatvault.access.reading import MOST_ROWS, Reading, read


def test_the_fullest_comes_first_with_what_is_under_way() -> None:
    limiter = Limiter(2)
    token = limiter.meter(Limited("token", "t", Limits(requests_per_minute=100, concurrent=4)))
    model = limiter.meter(Limited("model", "m", Limits(tokens_per_hour=1000, shadow=True)))
    assert isinstance(admit((token, model), 300, 0), Ticket)
    assert isinstance(admit((token,), 0, 5 * MICRO), Ticket)
    assert read(limiter, 10 * MICRO) == (
        [
            Reading("token", "t", "concurrent", 4, 2, 0, 0, False, 2),
            Reading("model", "m", "tokens_per_hour", 1000, 300, 3590.0, 3590.0, True, 1),
            Reading("token", "t", "requests_per_minute", 100, 2, 50.0, 55.0, False, 2),
        ],
        0,
    )
    assert [row.limit for row in read(limiter, 0, "model")[0]] == ["tokens_per_hour"]
    assert len(read(limiter, 0, None, "t")[0]) == 2
    assert read(limiter, 0, "model", "t") == ([], 0)


def test_rows_are_bounded_and_the_rest_is_counted() -> None:
    limiter = Limiter()
    for number in range(MOST_ROWS + 7):
        limiter.meter(Limited("token", str(number), Limits(requests_per_minute=1)))
    full = limiter.meter(Limited("token", "full", Limits(requests_per_minute=1)))
    assert isinstance(admit((full,), 0, 0), Ticket)
    rows, more = read(limiter, 0)
    assert (len(rows), more, rows[0].subject) == (MOST_ROWS, 8, "full")


def test_the_past_of_models_and_addresses_is_not_told() -> None:
    day, none = Limits(requests_per_day=1, tokens_per_minute=1), Limits(concurrent=1)
    asked = (Limited("token", "t", day), Limited("model", "m", day), Limited("project", "p", none))
    assert spans_of(asked) == {("token", "t"): {86_400, 60}}
