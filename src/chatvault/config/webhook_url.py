"""The address of a webhook: what it may be, and what of it may be shown."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from chatvault.config.schema import WebhooksConfig

_SHORTEST: Final = 16


def problems_of(webhooks: WebhooksConfig) -> Iterator[str]:
    """What is wrong with it. The texts repeat nothing that may be a secret."""
    if webhooks.url is None:
        return
    if shown(webhooks.url) is None:
        yield "webhooks.url: expected https://host/path, without user, password or fragment"
    elif not webhooks.url.startswith("https://") and not webhooks.allow_private:
        yield "webhooks.url: expected https; plain http needs webhooks.allow_private: true"
    if len(webhooks.secret or "") < _SHORTEST:
        yield (
            f"webhooks.secret: needed beside webhooks.url, {_SHORTEST} characters or more; "
            "make one with `openssl rand -hex 32`"
        )


def shown(url: str) -> str | None:
    """Scheme, host and port; None for what is no such address. The rest may be a secret, as it is with many chats."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    odd = parts.username is not None or parts.password is not None or "#" in url or not url.isprintable()
    if parts.scheme not in ("http", "https") or not parts.hostname or odd or " " in url:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
