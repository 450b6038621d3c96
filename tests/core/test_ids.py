"""Identifiers: unique, sortable by time, safe wherever they are written."""

import re
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.ids import new_id, short_id

MOMENTS = st.integers(0, (1 << 48) * 1_000_000 - 1)


@given(MOMENTS)
def test_an_id_is_a_uuid_of_version_7_that_holds_its_time(now_ns: int) -> None:
    text = new_id(now_ns)
    assert re.fullmatch("[0-9a-f]{32}", text)
    read = UUID(hex=text)
    assert (read.version, read.variant) == (7, RFC_4122)
    assert read.int >> 80 == now_ns // 1_000_000


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_time(first: int, second: int) -> None:
    if first // 1_000_000 < second // 1_000_000:
        assert new_id(first) < new_id(second)


def test_ids_of_the_same_moment_differ() -> None:
    assert len({new_id(1) for _ in range(10_000)}) == 10_000
    noise = 0
    for _ in range(200):
        noise |= int(new_id(0), 16)
    fixed = (7 << 76) | (2 << 62)
    assert noise == fixed | (0xFFF << 64) | ((1 << 62) - 1), "each of the 74 random bits is used"


def test_the_clock_is_asked_where_no_time_is_given() -> None:
    assert new_id(0) < new_id() < new_id((1 << 48) * 1_000_000 - 1)


def test_short_ids() -> None:
    assert re.fullmatch("tok_[0-9a-f]{20}", short_id("tok"))
    assert len({short_id("x") for _ in range(1000)}) == 1000
