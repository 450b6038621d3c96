"""Our `config.yaml`, written for people: the settings of an imported configuration, in order, with comments."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_PLAIN: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*")
_HOLE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[A-Za-z0-9_./:-]*)?\}")
_PLACED: Final = (
    "project", "location", "credentials_file", "credentials",
    "region", "access_key_id", "secret_access_key", "session_token",
)  # fmt: skip
_NULLS: Final = ("null", "~")
_ESCAPES: Final = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t"}


class Account(msgspec.Struct, frozen=True):
    """A provider account, its values as the file says them."""

    kind: str
    base_url: str | None = None
    api_key: str | None = None
    api_version: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    first_byte: str | None = None
    project: str | None = None
    location: str | None = None
    credentials_file: str | None = None
    credentials: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


class Ours(msgspec.Struct):
    """What was found for the file."""

    accounts: dict[str, Account] = {}
    models: dict[str, tuple[str, str]] = {}
    """By public name: the account, and the model there."""
    prices: dict[str, dict[str, str]] = {}
    """By `account/model`."""
    default_provider: str | None = None
    max_body: str | None = None
    bodies: bool = False
    debug: bool = False


def written(ours: Ours, source: str, left: tuple[str, ...]) -> str:
    """The file's text."""
    lines = [
        f"## Made from {source if source.isprintable() else repr(source)} by `chatvault config import litellm`.",
        "## Check it without starting: chatvault config check --config FILE",
    ]
    if left:
        lines += ["##", "## Not carried over:", *(f"##   {line}" for line in left)]
    return "\n".join([*lines, *_settings(ours)]) + "\n"


def _settings(ours: Ours) -> Iterator[str]:
    if ours.debug:
        yield from ("", "log_level: debug")
    if ours.default_provider is not None:
        yield from ("", "## Where a model's name goes that stands nowhere below.")
        yield f"default_provider: {scalar(ours.default_provider)}"
    if ours.max_body is not None:
        yield from ("", "server:", f"  max_body: {ours.max_body}")
    if ours.bodies:
        yield from ("", "audit:", "  ## What was asked and answered is kept, where it can be erased.")
        yield "  bodies: full"
    if ours.accounts:
        yield from ("", "providers:")
        for name, account in ours.accounts.items():
            yield from _account(name, account)
    if ours.models:
        yield from ("", "## `provider/model` is always there beside these.", "models:")
        for public, (provider, model) in ours.models.items():
            there = f", model: {scalar(model)}" if model != public else ""
            yield f"  {scalar(public)}: {{provider: {scalar(provider)}{there}}}"
    if ours.prices:
        yield from ("", "## US dollars for a million tokens, over those of the price book.", "prices:")
        for target, price in ours.prices.items():
            rates = ", ".join(f"{field}: {amount}" for field, amount in price.items())
            yield f"  {scalar(target)}: {{{rates}}}"


def _account(name: str, account: Account) -> Iterator[str]:
    yield f"  {scalar(name)}:"
    if name != account.kind:
        yield f"    kind: {account.kind}"
    if account.base_url is not None:
        yield f"    base_url: {scalar(account.base_url)}"
    if account.api_key is not None:
        if not _HOLE.fullmatch(account.api_key):
            yield "    ## Better kept in .env, and written as ${NAME} here."
        yield f"    api_key: {scalar(account.api_key)}"
    if account.api_version is not None:
        yield f"    api_version: {scalar(account.api_version)}"
    for setting in _PLACED:
        value = getattr(account, setting)
        if value is not None:
            yield f"    {setting}: {scalar(value)}"
    if account.headers:
        yield "    headers:"
        yield from (f"      {scalar(field)}: {scalar(value)}" for field, value in account.headers)
    if account.first_byte is not None:
        yield f"    timeouts: {{first_byte: {account.first_byte}}}"


def scalar(text: str) -> str:
    """A text as YAML, in quotes where it needs them."""
    if (_PLAIN.fullmatch(text) or _HOLE.fullmatch(text)) and text.lower() not in _NULLS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(sign: str) -> str:
    return _ESCAPES.get(sign) or (sign if sign.isprintable() else f"\\U{ord(sign):08x}")
