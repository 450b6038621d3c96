"""`chatvault serve`: run the gateway."""

from typing import Annotated

import typer


def serve(
    port: Annotated[int | None, typer.Option(help="Where applications connect (default 4000).")] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="Where the control plane listens (default 4001).")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The address of the data plane (default 127.0.0.1).")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where all state lives (default ./data).")] = None,
    config: Annotated[
        str | None, typer.Option(help="The configuration file (default ./config.yaml, if there is one).")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes of the data plane (default 1: one does tens of thousands a second)."),
    ] = None,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Also run a small real model, as tiny/smollm2 (needs `make tiny`).")
    ] = False,
    fake: Annotated[
        bool, typer.Option("--fake", help="Also run the simulated provider, as fake/..., beside real ones.")
    ] = False,
) -> None:
    """Run the gateway until Ctrl-C or SIGTERM.

    Without configuration it finds providers in the environment (OPENAI_API_KEY and the like) and an Ollama on this
    machine; where there is none, the simulated provider answers as fake/echo. The first start shows a token, once.
    SIGHUP reads the configuration again.

    \b
    Examples:
      chatvault serve
      OPENAI_API_KEY=sk-... chatvault serve --port 8080 --data-dir /var/lib/chatvault
    """
    import asyncio
    import logging

    from chatvault.app.first_start import show, tokens_text
    from chatvault.app.options import ServeOptions
    from chatvault.app.supervisor import Family
    from chatvault.app.supervisor import serve as run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    overrides: dict[str, str | int | None] = {
        "server.port": port,
        "server.admin_port": admin_port,
        "server.host": host,
        "data_dir": data_dir,
        "server.workers": workers,
    }

    def announce(family: Family, first: dict[str, str] | None) -> None:
        server = family.config.server
        url = f"http://{server.host}:{family.port}"
        if first is not None:
            typer.echo(show(tokens_text(first, url), family.data_dir))
        typer.echo(
            f"ChatVault serves on {url}/v1, its control plane on http://{server.admin_host}:{family.admin_port}, "
            f"its state in {family.data_dir}."
        )

    raise typer.Exit(
        asyncio.run(
            run(ServeOptions(config_file=config, overrides=overrides, tiny=tiny, fake=fake), announce)
        )
    )
