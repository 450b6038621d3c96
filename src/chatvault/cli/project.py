"""`chatvault project`: who owns tokens, limits and budgets."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from chatvault.cli.limits import HELP, limits, said
from chatvault.cli.pages import everything
from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.table import columns, plain

app = typer.Typer(
    name="project",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Make projects, limit them, switch them off and on.

    A project owns tokens, users, provider keys, limits and budgets. Switched off, its tokens hold nowhere any more.
    """,
)
Name = Annotated[str | None, typer.Option("--name", help="In your own words.")]
Limit = Annotated[list[str] | None, typer.Option("--limit", metavar="N/SPAN", help=HELP)]
Id = Annotated[str, typer.Argument(help="Its id.")]


@app.command("create")
def create(
    project: Id, name: Name = None, limit: Limit = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Make a project.

    \b
    Example:
      chatvault project create team --limit 100/minute --limit concurrent=20
    """
    wanted: dict[str, object] = {"project_id": project}
    if name is not None:
        wanted["name"] = name
    if limit is not None:
        wanted["limits"] = limits(limit)
    show_one(control(data_dir).request("POST", "/manage/projects", wanted), as_json)


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all projects.

    \b
    Example:
      chatvault project list --json | jq -r '.[].project_id'
    """
    found = everything(control(data_dir), "/manage/projects", {})
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = [[one["project_id"], plain(one["name"]), _state(one), said(one["limits"])] for one in found]
    typer.echo(columns([["ID", "NAME", "STATE", "LIMITS"], *rows]))


@app.command("show")
def show(project: Id, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a project.

    \b
    Example:
      chatvault project show team
    """
    show_one(control(data_dir).request("GET", _path(project)), as_json)


@app.command("change")
def change(
    project: Id, name: Name = None, limit: Limit = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Change a project's name or limits, on every worker.

    \b
    Example:
      chatvault project change team --limit none
    """
    wanted: dict[str, object] = {} if name is None else {"name": name}
    if limit is not None:
        wanted["limits"] = limits(limit)
    show_one(control(data_dir).request("PATCH", _path(project), wanted), as_json)


@app.command("off")
def off(project: Id, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Switch a project off: its tokens hold no more, its calls under way end.

    \b
    Example:
      chatvault project off team
    """
    show_one(control(data_dir).request("PATCH", _path(project), {"active": False}), as_json)


@app.command("on")
def on(project: Id, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Switch a project on again, with the tokens it had.

    \b
    Example:
      chatvault project on team
    """
    show_one(control(data_dir).request("PATCH", _path(project), {"active": True}), as_json)


@app.command("delete")
def delete(project: Id, data_dir: DataDir = None) -> None:
    """Remove a project that nothing refers to.

    \b
    Example:
      chatvault project delete team
    """
    control(data_dir).request("DELETE", _path(project))
    typer.echo(f"Removed {project}.")


def show_one(one: dict[str, Any], as_json: bool) -> None:
    """A project or a user: what it is, and which workers have not heard of its change yet."""
    if as_json:
        typer.echo(json.dumps(one))
        return
    late = one.pop("unacknowledged", [])
    rows = [
        [name.replace("_", " "), said(value) if name == "limits" else plain(value)]
        for name, value in one.items()
    ]
    typer.echo(columns(rows))
    if late:
        numbers = ", ".join(map(str, late))
        typer.echo(f"Worker {numbers} has not acknowledged it yet, and will be told.", err=True)


def _path(project: str) -> str:
    return f"/manage/projects/{quote(project, safe='')}"


def _state(one: dict[str, Any]) -> str:
    return "on" if one["active"] else "off"
