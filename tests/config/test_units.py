import pytest

from chatvault.config.units import duration, duration_text, size, size_text


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("65536", 65_536),
        ("64KiB", 65_536),
        ("32MiB", 32 << 20),
        ("1 GiB", 1 << 30),
        ("1.5MiB", 3 << 19),
        ("5mb", 5_000_000),
        ("1_000", 1_000),
        ("9b", 9),
    ],
)
def test_sizes(text: str, amount: int) -> None:
    assert size(text) == amount


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.3b", "10s", "1e3", "32 Mi B"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size such as"):
        size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0),
        ("10s", 10.0),
        ("250ms", 0.25),
        ("5m", 300.0),
        ("1.5h", 5400.0),
        ("24h", 86_400.0),
        ("7d", 604_800.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "10 weeks", "10M", "1:30"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        duration(text)


@pytest.mark.parametrize("text", ["32MiB", "64KiB", "2GiB", "1000"])
def test_sizes_written_again(text: str) -> None:
    assert size_text(size(text)) == text


@pytest.mark.parametrize("text", ["10s", "2m", "1h", "24h", "250ms", "75s"])
def test_durations_written_again(text: str) -> None:
    assert duration_text(duration(text)) == text
