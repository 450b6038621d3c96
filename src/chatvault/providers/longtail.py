"""Providers that are reached through the LiteLLM library: each has a process of its own, which the gateway starts."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from chatvault.config.schema import Config, ProviderConfig

KIND: Final = "litellm"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def tails(config: Config) -> dict[str, ProviderConfig]:
    """By name: the providers that a process has to be started for."""
    return {
        name: said
        for name, said in config.providers.items()
        if said.base_url is None
        and (said.kind == KIND or (name == KIND and said.kind == "openai-compatible"))
    }


def with_tails(config: Config, urls: Mapping[str, str]) -> Config:
    """The configuration, with where these processes listen."""
    providers = dict(config.providers)
    for name, said in tails(config).items():
        if name in urls:
            providers[name] = msgspec.structs.replace(said, kind=KIND, base_url=urls[name])
    return msgspec.structs.replace(config, providers=providers)


def problems(account: ProviderConfig) -> list[str]:
    """What is wrong with an account's `env`."""
    if account.kind != KIND:
        return ["env: only `kind: litellm` has one"] if account.env else []
    return [f"env.{name}: no name of a variable" for name in account.env if not _VARIABLE.fullmatch(name)]
