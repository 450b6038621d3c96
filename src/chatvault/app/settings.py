"""The configuration of a gateway that is to run: read, joined by the providers it runs itself, and resolved."""

from pathlib import Path

import msgspec

from chatvault.app.options import ServeOptions
from chatvault.config.env import environment
from chatvault.config.load import load
from chatvault.config.schema import Config, ModelConfig, ProviderConfig
from chatvault.config.snapshot import Snapshot
from chatvault.pricing.book import PriceBook
from chatvault.providers.longtail import with_tails
from chatvault.providers.resolve import resolve

TINY_MODEL = "smollm2"
TAIL = "litellm:"
"""What stands before a provider's name, of those that LiteLLM's processes serve."""


def read_config(options: ServeOptions, working_dir: Path) -> tuple[Config, dict[str, str]]:
    """The configuration and the environment it was read with. Raises OperatorError."""
    environ = environment(working_dir)
    return load(
        Path(options.config_file) if options.config_file else None, environ, options.overrides
    ), environ


def resolve_config(config: Config, environ: dict[str, str], *, ollama: bool, own: dict[str, str]) -> Snapshot:
    """`own` are the base URLs of the providers that the gateway runs itself, by kind: `fake`, `tiny`, and those of kind
    `litellm` by `litellm:NAME`. Raises OperatorError."""
    config = with_tails(
        config,
        {name.removeprefix(TAIL): url for name, url in own.items() if name.startswith(TAIL)},
    )
    providers, models = dict(config.providers), dict(config.models)
    if "fake" in own:
        providers.setdefault("fake", ProviderConfig(kind="fake"))
    if "tiny" in own:
        providers.setdefault("tiny", ProviderConfig(kind="llamacpp", base_url=own["tiny"]))
        models.setdefault(f"tiny/{TINY_MODEL}", ModelConfig(provider="tiny", model=TINY_MODEL))
    config = msgspec.structs.replace(config, providers=providers, models=models)
    return resolve(config, environ, ollama, own.get("fake"), models=PriceBook().models)


def example_model(snapshot: Snapshot) -> str:
    """A model that a newcomer can try at once."""
    if snapshot.models:
        return next(iter(snapshot.models))
    for provider in snapshot.providers:
        names = snapshot.known.get(provider, ())
        cheap = [name for name in names if "mini" in name or "flash" in name or "small" in name]
        for name in (*cheap, *names):
            return f"{provider}/{name}"
    return f"{next(iter(snapshot.providers))}/MODEL"
