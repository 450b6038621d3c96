"""Where a store is, as a URL says it."""

import pytest

from chatvault.config.store_url import StorePlace, parse_store


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://cache", StorePlace("cache")),
        ("valkey://u:p%40ss@cache:7000/3", StorePlace("cache", 7000, None, False, "u", "p@ss", 3)),
        ("rediss://:secret@[::1]:6380", StorePlace("::1", 6380, None, True, None, "secret")),
        ("valkeys://cache/", StorePlace("cache", tls=True)),
        ("unix:/run/v.sock", StorePlace(path="/run/v.sock")),
        ("unix://u:p@/run/v.sock?db=2", StorePlace(path="/run/v.sock", user="u", password="p", database=2)),
    ],
)
def test_urls_are_read(url: str, place: StorePlace) -> None:
    assert parse_store(url) == place
    assert "secret" not in repr(place)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://cache",
        "redis://",
        "redis://cache/x",
        "redis://cache:port",
        "redis://c?db=1",
        "unix:v",
    ],
)
def test_what_is_no_url_of_a_store_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(ValueError, match="redis://"):
        parse_store(url)
