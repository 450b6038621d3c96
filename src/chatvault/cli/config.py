"""`chatvault config`: what the gateway would run on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chatvault.cli.place import AsJson
from chatvault.cli.table import columns
from chatvault.core.errors import OperatorError

if TYPE_CHECKING:
    from chatvault.config.schema import Config, LimitsConfig
    from chatvault.config.snapshot import ProviderSnapshot, Snapshot

app = typer.Typer(
    name="config",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Check and show the configuration, without starting anything; import another gateway's.

    It comes from config.yaml and .env (both optional) and the environment; docs/configuration.md explains every
    setting.
    """,
)
imports = typer.Typer(
    name="import",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Make a config.yaml of another gateway's configuration. Nothing is written but to standard output.""",
)
app.add_typer(imports, name="import", short_help="Make a config.yaml of another gateway's.")
File = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The file (default: CHATVAULT_CONFIG, else ./config.yaml if there is one).",
    ),
]
_OURS = "unix:/simulated:/v1"


@app.command("check")
def check(config: File = None, as_json: AsJson = False) -> None:
    """Check the configuration; show which providers and models were found. Exit status 2 if something is wrong, and
    then every problem with its file and line.

    \b
    Examples:
      chatvault config check
      chatvault config check --config /etc/chatvault/config.yaml --json
    """
    try:
        file, _, snapshot = read(config)
    except OperatorError as error:
        if not as_json:
            raise
        typer.echo(json.dumps({"ok": False, "problems": error.message.splitlines()}))
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps({"ok": True, "file": file, **_found(snapshot)}))
        return
    typer.echo(f"{file} is sound.\n" if file else "There is no config.yaml, and none is needed.\n")
    typer.echo("Providers\n" + columns([["", *_row(one, snapshot)] for one in snapshot.providers.values()]))
    if snapshot.models:
        routes = [
            ["", name, f"-> {one.provider}/{one.model or name}"] for name, one in snapshot.models.items()
        ]
        typer.echo("\nModels\n" + columns(routes))
    typer.echo("\nEvery model can also be called as provider/model.")
    if snapshot.default_provider:
        typer.echo(f"A call that names no provider goes to {snapshot.default_provider}.")


@app.command("show")
def show(config: File = None, as_json: AsJson = False) -> None:
    """Show all settings as they would hold, wherever they come from; secrets as ***.

    \b
    Examples:
      chatvault config show
      chatvault config show --json | jq .server.port
    """
    import msgspec
    import yaml

    file, settings, snapshot = read(config)
    view: dict[str, Any] = {"file": file}
    for name in ("data_dir", "log_level", "server", "budgets", "audit", "secrets"):
        view[name] = _whole(getattr(settings, name))
    view["webhooks"] = _webhooks(settings)
    view["secrets"]["master_key_command"][1:] = ["***" for _ in settings.secrets.master_key_command[1:]]
    view["limits"] = _limits(settings.limits)
    view |= {"providers": {name: _provider(one) for name, one in snapshot.providers.items()}}
    view |= {
        "models": {
            name: {"provider": one.provider, "model": one.model or name}
            for name, one in snapshot.models.items()
        }
    }
    view |= {"default_provider": snapshot.default_provider}
    view |= {"prices": {name: msgspec.to_builtins(one) for name, one in settings.prices.items()}}
    typer.echo(
        json.dumps(view) if as_json else yaml.safe_dump(view, sort_keys=False, allow_unicode=True).rstrip()
    )


@imports.command("litellm")
def litellm(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The config.yaml of the LiteLLM proxy.")],
) -> None:
    """Print what the LiteLLM proxy's config.yaml says as a config.yaml of ChatVault's: providers, models, prices and
    settings. What it cannot carry over is said on standard error, each by its path, and in comments. Keys that stand in
    the file are printed as they are; those of the environment stay there.

    \b
    Examples:
      chatvault config import litellm litellm.yaml > config.yaml
      chatvault config check
    """
    from chatvault.config.litellm_import import import_litellm

    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file} cannot be read: {error}", code="bad_config") from None
    found = import_litellm(text, file.name)
    typer.echo(found.text, nl=False)
    if found.left:
        typer.echo("Not carried over:", err=True)
        for line in found.left:
            typer.echo(f"  {line}", err=True)
    else:
        typer.echo("All of it was carried over.", err=True)


