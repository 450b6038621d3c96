import sys
from itertools import product
from timeit import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.usage import Usage
from chatvault.pricing.price import Price, bill, cost, make_price, upper_bound

PLAIN = make_price("openai", "gpt", "config", {"input": 2, "output": 10, "cached": 1})
RICH = make_price(
    "lab",
    "omni",
    "genai-prices 0.2.3",
    {
        "input": 100,
        "cached": 10,
        "cache_write": 125,
        "cache_write_1h": 200,
        "input_audio": 3_000,
        "input_image": 150,
        "cached_audio": 30,
        "output": 1_000,
        "reasoning": 900,
        "output_audio": 9_000,
        "output_image": 7_000,
        "searches": 10**10,
        "request": 5,
    },
    (("input", 1_001, 250), ("output", 1_001, 2_000), ("input", 5_001, 400)),
    context_window=10_000,
)
counts = st.integers(0, 5_000)


def test_equal_prices_have_equal_versions_whatever_the_edition() -> None:
    older = make_price("openai", "gpt", "genai-prices 0.2.2", {"output": 10, "input": 2})
    newer = make_price("openai", "gpt", "genai-prices 0.2.3", {"input": 2, "output": 10})
    assert older.version == newer.version
    assert older.version.startswith("p_")
    others = [
        make_price("azure", "gpt", "genai-prices 0.2.3", {"input": 2, "output": 10}),
        make_price("openai", "gpt2", "genai-prices 0.2.3", {"input": 2, "output": 10}),
        make_price("openai", "gpt", "config", {"input": 2, "output": 10}),
        make_price("openai", "gpt", "genai-prices 0.2.3", {"input": 2, "output": 11}),
        make_price("openai", "gpt", "genai-prices 0.2.3", {"input": 2, "output": 10}, (("input", 5, 3),)),
    ]
    assert len({newer.version, *(other.version for other in others)}) == 6


def test_what_has_no_rate_costs_what_includes_it() -> None:
    assert cost(PLAIN, Usage(input=10, cache_write=2, cache_write_1h=3, input_audio=1, input_image=4)) == 20
    assert cost(PLAIN, Usage(output=10, reasoning=2, output_audio=3, output_image=4)) == 100
    written = make_price("a", "m", "config", {"input": 1, "cache_write": 5, "output": 1})
    assert cost(written, Usage(input=10, cache_write_1h=10)) == 50


def test_what_the_price_says_nothing_of_is_unknown() -> None:
    nothing = make_price("a", "m", "config", {"output": 10})
    assert cost(nothing, Usage(input=1, output=1)) is None
    assert cost(nothing, Usage(output=1)) == 10
    assert cost(PLAIN, Usage(searches=1)) is None


def test_parts_that_exceed_their_whole_are_believed() -> None:
    assert cost(PLAIN, Usage(input=5, cached=8)) == 8
    assert cost(PLAIN, Usage(output=5, reasoning=8)) == 80
    assert cost(RICH, Usage(input=0, cache_write=4)) == 5 + 500


def test_cached_audio_and_spoken_reasoning_are_priced_once() -> None:
    # 10 in, 8 of them audio, 6 cached: 2 of the cached are the text, 4 are audio; 4 audio remain.
    assert cost(RICH, Usage(input=10, input_audio=8, cached=6)) == 5 + 2 * 10 + 4 * 30 + 4 * 3_000
    # 10 out, 9 audio, 3 reasoning: 2 of the reasoning are audio.
    assert cost(RICH, Usage(output=10, output_audio=9, reasoning=3)) == 5 + 9 * 9_000 + 900


def test_the_highest_tier_that_is_reached_holds_for_all() -> None:
    assert cost(RICH, Usage(input=1_000, output=1)) == 5 + 100_000 + 1_000
    assert cost(RICH, Usage(input=1_001, output=1)) == 5 + 250_250 + 2_000
    assert cost(RICH, Usage(input=5_001, output=1)) == 5 + 2_000_400 + 2_000


