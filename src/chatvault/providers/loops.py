"""A provider whose address is the gateway's own: calls to it would go round."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from chatvault.config.schema import ServerConfig
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.providers.row import ProviderRow


def loops(
    provider: ProviderSnapshot, row: ProviderRow, server: ServerConfig, environ: Mapping[str, str]
) -> list[str]:
    """A line if its base URL is where this gateway listens by its settings. A loop through another name or another
    gateway shows when a call comes back (`gateway/hops.py`)."""
    url = urlsplit(provider.base_url)
    listening = ((server.host, server.port), (server.admin_host, server.admin_port))
    if not any(url.port == port and _same(url.hostname or "", host) for host, port in listening):
        return []
    names = (row.base_url_env, "OLLAMA_HOST") if row.name == "ollama" else (row.base_url_env,)
    variables = [name for name in names if environ.get(name)]
    advice = "Say where the provider is."
    if variables:
        advice = (
            f"{variables[0]} says so in the environment, where it is meant for clients: unset it where the gateway "
            f"starts, or set providers.{provider.name}.base_url."
        )
    return [
        f"base_url: {provider.base_url} is this gateway itself, so a call would go round for ever. {advice}"
    ]


def _same(host: str, listening: str) -> bool:
    """Whether a name is that of the address listened at; one that listens everywhere has all of the machine's own."""
    if _everywhere(listening) or _loopback(listening):
        return _loopback(host) or _everywhere(host)
    return host == listening


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _everywhere(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")  # noqa: S104  compared with, not bound
