"""`chatvault limits`: how full the windows of limits are."""

import json
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.table import columns, plain


def limits(
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="SCOPE", help="token, user, project, model or address.")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="ID", help="Whose: an id, PROJECT/USER, a model, an address."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how full the windows of limits are now, the fullest first.

    \b
    Examples:
      chatvault limits
      chatvault limits --scope token --subject tok_0123456789abcdef0123
    """
    asked = {name: value for name, value in (("scope", scope), ("subject", subject)) if value is not None}
    path = "/manage/limits" + (f"?{urlencode(asked)}" if asked else "")
    found = control(data_dir).request("GET", path)
    if as_json:
        typer.echo(json.dumps(found))
        return
    head = ["FOR", "LIMIT", "MOST", "USED", "LEFT", "FREES IN", "RESET IN", "RUNNING", "KIND"]
    typer.echo(columns([head, *map(_row, found["data"])], right=(2, 3, 4, 5, 6, 7)))
    if found["more"]:
        typer.echo(f"And at least {found['more']} more: name a --scope or a --subject.")
    if found["missing_workers"]:
        numbers = ", ".join(map(str, found["missing_workers"]))
        typer.echo(f"Not counted, since it did not answer: worker {numbers}.")


def _row(one: dict[str, Any]) -> list[str]:
    return [
        plain(f"{one['scope']} {one['subject']}"),
        one["limit"],
        str(one["most"]),
        str(one["used"]),
        str(one["left"]),
        _seconds(one["frees_in"]),
        _seconds(one["reset_in"]),
        str(one["running"]),
        "shadow" if one["shadow"] else "holds",
    ]


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value else "-"