def read(file: Path | None) -> "tuple[str | None, Config, Snapshot]":
    """The name of the file, the settings, and what they and the environment come to. Raises OperatorError."""
    from chatvault.config.env import environment
    from chatvault.config.load import find, load
    from chatvault.pricing.book import PriceBook
    from chatvault.providers.longtail import tails, with_tails
    from chatvault.providers.ollama import ollama_answers, ollama_url
    from chatvault.providers.resolve import resolve

    environ = environment(Path.cwd())
    found = find(file, environ)
    settings = load(file, environ, {})
    ollama = ollama_answers(ollama_url(environ))
    placed = with_tails(settings, dict.fromkeys(tails(settings), _OURS))
    snapshot = resolve(placed, environ, ollama, _OURS, models=PriceBook().models)
    return (None if found is None else str(found)), settings, snapshot


def _found(snapshot: "Snapshot") -> dict[str, Any]:
    return {
        "providers": [
            {"name": name, **_provider(one), "known_models": len(snapshot.known.get(name, ()))}
            for name, one in snapshot.providers.items()
        ],
        "models": {name: f"{one.provider}/{one.model or name}" for name, one in snapshot.models.items()},
        "default_provider": snapshot.default_provider,
    }


def _row(provider: "ProviderSnapshot", snapshot: "Snapshot") -> list[str]:
    known = snapshot.known.get(provider.name, ())
    names = f"{len(known)} models known, {known[0]} for one" if known else "any model"
    return [
        provider.name,
        provider.kind,
        _where(provider),
        _credentials(provider),
        names,
    ]


def _limits(limits: "LimitsConfig") -> dict[str, Any]:
    view: dict[str, Any] = _whole(limits)
    if limits.store is not None:
        scheme, _, rest = limits.store.partition(":")
        view["store"] = f"{scheme}://***@{rest.rpartition('@')[2]}" if "@" in rest else limits.store
    return view


def _provider(provider: "ProviderSnapshot") -> dict[str, Any]:
    view = {
        "kind": provider.kind,
        "base_url": _where(provider),
        "headers": dict.fromkeys(provider.headers, "***"),
        "faces": {family: _address(face.base_url) for family, face in provider.faces.items()},
        "dialects": list(provider.dialects),
    }
    if provider.query:
        view["query"] = provider.query
    if provider.proxy:
        scheme, _, rest = provider.proxy.partition("://")
        view["proxy"] = f"{scheme}://{rest.rpartition('@')[2]}"
    return {
        **view,
        "vault_only": provider.vault_only,
        "ca_file": provider.ca_file,
        "stream_usage": provider.stream_usage,
        "timeouts": _whole(provider.timeouts),
    }


def _webhooks(settings: "Config") -> dict[str, Any]:
    from chatvault.config.webhook_url import shown

    webhooks = settings.webhooks
    return {
        "url": None if webhooks.url is None else f"{shown(webhooks.url)}/***",
        "secret": None if webhooks.secret is None else "***",
        "allow_private": webhooks.allow_private,
    }


def _credentials(provider: "ProviderSnapshot") -> str:
    if provider.vault_only:
        return "keys of the vault"
    return "with credentials" if provider.headers else "no credentials"


def _where(provider: "ProviderSnapshot") -> str:
    return _address(provider.base_url)


def _address(base_url: str) -> str:
    return "started with the gateway" if base_url == _OURS else base_url


def _whole(value: Any) -> Any:
    """A section with all of its settings, those that have their defaults too."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        return {name: _whole(getattr(value, name)) for name in value.__struct_fields__}
    return list(value) if isinstance(value, tuple) else value
