"""Providers that need no configuration: what the environment says is there."""

import re
from collections.abc import Mapping

from chatvault.config.schema import ProviderConfig
from chatvault.providers.ollama import ollama_url
from chatvault.providers.rows import ROWS, ProviderRow

_HOLE = re.compile(r"\{([A-Z0-9_]+)\}")


def discover(environ: Mapping[str, str]) -> dict[str, ProviderConfig]:
    """By name: the providers whose key (or, for a server of one's own, whose base URL) is in the
    environment."""
    return {name: config for name, row in ROWS.items() if (config := _found(row, environ)) is not None}


def key_of(row: ProviderRow, name: str, environ: Mapping[str, str]) -> str | None:
    """The credential that the environment holds for a provider; for one without a row of its own
    `<NAME>_API_KEY`."""
    for variable in key_variables(row, name):
        if key := environ.get(variable, "").strip():
            return key
    return None


def key_variables(row: ProviderRow, name: str) -> tuple[str, ...]:
    return row.key_env or (f"{_upper(name)}_API_KEY",)


def base_url_of(row: ProviderRow, name: str, environ: Mapping[str, str]) -> str | None:
    """The base URL that the environment holds for a provider, else its row's; None where a part of it is
    missing."""
    said = environ.get(row.base_url_env or f"{_upper(name)}_BASE_URL", "").strip()
    if said:
        return said
    if row.name == "ollama":
        return f"{ollama_url(environ)}/v1"
    if row.base_url is None or missing(row, environ):
        return None
    return _HOLE.sub(lambda hole: environ[hole[1]].strip(), row.base_url)


def missing(row: ProviderRow, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that a row's base URL needs and the environment does not hold."""
    return tuple(hole for hole in _HOLE.findall(row.base_url or "") if not environ.get(hole, "").strip())


def _found(row: ProviderRow, environ: Mapping[str, str]) -> ProviderConfig | None:
    if not row.base_url_env:
        return None
    said = bool(environ.get(row.base_url_env, "").strip())
    key = key_of(row, row.name, environ)
    url = base_url_of(row, row.name, environ)
    # A key alone does not say that a server of one's own runs; a URL alone says enough, since it may ask for
    # no key.
    if url is None or not (said or (key is not None and not row.local)):
        return None
    return ProviderConfig(kind=row.name, base_url=url, api_key=key)


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
