"""What calls usually cost."""

import pytest

from chatvault.access.usual import Usual


def test_nothing_is_said_of_few_calls() -> None:
    usual = Usual()
    for _ in range(19):
        usual.add("p", "m", 5)
    assert usual.of("p", "m") is None
    usual.add("p", "m", 5)
    assert usual.of("p", "m") == 5
    assert usual.of("p", "other") is None


def test_it_is_the_99th_percentile_of_the_last_ones() -> None:
    usual = Usual()
    for cost in range(1, 201):
        usual.add("p", "m", cost)
    found = usual.of("p", "m")
    assert found is not None
    assert 185 <= found <= 198
    for _ in range(600):
        usual.add("p", "m", 7)
    assert usual.of("p", "m") == 7


def test_targets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatvault.access.usual._TARGETS", 2)
    usual = Usual()
    for model in "abc":
        for _ in range(20):
            usual.add("p", model, 1)
    assert [usual.of("p", model) for model in "abc"] == [None, 1, 1]
