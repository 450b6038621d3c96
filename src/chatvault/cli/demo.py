"""`chatvault demo`: all of it at work, checked."""

from typing import Annotated, Literal

import typer


def demo(
    with_: Annotated[
        Literal["fake", "ollama", "tiny"],
        typer.Option(
            "--with",
            envvar="DEMO",
            help="What answers: the simulated provider, an Ollama (OLLAMA_HOST), or a small real model.",
        ),
    ] = "fake",
) -> None:
    """Start a gateway of its own, use it, break it, and show what is on record; ends by itself, and leaves nothing.

    With the simulated provider it makes a whole call, a streamed one, embeddings, breaks a stream on purpose, kills a
    worker in the middle of a call, then shows the ledger, the costs, and the verification of the journal, which finds a
    forged copy out. Exit status 0 only if each of it held. It needs the openai package (`make demo` installs it).

    \b
    Examples:
      make demo
      DEMO=ollama make demo
      chatvault demo --with tiny
    """
    from chatvault.app.demo import run

    raise typer.Exit(run(with_))
