"""Whom the record names when proxies stand between."""

import pytest

from chatvault.config.networks import client_address, parse_networks, place_of

OURS = parse_networks(["10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", b"198.51.100.1", "203.0.113.9"),  # a stranger may claim what it likes
        ("10.0.0.1", b"198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", b"6.6.6.6, 198.51.100.1", "198.51.100.1"),  # only what our proxy wrote is believed
        ("10.0.0.1", b"198.51.100.1, 10.0.0.2", "198.51.100.1"),  # two proxies of ours
        ("10.0.0.1", b"6.6.6.6, nonsense", "10.0.0.1"),
        ("10.0.0.1", b"6.6.6.6, nonsense, 10.0.0.7", "10.0.0.7"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("::1", b"2001:db8::1", "2001:db8::1"),
        ("unix", b"198.51.100.1", "unix"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_proxy_of_ours(
    peer: str, forwarded: bytes | None, expected: str
) -> None:
    assert client_address(peer, forwarded, OURS) == expected


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert client_address("127.0.0.1", b"198.51.100.1", ()) == "127.0.0.1"


def test_what_is_no_network_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        parse_networks(["10.0.0.0/99"])


def test_what_an_address_counts_as() -> None:
    assert place_of("203.0.113.1") == "203.0.113.1"
    assert place_of("::ffff:203.0.113.1") == "203.0.113.1"
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert place_of("2001:db8:0:1::1") != place_of("2001:db8::1")
    assert place_of("unix") == "unix"
