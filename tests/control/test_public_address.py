"""What is public, and that names are resolved once."""

import asyncio
import socket

import pytest

from chatvault.control.public_address import is_public, resolved
from chatvault.core.errors import OperatorError

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
CLOSED = [
    "127.0.0.1", "127.255.0.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "192.88.99.1", "::", "::1", "::7f00:1", "::8.8.8.8", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254",
    "fec0::1", "ff02::1", "2001:db8::1", "3fff::1", "5f00::1", "64:ff9b:1::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:80ff:fffe", "localhost", "", "1.2.3",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", CLOSED)
def test_any_other_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "::1", "0"]
)
async def test_however_it_is_spelt_it_is_looked_at_as_it_is_connected_to(host: str) -> None:
    with pytest.raises(OperatorError, match="not public") as raised:
        await resolved(host, 80, private=False)
    assert raised.value.code == "address_not_public"


async def test_private_ones_can_be_allowed() -> None:
    assert await resolved("127.0.0.1", 80, private=True) == "127.0.0.1"


def leads_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have names resolve to these, one answer after the other; the names that were asked for."""
    asked: list[str] = []
    left = list(answers)

    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in left.pop(0)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


async def test_one_closed_address_among_several_closes_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, ["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "1.1.1.1"])
    with pytest.raises(OperatorError, match=r"leads to 10\.0\.0\.1"):
        await resolved("mixed.example", 443, private=False)
    assert await resolved("good.example", 443, private=False) == "8.8.8.8"


async def test_a_name_that_is_none_is_said_so() -> None:
    for host in ("no-such-host.invalid", "a" * 70 + ".example"):
        with pytest.raises(OperatorError) as raised:
            await resolved(host, 80, private=False)
        assert raised.value.code == "address_unknown"
