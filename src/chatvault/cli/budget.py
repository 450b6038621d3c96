"""`chatvault budget`: what may be spent, by whom, in which time."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from chatvault.cli.pages import everything
from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.table import columns, plain, price

app = typer.Typer(
    name="budget",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Make budgets, see what is left of them, change and end them.

    Each call reserves its worst case before it goes out, and is charged what it cost. So what is spent and what is
    reserved never exceed a hard budget together.
    """,
)
Id = Annotated[str, typer.Argument(help="Its id, bud_...")]


@app.command("create")
def create(
    amount: Annotated[str, typer.Argument(help="Dollars, exact: 12.50")],
    token: Annotated[str | None, typer.Option("--token", metavar="ID", help="For this token.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="For this user.")] = None,
    project: Annotated[
        str | None,
        typer.Option("--project", metavar="ID", help="For this project; with --user: whose user it is."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="PATTERN", help="For models of this name, as gpt-*.")
    ] = None,
    per: Annotated[str, typer.Option("--per", metavar="SPAN", help="day, week, month or total.")] = "total",
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="When a day begins: an IANA name.")
    ] = "UTC",
    soft: Annotated[
        bool, typer.Option("--soft", help="Reserve what such calls have cost before, not the worst case.")
    ] = False,
    allow_unbounded: Annotated[
        bool, typer.Option("--allow-unbounded", help="Also admit calls whose worst case has no bound.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a budget; it holds at once.

    \b
    Examples:
      chatvault budget create 50 --project team --per month --timezone Europe/Zurich
      chatvault budget create 1 --token tok_0123456789abcdef0123
    """
    scopes = {"token": token, "user": user, "model": model, "project": None if user else project}
    named = [(scope, subject) for scope, subject in scopes.items() if subject is not None]
    if len(named) != 1:
        raise typer.BadParameter("name one of --token, --user, --project and --model")
    wanted: dict[str, object] = {
        "scope": named[0][0],
        "subject": named[0][1],
        "amount": amount,
        "per": per,
        "timezone": timezone,
        "hard": not soft,
        "allow_unbounded": allow_unbounded,
    }
    if user and project:
        wanted["project_id"] = project
    _show_one(control(data_dir).request("POST", "/manage/budgets", wanted), as_json)


@app.command("list")
def list_(
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="Only those of this project.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List budgets, and what is left of them.

    \b
    Example:
      chatvault budget list --project team
    """
    found = everything(control(data_dir), "/manage/budgets", {"project_id": project})
    if as_json:
        typer.echo(json.dumps(found))
        return
    head = ["ID", "FOR", "AMOUNT", "SETTLED", "RESERVED", "LEFT", "KIND", "STATE"]
    typer.echo(columns([head, *map(_row, found)], right=(2, 3, 4, 5)))


@app.command("show")
def show(budget: Id, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a budget, and what is left of it.

    \b
    Example:
      chatvault budget show bud_0123456789abcdef0123
    """
    _show_one(control(data_dir).request("GET", _path(budget)), as_json)


@app.command("change")
def change(
    budget: Id,
    amount: Annotated[str | None, typer.Option("--amount", metavar="DOLLARS", help="The new amount.")] = None,
    hard: Annotated[bool | None, typer.Option("--hard/--soft", help="How strict it is.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change a budget, on every worker.

    \b
    Example:
      chatvault budget change bud_0123456789abcdef0123 --amount 80
    """
    wanted = {name: value for name, value in (("amount", amount), ("hard", hard)) if value is not None}
    _show_one(control(data_dir).request("PATCH", _path(budget), wanted), as_json)


@app.command("end")
def end(budget: Id, data_dir: DataDir = None) -> None:
    """End a budget: calls need it no more. It stays on record.

    \b
    Example:
      chatvault budget end bud_0123456789abcdef0123
    """
    control(data_dir).request("DELETE", _path(budget))
    typer.echo(f"Ended {budget}.")


@app.command("reconcile")
def reconcile(
    call: Annotated[str, typer.Argument(help="Its id: the x-request-id of its answer.")],
    cost: Annotated[str, typer.Argument(help="What it really cost, in dollars, exact: 0.0012")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a call really cost whose cost is unknown or estimated: its budgets get back what it had reserved
    beyond that, once. The record of the call stays as it was written.

    \b
    Examples:
      chatvault logs --since 7d --state interrupted
      chatvault budget reconcile 0196f0c1b2a37c4d8e5f60718293a4b5 0.0012
    """
    path = f"/manage/calls/{quote(call, safe='')}/reconcile"
    done = control(data_dir).request("POST", path, {"cost": cost})
    if as_json:
        typer.echo(json.dumps(done))
        return
    if not done["budgets"]:
        typer.echo("It is on record. No budget had to pay for this call.")
        return
    rows = [[one["budget_id"], price(one["charged"]), price(one["returned"])] for one in done["budgets"]]
    typer.echo(columns([["BUDGET", "CHARGED", "RETURNED"], *rows], right=(1, 2)))


def _show_one(one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(one))
        return
    typer.echo(
        columns(
            [
                [name.replace("_", " "), plain("none" if value is None else value)]
                for name, value in one.items()
            ]
        )
    )


def _row(one: dict[str, Any]) -> list[str]:
    per = "" if one["per"] == "total" else f" a {one['per']}"
    return [
        one["budget_id"],
        plain(f"{one['scope']} {one['subject']}"),
        price(one["amount"]) + per,
        price(one["settled"]),
        price(one["reserved"]),
        price(one["left"]),
        "hard" if one["hard"] else "soft",
        "ended" if one["ended_at"] else "holds",
    ]


def _path(budget: str) -> str:
    return f"/manage/budgets/{quote(budget, safe='')}"
