"""`chatvault usage`: what was used, and what it cost."""

import json
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.table import columns, number, plain, price


def usage(
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="A,B",
            help="model, provider, token, day, or also resolved, project, user, endpoint, state, hour.",
        ),
    ] = "model",
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="24h, 7d, or a time (default: ever).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="As --since (default: now).")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only calls to this model.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Only calls to this provider.")] = None,
    token: Annotated[
        str | None, typer.Option("--token", metavar="ID", help="Only calls with this token.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show calls, tokens and exact costs in groups, the most expensive first.

    A cost that is not known is never counted as nothing: it is said how many calls have one, and the most they may
    have cost.

    \b
    Examples:
      chatvault usage
      chatvault usage --by token,model --since 7d
      chatvault usage --by day --provider openai --json
    """
    asked = {
        "group_by": by,
        "since": since,
        "until": until,
        "model": model,
        "provider": provider,
        "token": token,
        "limit": "10000",
    }
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    found = control(data_dir).request("GET", f"/usage/summary?{query}")["data"]
    if as_json:
        typer.echo(json.dumps(found))
        return
    names = [name.strip() for name in by.split(",") if name.strip()]
    head = [*(name.upper() for name in names), "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "COST"]
    rows = [[*(_name(group.get(name)) for name in names), *_figures(group)] for group in found]
    total = ["total", *[""] * (len(names) - 1), *_figures(_total(found))] if names else []
    count = len(names)
    typer.echo(columns([head, *rows, total], right=range(count, count + 6)))
    _unknown(found)


def _name(value: object) -> str:
    return "-" if value is None else plain(value)


_COUNTS = ("calls", "failed", "input_tokens", "cached_tokens", "output_tokens")


def _figures(group: dict[str, Any]) -> list[str]:
    return [*(number(group[name]) for name in _COUNTS), price(group["cost"])]


def _total(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Exact: the sums are those of integers."""
    from chatvault.core.money import dollars

    known = [group["cost_pico"] for group in groups if group["cost_pico"] is not None]
    cost = dollars(sum(known)) if known or not groups else None
    return {**{name: sum(group[name] for group in groups) for name in _COUNTS}, "cost": cost}


def _unknown(groups: list[dict[str, Any]]) -> None:
    from chatvault.core.money import dollars

    unpriced = sum(group["unpriced"] for group in groups)
    if not unpriced:
        return
    unbounded = sum(group["unbounded"] for group in groups)
    bound = dollars(sum(group["bound_pico"] for group in groups))
    most = f"; at most ${bound}" + (f" for {unpriced - unbounded:,} of them" if unbounded else "")
    calls = "1 call" if unpriced == 1 else f"{unpriced:,} calls"
    typer.echo(f"\nNot in these costs: {calls} whose cost is unknown{most if unbounded < unpriced else ''}.")
