"""Providers that need no configuration: what the environment says is there."""

import re
from collections.abc import Mapping

from chatvault.config.schema import ProviderConfig
from chatvault.providers import bedrock, vertex
from chatvault.providers.faces import root_of
from chatvault.providers.ollama import ollama_url
from chatvault.providers.row import ProviderRow
from chatvault.providers.rows import ROWS

_HOLE = re.compile(r"\{([A-Z0-9_]+)\}")


def discover(environ: Mapping[str, str]) -> dict[str, ProviderConfig]:
    """By name: the providers whose key (or, for a server of one's own, whose base URL) is in the
    environment."""
    return {name: config for name, row in ROWS.items() if (config := _found(row, environ)) is not None}


def key_of(row: ProviderRow, name: str, environ: Mapping[str, str]) -> str | None:
    """The credential that the environment holds for a provider; for one without a row of its own
    `<NAME>_API_KEY`."""
    return _first(key_variables(row, name), environ)


def bearer_of(row: ProviderRow, environ: Mapping[str, str]) -> str | None:
    """The token that the environment holds in place of a key."""
    return _first(row.bearer_env, environ)


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
    if row.address is None or missing(row, environ):
        return None
    return _HOLE.sub(lambda hole: environ[hole[1]].strip(), row.address)


def needs_key(row: ProviderRow, url: str | None) -> bool:
    """Whether a provider at that address asks for a credential; at an address of the operator's own (a proxy,
    a stand-in) it may not."""
    return row.key_required and (url is None or row.root is None or root_of(row, url) == row.root)


def missing(row: ProviderRow, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that a row's base URL needs and the environment does not hold."""
    return tuple(hole for hole in _HOLE.findall(row.address or "") if not environ.get(hole, "").strip())


def _found(row: ProviderRow, environ: Mapping[str, str]) -> ProviderConfig | None:
    if not row.base_url_env:
        return None
    if row.name == vertex.KIND:
        return vertex.found(environ)
    if row.name == bedrock.KIND:
        return bedrock.found(environ)
    said = bool(environ.get(row.base_url_env, "").strip())
    key = key_of(row, row.name, environ)
    url = base_url_of(row, row.name, environ)
    signed = key is not None or bearer_of(row, environ) is not None
    # A key alone does not say that a server of one's own runs; a URL alone says enough where no key is asked.
    if url is None or not ((said or not row.local) if signed else (said and not needs_key(row, url))):
        return None
    return ProviderConfig(kind=row.name, base_url=url, api_key=key)


def _first(variables: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    return next(filter(None, (environ.get(variable, "").strip() for variable in variables)), None)


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
