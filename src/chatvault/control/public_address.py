"""Where a name leads, for what the gateway asks of itself: resolved once, and only what is public, unless it is
allowed.

Whoever connects does so to the very address that was looked at, so that a name which resolves to something else the
next time (DNS rebinding) gains nothing.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from chatvault.core.errors import OperatorError

_NEVER: Final = tuple(
    map(
        ip_network,
        (
            # Azure's own: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16 (2026-11)
            "168.63.129.16/32",
            "192.0.0.0/24",  # protocol assignments (RFC 6890); Oracle's metadata service is among them
            "192.88.99.0/24",  # relays of 6to4, deprecated (RFC 7526)
            "::/96",  # IPv4-compatible, deprecated (RFC 4291)
            "64:ff9b:1::/48",  # translation within a site (RFC 8215)
            "3fff::/20",  # documentation (RFC 9637)
            "5f00::/16",  # segment routing within a domain (RFC 9602)
        ),
    )
)
"""Not public, though the address alone does not say so in every version of Python."""
_NAT64: Final = ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an address is one of the open internet's: not loopback, link-local, private, multicast, reserved, or one
    that a cloud keeps for itself, and leads to none of these through a translator."""
    try:
        address = ip_address(text)
    except ValueError:
        return False  # with a scope, as in fe80::1%eth0
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(str(inner))
        if address.is_site_local:
            return False
    odd = address.is_multicast or address.is_reserved or address.is_unspecified or not address.is_global
    return not odd and not any(
        address.version == network.version and address in network for network in _NEVER
    )


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a packet to this one ends up at."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None


async def resolved(host: str, port: int, *, private: bool) -> str:
    """The first address of a name. Raises OperatorError where there is none, or where one of them is not public, unless
    `private` ones are allowed."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else "it is no name"
        raise OperatorError(f"{host} cannot be found: {said}.", code="address_unknown") from None
    addresses = [str(entry[4][0]) for entry in found]
    closed = [] if private else [address for address in addresses if not is_public(address)]
    if closed:
        raise OperatorError(f"{host} leads to {closed[0]}, which is not public.", code="address_not_public")
    return addresses[0]
