"""`chatvault models`: the models that can be called, what they can do, and what they cost."""

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chatvault.cli.config import File, read
from chatvault.cli.place import AsJson
from chatvault.cli.table import columns, number, plain
from chatvault.core.clock import now_us
from chatvault.core.errors import NotFound
from chatvault.core.money import dollars

if TYPE_CHECKING:
    from chatvault.config.snapshot import ProviderSnapshot, Snapshot
    from chatvault.pricing.book import PriceBook
    from chatvault.pricing.facts import Facts
    from chatvault.pricing.price import Price
    from chatvault.routing.targets import Target

_MILLION = 1_000_000
_HEAD = ["MODEL", "PROVIDER", "CONTEXT", "OUTPUT", "IN $/M", "OUT $/M", "CAPABILITIES"]


def models(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="[PATTERN]", help="Only names like this: gpt-*, anthropic/*, sonnet."),
    ] = None,
    config: File = None,
    as_json: AsJson = False,
) -> None:
    """Show the models that are known by name: how much they take in and say, what they can do, what they cost. Others
    of a provider can be called, too, as provider/model. A pattern without a * is looked for anywhere in a name.

    Nothing is asked of a gateway or a provider; what is shown comes with chatvault, and from the configuration. A ? is
    not known.

    \b
    Examples:
      chatvault models
      chatvault models 'anthropic/*'
      chatvault models sonnet --json | jq '.models[].output'
    """
    from chatvault.pricing.book import PriceBook

    _, _, snapshot = read(config)
    book = PriceBook(snapshot.prices, models=snapshot.models)
    found = [_Shown(name, target, snapshot, book) for name, target in _named(snapshot, pattern)]
    if not found:
        raise NotFound(
            f"No model is known by a name like {pattern!r}." if pattern else "No model is known by name.",
            code="model_not_found",
        )
    if as_json:
        sources = [book.source, *book.fact_sources]
        typer.echo(json.dumps({"sources": sources, "models": [one.values() for one in found]}))
        return
    typer.echo(columns([_HEAD, *(one.row() for one in found)], right=range(2, 6)))


def _named(snapshot: "Snapshot", pattern: str | None) -> "list[tuple[str, Target]]":
    from chatvault.routing.targets import Directory

    routes = {name: (one.provider, one.model or name) for name, one in snapshot.models.items()}
    directory = Directory(routes, snapshot.known, snapshot.providers, snapshot.default_provider)
    wanted = (pattern or "*").lower()
    wanted = wanted if "*" in wanted else f"*{wanted}*"
    names = [name for name, _ in directory.names(lambda name: fnmatchcase(name.lower(), wanted))]
    targets = [(name, directory.find(name)) for name in names]
    return [(name, target) for name, target in targets if target is not None]


class _Shown:
    """A model as it is shown."""

    def __init__(self, name: str, target: "Target", snapshot: "Snapshot", book: "PriceBook") -> None:
        provider: ProviderSnapshot = snapshot.providers[target.provider]
        model = target.model or ""
        self.name = name
        self.target = target
        self.free = provider.free
        self.facts: Facts = book.facts(provider.price_id, model, provider.name)
        self.price: Price | None = book.price(provider.price_id, model, provider.name, now_us())

    def row(self) -> list[str]:
        return [
            plain(self.name),
            plain(self.target.provider),
            number(self.facts.context),
            number(self.facts.output),
            self._rate("input") or "?",
            self._rate("output") or "?",
            ", ".join(self._capabilities()),
        ]

    def values(self) -> dict[str, Any]:
        import msgspec

        facts = {field: getattr(self.facts, field) for field in type(self.facts).__struct_fields__}
        prices = self.price.rates if self.price is not None else {}
        return {
            "model": self.name,
            "provider": self.target.provider,
            "target": self.target.model,
            **msgspec.to_builtins(facts),
            "capabilities": self._capabilities(),
            "free": self.free,
            "prices": {field: self._rate(field) for field in prices},
        }

    def _rate(self, field: str) -> str | None:
        """Dollars a million; for a fee, dollars each."""
        if self.free:
            return "0.00"
        if self.price is None or field not in self.price.rates:
            return None
        rate = self.price.rates[field]
        return dollars(rate if field in ("request", "searches") else rate * _MILLION)

    def _capabilities(self) -> list[str]:
        facts = self.facts
        seen = [name for name in facts.inputs or () if name != "text"]
        made = [f"{name} out" for name in facts.outputs or () if name != "text"]
        can = {"tools": facts.tools, "reasoning": facts.reasoning, "structured": facts.structured_output}
        kind = [facts.kind] if facts.kind not in (None, "chat") else []
        return [*kind, *seen, *made, *(name for name, value in can.items() if value)]
