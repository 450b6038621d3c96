"""An event is posted, signed, to the address that was looked at and to no other; real sockets on loopback."""

import asyncio
import socket
import time
from pathlib import Path

import pytest

from chatvault.access.threshold import KeptEvent, Passed
from chatvault.config.schema import WebhooksConfig
from chatvault.control.webhook import post
from chatvault.core.errors import OperatorError
from tests.audit.samples import aside
from tests.control.receiver import SECRET, receiving
from tests.net.certificates import make_certificates

EVENT = KeptEvent(
    id="budget/bud_1/1764547200000000/80",
    kind="budget.threshold",
    subject="bud_1",
    at=1_764_600_000_000_000,
    content=Passed(1_764_547_200_000_000, 80, 40_500_000_000_001, 50_000_000_000_000, "money"),
)


def webhook(url: str, *, private: bool = True) -> WebhooksConfig:
    return WebhooksConfig(url=url, secret=SECRET, allow_private=private)


async def test_what_is_posted_is_exact_and_signed() -> None:
    async with receiving() as receiver:
        await post(webhook(receiver.url("/hooks/path?key=1")), EVENT)
    (got,) = receiver.got
    assert got.target == "/hooks/path?key=1"
    assert got.said == {
        "id": "budget/bud_1/1764547200000000/80",
        "type": "budget.threshold",
        "at": "2025-12-01T14:40:00.000000Z",
        "budget_id": "bud_1",
        "period_start": "2025-12-01T00:00:00.000000Z",
        "percent": 80,
        "unit": "money",
        "spent": "40.500000000001",
        "amount": "50.00",
    }
    assert got.genuine
    assert got.headers["x-chatvault-event-id"] == EVENT.id
    assert abs(int(got.headers["x-chatvault-timestamp"]) - time.time()) < 10
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert not {"cookie", "authorization"} & got.headers.keys()


async def test_calls_are_numbers_as_they_are_and_a_budget_without_end_has_no_period() -> None:
    content = Passed(0, 100, 3, 3, "requests")
    event = KeptEvent(id="e", kind="budget.threshold", subject="tok_1/requests", at=1, content=content)
    async with receiving() as receiver:
        await post(webhook(receiver.url()), event)
    said = receiver.got[0].said
    assert (said["spent"], said["amount"], said["unit"], said["period_start"]) == ("3", "3", "requests", None)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (500, "status 500"),
        (404, "status 404"),
        (410, "status 410"),
        ("redirect", "redirect"),
        ("reset", "cannot be asked"),
        ("hang", "within 0.5 s"),
        ("endless head", "cannot be asked"),
    ],
)
async def test_what_is_no_success_is_a_failure_that_says_why_and_no_more(answer: int | str, why: str) -> None:
    async with receiving(answer) as receiver:
        with pytest.raises(OperatorError, match=why) as raised:
            await post(webhook(receiver.url()), EVENT, timeout=0.5 if answer == "hang" else 5)
    assert raised.value.code == "webhook_failed"
    assert "secret-path" not in raised.value.message
    assert len(receiver.got) == 1, "a redirect is not followed, and nothing is tried twice"
    assert receiver.sent < 4 << 20


async def test_an_answer_without_end_is_not_read() -> None:
    async with receiving("endless") as receiver:
        await post(webhook(receiver.url()), EVENT, timeout=5)
        sent = receiver.sent
        await asyncio.sleep(0.2)
    assert receiver.sent - sent < 1 << 20
    assert receiver.sent < 16 << 20


async def test_nobody_there_is_a_failure() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(OperatorError, match="cannot be asked"):
            await post(webhook(f"http://127.0.0.1:{closed.getsockname()[1]}/"), EVENT)


async def test_what_is_not_public_is_not_even_connected_to() -> None:
    async with receiving() as receiver:
        for host in ("127.0.0.1", "localhost", "2130706433"):
            with pytest.raises(OperatorError, match=r"was not asked: .* not public"):
                await post(webhook(receiver.url(host=host), private=False), EVENT)
    assert receiver.got == []


async def test_a_name_that_leads_elsewhere_the_next_time_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is resolved once; whoever resolved it again would be led astray here."""
    loop = asyncio.get_running_loop()
    real, names = loop.getaddrinfo, []

    async def getaddrinfo(host: str, port: int, **more: object) -> object:
        if host != "hooks.example":
            return await real(host, port, **more)  # type: ignore[arg-type]
        names.append(host)
        there = "127.0.0.1" if len(names) == 1 else "192.0.2.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (there, port))]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with receiving() as receiver:
        await post(webhook(receiver.url(host="hooks.example")), EVENT, timeout=3)
    assert names == ["hooks.example"]
    assert receiver.got[0].headers["host"] == f"hooks.example:{receiver.port}", "and it hears its own name"


async def test_the_certificate_is_checked_against_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not against the address that is connected to, whose own would fit."""
    certificates = make_certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    loop = asyncio.get_running_loop()

    async def getaddrinfo(host: str, port: int, **_: object) -> object:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with receiving(tls=aside(certificates.server_context)) as receiver:
        await post(webhook(f"https://localhost:{receiver.port}/x"), EVENT)
        with pytest.raises(OperatorError, match="cannot be asked"):
            await post(webhook(f"https://hooks.example:{receiver.port}/x"), EVENT)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
        with pytest.raises(OperatorError, match="cannot be asked"):
            await post(webhook(f"https://localhost:{receiver.port}/x"), EVENT)
    assert len(receiver.got) == 1
