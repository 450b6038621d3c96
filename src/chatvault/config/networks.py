"""Networks that a setting names, and the address a client has behind proxies that are believed."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]


def parse_networks(names: Iterable[str]) -> Networks:
    """Addresses and networks (`10.0.0.0/8`, `::1`). Raises ValueError that names the one that is neither."""
    return tuple(ip_network(name.strip(), strict=False) for name in names)


def client_address(peer: str, forwarded: bytes | None, trusted: Networks) -> str:
    """Who asks: the peer, or if that is a trusted proxy the nearest address in `X-Forwarded-For` that is none.

    The field is read from its right end, where our own proxies wrote: whatever a client put in front of that is not
    believed. What is no address ends the search.
    """
    address = peer
    for name in reversed((forwarded or b"").decode("latin-1").split(",")):
        if not _within(address, trusted):
            return address
        try:
            address = str(ip_address(name.strip()))
        except ValueError:
            return address
    return address


def within(address: str, networks: Networks) -> bool:
    """Whether an address is of one of them; an IPv4 address that was mapped into IPv6 is the one it was. What is no
    address is of none."""
    if "." in address and address.startswith("::"):
        try:
            mapped = IPv6Address(address).ipv4_mapped
        except ValueError:
            return False
        address = address if mapped is None else str(mapped)
    return _within(address, networks)


@lru_cache(maxsize=4096)
def place_of(address: str) -> str:
    """What an address counts as where guesses and refusals are counted: itself; of IPv6 its network of 64 bits, since
    whoever has one address there has all of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address  # a unix socket's peer
    if found.version == 4:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found) >> 64 << 64, 64)))


def _within(address: str, networks: Networks) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False  # a unix socket's peer has no address
    return any(found.version == network.version and found in network for network in networks)
