"""`chatvault fake`: the simulated provider."""

from typing import Annotated

import typer


def fake(
    host: Annotated[
        str, typer.Option(help="The address to listen on. Keep it on loopback: it protects nothing.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.")] = 0,
    unix: Annotated[str | None, typer.Option(metavar="PATH", help="Listen on a unix socket instead.")] = None,
    pace_ms: Annotated[float, typer.Option(help="Milliseconds to wait before each event of a stream.")] = 0.0,
    api_key: Annotated[str | None, typer.Option(help="The one key to accept (default: any or none).")] = None,
    marker: Annotated[str, typer.Option(help="The request header whose values /stats lists.")] = "x-call-id",
    tls_cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="Serve TLS with this certificate chain (PEM).")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="The certificate's private key (PEM).")
    ] = None,
) -> None:
    """Run a simulated provider: OpenAI's API, no key, no network, and faults on demand.

    The same request always gets the same answer. A model's name can ask for a fault: cut-after-3, stall-after-5,
    fail-429-retry-after-7, no-usage and many more (docs/fake.md lists them). It prints where it listens.

    \b
    Examples:
      chatvault fake --port 9001
      curl -s http://127.0.0.1:9001/v1/chat/completions -H 'content-type: application/json' \\
           -d '{"model": "echo", "messages": [{"role": "user", "content": "hello"}]}'
    """
    from chatvault.fake.command import main

    words = ["--host", host, "--port", str(port), "--pace-ms", str(pace_ms), "--marker", marker]
    for option, value in (
        ("--unix", unix),
        ("--api-key", api_key),
        ("--tls-cert", tls_cert),
        ("--tls-key", tls_key),
    ):
        if value is not None:
            words += [option, value]
    raise typer.Exit(main(words))
