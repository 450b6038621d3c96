"""`chatvault key`: keys of provider accounts, kept in the vault."""

import json
import os
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from chatvault.cli.pages import everything
from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.table import columns, plain
from chatvault.core.errors import OperatorError

app = typer.Typer(
    name="key",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Keep keys of providers in the vault, sealed: several for one provider, for all projects or for one.

    A project's own keys sign its calls, else those for all projects, else the one in the configuration. Several of the
    same kind take turns. A key is never shown again.
    """,
)
Id = Annotated[str, typer.Argument(help="Its id, key_...")]


@app.command("add")
def add(
    provider: Annotated[str, typer.Argument(help="The provider's name, as configured.")],
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="For the calls of this project alone.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="In your own words.")] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env", metavar="VARIABLE", help="Read it from this variable, not from standard input."
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Keep a key. It is read from standard input (asked for on a terminal) or from a variable of the environment, never
    from the command line, which other users of the machine can see.

    \b
    Examples:
      chatvault key add openai < openai.key
      chatvault key add openai --project team --env TEAM_OPENAI_KEY
    """
    wanted: dict[str, object] = {"provider": provider, "key": _read(env)}
    if project is not None:
        wanted["project_id"] = project
    if name is not None:
        wanted["name"] = name
    _show_one(control(data_dir).request("POST", "/manage/provider-keys", wanted), as_json)


@app.command("list")
def list_(
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Only those of this provider.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="Only those of this project.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the keys, but for what they are.

    \b
    Example:
      chatvault key list --provider openai
    """
    filters = {"provider": provider, "project_id": project}
    found = everything(control(data_dir), "/manage/provider-keys", filters)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(columns([["ID", "PROVIDER", "PROJECT", "NAME", "ENDS IN", "STATE"], *map(_row, found)]))


@app.command("show")
def show(key: Id, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a key, but for what it is.

    \b
    Example:
      chatvault key show key_0123456789abcdef0123
    """
    _show_one(control(data_dir).request("GET", f"/manage/provider-keys/{quote(key, safe='')}"), as_json)


@app.command("revoke")
def revoke(key: Id, data_dir: DataDir = None) -> None:
    """Revoke a key: no call is signed with it any more, and nothing is left of it but its id.

    \b
    Example:
      chatvault key revoke key_0123456789abcdef0123
    """
    answer = control(data_dir).request("DELETE", f"/manage/provider-keys/{quote(key, safe='')}")
    typer.echo(f"Revoked {key}.")
    _tell_late(answer or {})


@app.command("rotate-master")
def rotate_master(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Seal all keys anew, under a new master key, while calls go on. What was interrupted can be repeated.

    \b
    Example:
      chatvault key rotate-master
    """
    done = control(data_dir).request("POST", "/manage/provider-keys/rotate-master")
    if as_json:
        typer.echo(json.dumps(done))
        return
    typer.echo(f"{done['resealed']} keys were sealed anew; the master key is {done['master_id']}.")
    if not done["former_removed"]:
        typer.echo("The former master key is still in its file; the gateway's log says why.", err=True)


def _read(variable: str | None) -> str:
    """Raises OperatorError where there is none."""
    if variable is not None:
        key = os.environ.get(variable, "").strip()
        where = f"{variable} in the environment"
    elif sys.stdin.isatty():
        key, where = typer.prompt("Key", hide_input=True, err=True).strip(), "what was typed"
    else:
        key, where = sys.stdin.read().strip(), "standard input"
    if not key:
        raise OperatorError(f"There is no key: {where} is empty.", code="key_missing")
    return key


def _show_one(one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(one))
        return
    shown = {name: value for name, value in one.items() if name != "unacknowledged"}
    rows = [
        [name.replace("_", " "), plain("none" if value is None else value)] for name, value in shown.items()
    ]
    typer.echo(columns(rows))
    _tell_late(one)


def _tell_late(one: dict[str, Any]) -> None:
    late = one.get("unacknowledged", [])
    if late:
        numbers = ", ".join(map(str, late))
        typer.echo(f"Worker {numbers} has not acknowledged it yet, and will be told.", err=True)


def _row(one: dict[str, Any]) -> list[str]:
    state = "revoked" if one["revoked_at"] else "in use" if one["usable"] else "not used"
    ends = "" if one["last4"] is None else one["last4"]
    project = "all" if one["project_id"] is None else one["project_id"]
    return [one["key_id"], plain(one["provider"]), plain(project), plain(one["name"]), plain(ends), state]