@given(counts, counts, counts, counts, counts, counts, counts)
def test_the_bound_holds_whatever_was_used(
    rest: int, cached: int, write: int, audio: int, text: int, reasoning: int, sound: int
) -> None:
    used = Usage(
        input=rest + cached + write + audio,
        cached=cached,
        cache_write=write,
        input_audio=audio,
        output=text + reasoning + sound,
        reasoning=reasoning,
        output_audio=sound,
    )
    for price in (PLAIN, RICH):
        due, most = cost(price, used), upper_bound(price, used.input, used.output)
        assert due is not None
        assert most is not None
        assert due <= most
        parts = bill(price, used)
        assert sum(units * (rate or 0) for _, units, rate in parts) == due
        assert all(units > 0 for _, units, _ in parts)


def test_a_bill_names_each_part_and_what_has_no_rate() -> None:
    used = Usage(input=2_000, cached=500, output=30, reasoning=10, searches=2)
    assert bill(PLAIN, used)[-1] == ("searches", 2, None)
    assert cost(PLAIN, used) is None
    parts = {field: (units, rate) for field, units, rate in bill(RICH, used)}
    assert (parts["input"][0], parts["cached"][0], parts["output"][0], parts["reasoning"][0]) == (
        1_500,
        500,
        20,
        10,
    )
    assert (parts["input"][1], parts["output"][1]) == (250, 2_000)
    assert parts["request"] == (1, RICH.rates["request"])


def test_a_bound_counts_choices_and_searches() -> None:
    assert upper_bound(PLAIN, 100, 10) == 200 + 100
    assert upper_bound(PLAIN, 100, 10, choices=3) == 200 + 300
    assert upper_bound(RICH, 0, 0, searches=2) == 5 + 2 * 10**10
    assert upper_bound(PLAIN, 1, 1, searches=1) is None


def test_where_the_request_does_not_say_the_context_window_bounds() -> None:
    assert upper_bound(PLAIN, None, 10) is None
    assert upper_bound(PLAIN, 10, None) is None
    assert upper_bound(RICH, None, 0) == 5 + 10_000 * 3_000
    assert upper_bound(RICH, 0, None) == 5 + 10_000 * 9_000
    beyond = make_price(
        "a", "m", "config", {"input": 1, "output": 1}, (("input", 201, 2),), context_window=200
    )
    assert upper_bound(beyond, None, 1) is None  # the tier says that more than the window may go in
    short = make_price("a", "s", "config", {"input": 1, "output": 1}, context_window=200, output_limit=50)
    assert upper_bound(short, 10, None) == 10 + 50
    assert upper_bound(short, 10, None, choices=2) == 10 + 100
    assert upper_bound(short, 10, 70) == 10 + 70  # what the request allows is believed: limits get raised
    embedding = make_price("a", "e", "config", {"input": 1})
    assert upper_bound(embedding, 100, None) == 100


def test_free_is_bounded_by_nothing() -> None:
    free = make_price("a", "m:free", "config", {"input": 0, "output": 0})
    assert upper_bound(free, None, None) == 0
    assert cost(free, Usage(input=9, output=9)) == 0


def test_tiers_out_of_reach_do_not_count() -> None:
    tiered = make_price("a", "m", "config", {"input": 1, "output": 1}, (("input", 1_001, 9),))
    assert upper_bound(tiered, 1_000, 0) == 1_000
    assert upper_bound(tiered, 1_001, 0) == 9_009


def test_the_fast_way_and_the_thorough_way_agree() -> None:
    silent = {"input_audio": 0}  # a rate that no usage here touches, and searches that cost nothing
    for cached, reasoning in product((0, 3, 12), (0, 2, 9)):
        fast = Usage(input=10, cached=cached, output=7, reasoning=reasoning)
        thorough = Usage(input=10, cached=cached, output=7, reasoning=reasoning, searches=1)
        price: Price = make_price("a", "m", "config", PLAIN.rates | silent | {"searches": 0})
        assert cost(price, fast) == cost(price, thorough)


@pytest.mark.skipif(sys.gettrace() is not None, reason="coverage slows what is timed")
def test_the_simple_case_takes_under_two_microseconds() -> None:
    used = Usage(input=1_000, cached=100, output=50, reasoning=20)
    best = min(repeat(lambda: cost(PLAIN, used), number=2_000, repeat=9)) / 2_000
    assert best < 2e-6
