"""`chatvault explain`: what happened to a call and why."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.table import columns, number, plain, price


def explain(
    id: Annotated[str, typer.Argument(metavar="ID", help="The call's x-request-id.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell what happened to a call and why: where it went, how it ended, what it used, how its cost was reckoned, which
    budgets paid; for one that was refused, by which limit or budget, and how that stands now.

    \b
    Examples:
      chatvault explain 0192f0c1a2b37c4d8e9f0a1b2c3d4e5f
      chatvault logs --limit 1 --json | jq -r .id | xargs chatvault explain
    """
    told = control(data_dir).request("GET", f"/manage/explain/{quote(id, safe='')}")
    if as_json:
        typer.echo(json.dumps(told))
        return
    for sentence in told["story"]:
        typer.echo(_safe(sentence))
    if told["cost"]["lines"]:
        typer.echo(
            "\n"
            + columns([["", "UNITS", "$ A UNIT", "$"], *map(_row, told["cost"]["lines"])], right=(1, 2, 3))
        )


def _row(line: dict[str, Any]) -> list[str]:
    return [plain(line["field"]), number(line["units"]), price(line["rate"]), price(line["amount"])]


def _safe(sentence: str) -> str:
    """Whole, since it is what was asked for; without what a terminal would act on."""
    return "".join(sign if sign.isprintable() else "?" for sign in sentence)
