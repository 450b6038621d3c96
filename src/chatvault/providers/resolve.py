"""From a configuration and an environment to the snapshot that workers run on, or to everything that is wrong
with them."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from chatvault.config.schema import Config, PriceConfig, ProviderConfig
from chatvault.config.snapshot import LentToken, ProviderSnapshot, Snapshot
from chatvault.core.errors import OperatorError
from chatvault.core.money import pico
from chatvault.providers import bedrock, vertex
from chatvault.providers.account import merged
from chatvault.providers.discover import discover
from chatvault.providers.google_account import GoogleAccount
from chatvault.providers.loops import loops
from chatvault.providers.proxies import proxy_for
from chatvault.providers.row import ProviderRow
from chatvault.providers.rows import FAKE, ROWS

FAKE_RATES = {"input": 1_000_000, "cached": 250_000, "output": 4_000_000}
"""What the simulated provider's models cost, in pico-dollars a token (1 $ and 4 $ a million): made up, so
that costs show."""

_MILLION = 1_000_000


def _no_models(price_id: str | None) -> Sequence[str]:
    return ()


def fake_wanted(config: Config, environ: Mapping[str, str], ollama: bool) -> bool:
    """Whether the simulated provider has to run: asked for, or nothing else is there."""
    if any(_kind(name, said) == FAKE and said.base_url is None for name, said in config.providers.items()):
        return True
    return not (config.providers or ollama or discover(environ))


def resolve(
    config: Config,
    environ: Mapping[str, str],
    ollama: bool,
    fake_url: str | None,
    *,
    version: int = 1,
    models: Callable[[str | None], Sequence[str]] = _no_models,
) -> Snapshot:
    """The snapshot. Raises OperatorError with a line for each problem.

    `ollama` says whether one answers where `ollama_url` points; `fake_url` is where the simulated provider
    listens, if it runs (it is used only where it is wanted); `models` says which models the price book knows
    of a provider, by its id there.
    """
    problems: list[str] = []
    accounts = _accounts(config, environ, ollama, fake_url)
    providers = {}
    for name, account in accounts.items():
        found = _provider(name, account, config, environ)
        if isinstance(found, ProviderSnapshot):
            providers[name] = found
        else:
            problems += [f"providers.{name}: {problem}" for problem in found]
    for name, model in config.models.items():
        if model.provider not in accounts:
            problems.append(
                f"models.{name}.provider: no provider {model.provider!r}{_nearest(model.provider, accounts)}"
            )
    if config.default_provider is not None and config.default_provider not in accounts:
        nearest = _nearest(config.default_provider, accounts)
        problems.append(f"default_provider: no provider {config.default_provider!r}{nearest}")
    prices = _prices(config, accounts, problems)
    if problems:
        raise OperatorError("\n".join(problems), code="bad_config")
    return Snapshot(
        version=version,
        server=config.server,
        audit=config.audit,
        limits=config.limits,
        tokens=config.tokens,
        providers=providers,
        models=config.models,
        known={
            name: known
            for name, provider in providers.items()
            if (known := _known(ROWS[provider.kind], models))
        },
        default_provider=config.default_provider or _default(providers),
        prices=prices,
    )


def _provider(
    name: str, account: ProviderConfig, config: Config, environ: Mapping[str, str]
) -> ProviderSnapshot | list[str]:
    """The account as calls are sent to it, or a line for each problem."""
    row = ROWS.get(account.kind)
    if row is None:
        return [f"kind: there is no kind {account.kind!r}{_nearest(account.kind, ROWS)}"]
    found = merged(name, account, row, environ)
    if isinstance(found, ProviderSnapshot):
        return loops(found, row, config.server, environ) or found
    return found


def google_accounts(
    config: Config, environ: Mapping[str, str], snapshot: Snapshot
) -> dict[str, GoogleAccount]:
    """By provider: what control gets the tokens of the snapshot's providers with. Raises OperatorError where it cannot
    be read any more."""
    accounts = _accounts(config, environ, False, None)
    found = {}
    for name, provider in snapshot.providers.items():
        if not isinstance(provider.signing, LentToken):
            continue
        placed = vertex.placed(accounts[name], environ)
        if placed.google is None:
            raise OperatorError(
                "\n".join(f"providers.{name}: {problem}" for problem in placed.problems), code="bad_config"
            )
        proxy, _ = proxy_for(accounts[name].proxy, placed.google.token_url, environ)
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        found[name] = msgspec.structs.replace(placed.google, proxy=proxy or None)
    return found


def _accounts(
    config: Config, environ: Mapping[str, str], ollama: bool, fake_url: str | None
) -> dict[str, ProviderConfig]:
    """What the configuration says, then what else was found: who comes first answers for a model that several
    have."""
    accounts = {
        name: msgspec.structs.replace(said, kind=_kind(name, said)) for name, said in config.providers.items()
    }
    accounts |= {name: found for name, found in discover(environ).items() if name not in accounts}
    if ollama and "ollama" not in accounts:
        accounts["ollama"] = ProviderConfig(kind="ollama")
    if fake_wanted(config, environ, ollama) and fake_url is not None:
        accounts.setdefault(FAKE, ProviderConfig(kind=FAKE))
        for name, account in accounts.items():
            if account.kind == FAKE and account.base_url is None:
                accounts[name] = msgspec.structs.replace(account, base_url=fake_url)
    return accounts


def _kind(name: str, said: ProviderConfig) -> str:
    """A provider that is called as a row is of that kind without saying so."""
    return name if said.kind == "openai-compatible" and name in ROWS else said.kind


def _known(row: ProviderRow, models: Callable[[str | None], Sequence[str]]) -> tuple[str, ...]:
    if row.name == bedrock.KIND:
        return bedrock.listed(models(row.price_id))
    return row.models or (() if row.deployed else tuple(models(row.price_id)))


def _default(providers: Mapping[str, ProviderSnapshot]) -> str | None:
    """Where a call goes that names nothing: the only provider there is, else `openai` if there is one. Never
    the simulated one, which must not answer for a real model's name; it can only be configured."""
    real = [name for name, provider in providers.items() if provider.kind != FAKE]
    if len(real) == 1:
        return real[0]
    return "openai" if "openai" in real else None


