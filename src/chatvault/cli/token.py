"""`chatvault token`: what applications authenticate with."""

import json
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from chatvault.cli.limits import HELP, limits, said
from chatvault.cli.pages import everything
from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.table import columns, plain

app = typer.Typer(
    name="token",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Make, list and revoke the tokens that applications use as their API key.

    They are kept as keyed digests: a token is shown once, when it is made. A revocation returns when every worker
    has acknowledged it.
    """,
)


@app.command("create")
def create(
    name: Annotated[str, typer.Option("--name", help="What it is for, in your own words.")],
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="WHEN",
            help="90m, 24h, 30d, or a time such as 2027-01-31T17:00:00Z (default: never).",
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            metavar="A,B",
            help="The models it may use, with commas; `openai/*` is allowed (default: all).",
        ),
    ] = None,
    endpoints: Annotated[
        str | None,
        typer.Option(
            "--endpoints",
            metavar="A,B",
            help="The endpoints it may use, such as chat.completions,embeddings (default: all but account.*).",
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="The project its calls count for.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="The user its calls count for.")
    ] = None,
    limit: Annotated[list[str] | None, typer.Option("--limit", metavar="N/SPAN", help=HELP)] = None,
    no_limits: Annotated[
        bool, typer.Option("--no-limits", help="Without the limit that tokens have by default.")
    ] = False,
    idle: Annotated[
        str | None,
        typer.Option("--idle", metavar="SPAN", help="Without a call for so long, it has expired: 30d."),
    ] = None,
    max_requests: Annotated[
        int | None, typer.Option("--max-requests", metavar="N", help="Calls in all.")
    ] = None,
    networks: Annotated[
        str | None, typer.Option("--networks", metavar="A,B", help="Where its clients must be: 10.0.0.0/8.")
    ] = None,
    management: Annotated[
        bool, typer.Option("--management", help="Make a token for the control plane instead.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a token, and show it this once.

    \b
    Examples:
      chatvault token create --name laptop
      chatvault token create --name ci --expires 24h --models openai/gpt-4o-mini,fast
      OPENAI_API_KEY=$(chatvault token create --name script --expires 1h --json | jq -r .token)
    """
    wanted: dict[str, object] = {"name": name, "kind": "management" if management else "client"}
    if expires is not None:
        wanted |= _expiry(expires)
    lists = {"models": models, "endpoints": endpoints, "networks": networks}
    wanted |= {key: _names(text, key) for key, text in lists.items() if text is not None}
    given = {"project_id": project, "user_id": user, "max_requests": max_requests}
    wanted |= {key: value for key, value in given.items() if value is not None}
    if idle is not None:
        wanted["idle_hours"] = _hours(idle, "--idle")
    if limit is not None or no_limits:
        wanted["limits"] = limits(limit or [])
    made = control(data_dir).request("POST", "/manage/tokens", wanted)
    if as_json:
        typer.echo(json.dumps({key: made[key] for key in ("token", "token_id", "expires_at")}))
        return
    typer.echo(
        columns(
            [["token", made["token"]], ["id", made["token_id"]], ["expires", made["expires_at"] or "never"]]
        )
    )
    typer.echo("This is the only time it is shown.")


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all tokens, the newest first; never their secrets.

    \b
    Examples:
      chatvault token list
      chatvault token list --json | jq -r '.[] | select(.revoked_at == null) | .token_id'
    """
    found = everything(control(data_dir), "/manage/tokens", {})
    if as_json:
        typer.echo(json.dumps(found))
        return
    head = ["ID", "NAME", "KIND", "STATE", "CREATED", "EXPIRES", "MODELS"]
    typer.echo(columns([head, *(_row(token) for token in found)]))


@app.command("show")
def show(
    token_id: Annotated[str, typer.Argument(help="Its id, tok_...")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what a token may do; never the token itself.

    \b
    Example:
      chatvault token show tok_0123456789abcdef0123
    """
    token = control(data_dir).request("GET", f"/manage/tokens/{quote(token_id, safe='')}")
    if as_json:
        typer.echo(json.dumps(token))
        return
    typer.echo(
        columns(
            [
                [name.replace("_", " "), said(value) if name == "limits" else _said(value)]
                for name, value in token.items()
            ]
        )
    )


@app.command("rotate")
def rotate(
    token_id: Annotated[str, typer.Argument(help="Its id, tok_...")],
    grace: Annotated[
        str,
        typer.Option(
            "--grace", metavar="SPAN", help="How long the secret before still holds; 0 for not at all."
        ),
    ] = "24h",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a token another secret, and show it this once; the one before holds for a while.

    \b
    Example:
      chatvault token rotate tok_0123456789abcdef0123 --grace 1h
    """
    wanted = {"grace_hours": 0 if grace == "0" else _hours(grace, "--grace")}
    path = f"/manage/tokens/{quote(token_id, safe='')}/rotate"
    made = control(data_dir).request("POST", path, wanted)
    if as_json:
        typer.echo(json.dumps({key: made[key] for key in ("token", "token_id", "expires_at")}))
        return
    typer.echo(columns([["token", made["token"]], ["id", made["token_id"]]]))
    typer.echo("This is the only time it is shown.")


@app.command("revoke")
def revoke(
    tokens: Annotated[
        list[str],
        typer.Argument(help="Ids (tok_...), or tokens themselves; `-` reads them from standard input."),
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Revoke tokens, now: once this returns, no worker takes them any more.

    \b
    Examples:
      chatvault token revoke tok_0123456789abcdef0123
      echo "$LEAKED" | chatvault token revoke -
    """
    client = control(data_dir)
    given = [word for name in tokens for word in (sys.stdin.read().split() if name == "-" else [name])]
    late: dict[str, list[int]] = {}
    for name in given:
        by_id = name.startswith("tok_")
        path = f"/manage/tokens/{quote(name, safe='')}" if by_id else "/manage/tokens"
        answer = client.request("DELETE", path, None if by_id else {"token": name})
        if answer is not None:
            late[answer["token_id"]] = answer["unacknowledged"]
    if as_json:
        typer.echo(json.dumps({"revoked": len(given), "unacknowledged": late}))
        return
    typer.echo(f"Revoked {len(given)}.")
    for token_id, workers in late.items():
        numbers = ", ".join(map(str, workers))
        typer.echo(f"{token_id}: worker {numbers} has not acknowledged it yet, and will be told.", err=True)


def _expiry(text: str) -> dict[str, object]:
    """A span of time, else a moment, which the control plane reads."""
    from chatvault.config.units import duration

    try:
        return {"duration_hours": duration(text) / 3600}
    except ValueError:
        return {"expires_at": text}


def _hours(text: str, option: str) -> float:
    from chatvault.config.units import duration

    try:
        return duration(text) / 3600
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _names(text: str, what: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("name at least one, or leave the option out", param_hint=f"--{what}")
    return names


def _row(token: dict[str, Any]) -> list[str]:
    return [
        token["token_id"], plain(token["name"]), token["kind"], _state(token), _short(token["created_at"]),
        _short(token["expires_at"]) if token["expires_at"] else "never", plain(",".join(token["models"] or ["all"])),
    ]  # fmt: skip


def _state(token: dict[str, Any]) -> str:
    from chatvault.core.clock import from_iso, now_us

    if token["revoked_at"]:
        return "revoked"
    return "expired" if token["expires_at"] and from_iso(token["expires_at"]) <= now_us() else "active"


def _short(time: str) -> str:
    return time[:16].replace("T", " ")


def _said(value: object) -> str:
    if isinstance(value, list):
        return plain(", ".join(map(str, value))) or "none"
    return "none" if value is None or value == {} else plain(value)
