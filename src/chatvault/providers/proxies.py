"""Which proxy a provider is reached through: its own, else the one the environment names, with the exceptions
it names."""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_PROXY = re.compile(r"(http://)?([^\s/@]+@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")


def proxy_for(said: str | None, base_url: str, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The proxy (`http://host:port`; None: straight), and what is wrong with it. `said` is the provider's
    own; an empty one means none, whatever the environment says."""
    if said is not None:
        return (said, None) if not said or _PROXY.fullmatch(said) else (None, "proxy: write http://host:port")
    parts = urlsplit(base_url)
    variable = f"{parts.scheme.upper()}_PROXY"
    proxy = (
        environ.get(variable, environ.get(variable.lower(), "")).strip()
        if parts.scheme in ("http", "https")
        else ""
    )
    if not proxy or not parts.hostname or _excepted(parts.hostname, environ):
        return None, None
    if not _PROXY.fullmatch(proxy):
        return None, f"proxy: {variable} in the environment is no http://host:port; correct it, or set proxy"
    return proxy, None


def _excepted(host: str, environ: Mapping[str, str]) -> bool:
    """Loopback always is; others by NO_PROXY: names, domains (with or without a dot before them), addresses,
    networks, `*`."""
    if host == "localhost" or _within(host, "127.0.0.0/8") or _within(host, "::1/128"):
        return True
    for entry in environ.get("NO_PROXY", environ.get("no_proxy", "")).split(","):
        name = entry.strip().lower().partition(":")[0] if entry.count(":") == 1 else entry.strip().lower()
        domain = name.removeprefix("*").removeprefix(".")
        if name == "*" or (domain and (host == domain or host.endswith(f".{domain}"))) or _within(host, name):
            return True
    return False


def _within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
