"""`chatvault bench`: what the gateway costs, on this machine."""

from typing import Annotated

import typer

from chatvault.cli.place import AsJson


def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Under ten seconds: whether it works, not how fast.")
    ] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.2, max=60, help="The length of each measurement.")
    ] = 4.0,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=20, help="Each figure is the median of so many.")
    ] = 3,
    connections: Annotated[
        int, typer.Option("--connections", min=1, max=1000, help="Clients at a time.")
    ] = 32,
    calls: Annotated[
        int, typer.Option("--calls", min=0, max=10_000_000, help="Calls after which memory is looked at.")
    ] = 200_000,
    as_json: AsJson = False,
) -> None:
    """Measure CPU a call, calls a second, added latency and memory, for whole answers and streams of 100 events.

    It starts a gateway of its own with everything on, a stand-in provider and, to compare with, bare proxies that
    keep no record: one in Python, and nginx where it is installed. All on loopback. Absolute times say much about the
    machine; the ratios say more. Needs Linux.

    \b
    Examples:
      chatvault bench
      chatvault bench --quick --json
    """
    import json

    from chatvault.bench.run import Wanted, run

    wanted = Wanted(seconds=seconds, rounds=rounds, connections=connections, calls=calls)
    report = run(Wanted.quick() if quick else wanted, lambda text: typer.echo(text, err=True))
    typer.echo(json.dumps(report.as_json()) if as_json else report.text())
    raise typer.Exit(0 if not report.errors else 1)