def _prices(config: Config, accounts: Mapping[str, object], problems: list[str]) -> dict[str, dict[str, int]]:
    prices = {
        f"{name}/*": FAKE_RATES for name, account in accounts.items() if getattr(account, "kind", "") == FAKE
    }
    for name, said in config.prices.items():
        provider, slash, model = name.partition("/")
        if not slash or not model:
            problems.append(f"prices.{name}: write provider/model, or provider/* for all of its models")
        elif provider not in accounts:
            problems.append(f"prices.{name}: no provider {provider!r}{_nearest(provider, accounts)}")
        try:
            prices[name] = rates(said)
        except ValueError as error:
            problems.append(f"prices.{name}.{error}")
    return prices


def rates(said: PriceConfig) -> dict[str, int]:
    """Pico-dollars a unit by usage field, and `request`. Raises ValueError that begins with the field at
    fault."""
    found: dict[str, int] = {}
    for field in PriceConfig.__struct_fields__:
        text: str | None = getattr(said, field)
        if text is None:
            continue
        try:
            amount, rest = (pico(text), 0) if field == "request" else divmod(pico(Decimal(text)), _MILLION)
        except (ValueError, ArithmeticError):
            raise ValueError(
                f"{field}: {text!r} is not an amount of dollars that pico-dollars can say"
            ) from None
        if rest or amount < 0:
            raise ValueError(
                f"{field}: {text!r} must be 0 or more, and a whole number of pico-dollars (10^-12 $) a unit"
            )
        found[field] = amount
    if "request" in found:
        return {"input": 0, "output": 0} | found
    if "input" not in found:
        raise ValueError("input: needed (0 where it is free)")
    return found


def _nearest(name: str, names: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    return f"; there are {', '.join(sorted(names))}" if names else ""
