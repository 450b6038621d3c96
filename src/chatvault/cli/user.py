"""`chatvault user`: named owners of tokens within a project."""

import json
from typing import Annotated
from urllib.parse import quote

import typer

from chatvault.cli.limits import HELP, limits, said
from chatvault.cli.pages import everything
from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.project import show_one
from chatvault.cli.table import columns, plain

app = typer.Typer(
    name="user",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Make users of a project, limit them, switch them off and on.""",
)
Name = Annotated[str | None, typer.Option("--name", help="In your own words.")]
Limit = Annotated[list[str] | None, typer.Option("--limit", metavar="N/SPAN", help=HELP)]
Id = Annotated[str, typer.Argument(help="The user's id.")]
Project = Annotated[str, typer.Option("--project", metavar="ID", help="Whose user it is.")]


@app.command("create")
def create(
    user: Id,
    project: Project = "default",
    name: Name = None,
    limit: Limit = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a user.

    \b
    Example:
      chatvault user create ada --project team --limit "200000 tokens/day"
    """
    wanted: dict[str, object] = {"user_id": user, "project_id": project}
    if name is not None:
        wanted["name"] = name
    if limit is not None:
        wanted["limits"] = limits(limit)
    show_one(control(data_dir).request("POST", "/manage/users", wanted), as_json)


@app.command("list")
def list_(
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="Only users of this project.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List users.

    \b
    Example:
      chatvault user list --project team
    """
    found = everything(control(data_dir), "/manage/users", {"project_id": project})
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = [
        [
            one["project_id"],
            one["user_id"],
            plain(one["name"]),
            "on" if one["active"] else "off",
            said(one["limits"]),
        ]
        for one in found
    ]
    typer.echo(columns([["PROJECT", "ID", "NAME", "STATE", "LIMITS"], *rows]))


@app.command("show")
def show(user: Id, project: Project = "default", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a user.

    \b
    Example:
      chatvault user show ada --project team
    """
    show_one(control(data_dir).request("GET", _path(user, project)), as_json)


@app.command("change")
def change(
    user: Id,
    project: Project = "default",
    name: Name = None,
    limit: Limit = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change a user's name or limits, on every worker.

    \b
    Example:
      chatvault user change ada --project team --limit 10/minute
    """
    wanted: dict[str, object] = {} if name is None else {"name": name}
    if limit is not None:
        wanted["limits"] = limits(limit)
    show_one(control(data_dir).request("PATCH", _path(user, project), wanted), as_json)


@app.command("off")
def off(user: Id, project: Project = "default", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Switch a user off: all its tokens hold no more.

    \b
    Example:
      chatvault user off ada --project team
    """
    show_one(control(data_dir).request("PATCH", _path(user, project), {"active": False}), as_json)


@app.command("on")
def on(user: Id, project: Project = "default", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Switch a user on again.

    \b
    Example:
      chatvault user on ada --project team
    """
    show_one(control(data_dir).request("PATCH", _path(user, project), {"active": True}), as_json)


def _path(user: str, project: str) -> str:
    return f"/manage/users/{quote(user, safe='')}?project_id={quote(project, safe='')}"
