"""`chatvault logs`: the calls, as they end."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

import typer

from chatvault.cli.place import AsJson, DataDir, control
from chatvault.cli.table import number, plain, price
from chatvault.core.errors import OperatorError

if TYPE_CHECKING:
    from chatvault.sdk.control import ControlClient

_PACE: Final = 0.25
"""Seconds between two questions."""
_PATIENCE: Final = 30.0
"""Seconds a gateway that is being restarted is waited for."""
_PAGE: Final = 1000


def logs(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on, and show calls as they end, until Ctrl-C.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="How many of the last calls to show first.")
    ] = 20,
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            help="Only calls that ended so: completed, client_gone, upstream_cut, refused, interrupted, ...",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only calls to this model.")] = None,
    token: Annotated[
        str | None, typer.Option("--token", metavar="ID", help="Only calls with this token.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Only calls begun since: 15m, 24h, or a time."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the last calls, a line each, the newest last: when it began, how it ended, the model asked for and where it
    went, tokens in and out, cost, how long it took, and the time to the first token.

    \b
    Examples:
      chatvault logs
      chatvault logs --follow --limit 0
      chatvault logs --state upstream_cut --since 24h
      chatvault logs --follow --json | jq -r 'select(.cost == null) | .id'
    """
    asked = {"state": state, "model": model, "token": token, "since": since}
    which = {name: value for name, value in asked.items() if value is not None}
    client = control(data_dir)
    try:
        for call in _calls(client, which, limit, follow):
            typer.echo(json.dumps(call) if as_json else line(call))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _calls(
    client: "ControlClient", which: dict[str, str], limit: int, follow: bool
) -> Iterator[dict[str, Any]]:
    # The place to follow from is asked for first, so that nothing falls in between; what is in both is shown once.
    after = client.request("GET", "/usage/follow")["after"] if follow else 0
    last = _last(client, which, limit)
    yield from last
    shown = {call["id"] for call in last}
    while follow:
        news = _news(client, {**which, "after": str(after), "limit": str(_PAGE)})
        yield from (call for call in news["data"] if call["id"] not in shown)
        after = news["after"]
        if len(news["data"]) < _PAGE:
            time.sleep(_PACE)


def _last(client: "ControlClient", which: dict[str, str], limit: int) -> list[dict[str, Any]]:
    """The oldest of them first."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None and len(found) < limit:
        asked = {**which, "limit": str(min(limit - len(found), _PAGE))}
        page = client.request("GET", f"/usage?{urlencode({**asked, 'cursor': cursor} if cursor else asked)}")
        found += page["data"]
        cursor = page["cursor"]
    return found[::-1]


def _news(client: "ControlClient", asked: dict[str, str]) -> Any:
    """Survives a restart of the gateway. Raises OperatorError when it does not come back."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return client.request("GET", f"/usage/follow?{urlencode(asked)}")
        except OperatorError:
            if time.monotonic() > until:
                raise
            time.sleep(_PACE)


def line(call: dict[str, Any]) -> str:
    """A call as people read it."""
    began = datetime.fromisoformat(call["timestamp"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    words = [began, f"{call['state']:<16} {call['status_code'] or '-':>3}", f"{_way(call):<44}"]
    if call["state"] == "refused":
        words.append(f"{number(call['calls'])} refused" if call["calls"] > 1 else "")
    else:
        words.append(f"{number(call['input_tokens']):>7} in {number(call['output_tokens']):>6} out")
        words += [f"{_cost(call):<14}", _times(call)]
    if call["error_code"]:
        words.append(f"({plain(call['error_code'])})")
    return "  ".join(word for word in words if word).rstrip()


def _way(call: dict[str, Any]) -> str:
    model = plain(call["model_name"] or call["endpoint"])
    if call["provider"] is None:
        return model
    return f"{model} -> {plain(call['provider'])}" + (
        f"/{plain(call['model_resolved'])}" if call["model_resolved"] else ""
    )


def _cost(call: dict[str, Any]) -> str:
    bound = call["cost_bound"]
    known = price(call["cost"])
    return f"{known}, at most ${bound}" if call["cost"] is None and bound is not None else known


def _times(call: dict[str, Any]) -> str:
    latency, ttft = call["latency_ms"], call["ttft_ms"]
    if call["state"] == "interrupted":  # nobody was there to see how long it took
        return ""
    return f"{number(latency)} ms" + (f"  first token {ttft:,} ms" if ttft is not None else "")
