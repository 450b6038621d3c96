"""Posts an event to the operator's webhook, signed.

    x-chatvault-event-id     the same at each try: the receiver takes an event once
    x-chatvault-timestamp    seconds since the epoch, of this try: an old one can be refused
    x-chatvault-signature    v1=<hex of HMAC-SHA256 over "timestamp.body">

It goes straight to the address, by no proxy, follows no redirect, and reads of an answer no more than its head.
"""

import asyncio
import hashlib
import hmac
import ssl
from typing import Final

import httpx2
import msgspec

from chatvault import __version__
from chatvault.access.threshold import KeptEvent
from chatvault.config.schema import WebhooksConfig
from chatvault.control.public_address import resolved
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import OperatorError
from chatvault.core.money import dollars

TIMEOUT: Final = 10.0
"""Seconds that one try may take, from the name to the answer's head."""


def body_of(event: KeptEvent) -> bytes:
    """The same at each try."""
    said = event.content
    shown = dollars if said.unit == "money" else str
    return msgspec.json.encode(
        {
            "id": event.id,
            "type": event.kind,
            "at": iso(event.at),
            "budget_id": event.subject,
            "period_start": iso(said.start) if said.start else None,
            "percent": said.percent,
            "unit": said.unit,
            "spent": shown(said.spent),
            "amount": shown(said.amount),
        }
    )


def signature(secret: str, timestamp: str, body: bytes) -> str:
    made = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={made.hexdigest()}"


async def post(webhook: WebhooksConfig, event: KeptEvent, timeout: float = TIMEOUT) -> None:
    """Done when the receiver has answered with a status of 200 to 299. Raises OperatorError that says why not, and
    nothing of the address but its host."""
    assert webhook.url is not None
    assert webhook.secret is not None
    try:
        async with asyncio.timeout(timeout):
            status = await _posted(webhook, httpx2.URL(webhook.url), event)
    except TimeoutError:
        raise _failed(f"did not answer within {timeout:g} s") from None
    except OperatorError as error:
        raise _failed(f"was not asked: {error.message.rstrip('.')}") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise _failed(f"cannot be asked ({type(error).__name__})") from None
    if 300 <= status < 400:
        raise _failed(f"answered with a redirect (status {status}), which is not followed")
    if not 200 <= status < 300:
        raise _failed(f"answered with status {status}")


async def _posted(webhook: WebhooksConfig, url: httpx2.URL, event: KeptEvent) -> int:
    tls = url.scheme == "https"
    port = url.port or (443 if tls else 80)
    address = await resolved(url.host, port, private=webhook.allow_private)
    body, timestamp = body_of(event), str(now_us() // 1_000_000)
    headers = {
        "host": url.netloc.decode("ascii"),
        "user-agent": f"chatvault/{__version__}",
        "content-type": "application/json",
        "x-chatvault-event-id": event.id,
        "x-chatvault-timestamp": timestamp,
        "x-chatvault-signature": signature(webhook.secret or "", timestamp, body),
    }
    client = await asyncio.to_thread(_client, tls)
    target = url.copy_with(host=address)
    # The certificate is checked against the name, while the connection goes to the address.
    extensions = {"sni_hostname": url.raw_host.decode("ascii")}
    async with (
        client,
        client.stream("POST", target, content=body, headers=headers, extensions=extensions) as answer,
    ):
        return answer.status_code


def _client(tls: bool) -> httpx2.AsyncClient:
    """Made in a thread, since it reads certificates."""
    return httpx2.AsyncClient(
        verify=ssl.create_default_context() if tls else False,
        timeout=TIMEOUT,
        trust_env=False,  # the environment is read once, with the configuration
        follow_redirects=False,
    )


def _failed(what: str) -> OperatorError:
    return OperatorError(f"The webhook {what}.", code="webhook_failed")
