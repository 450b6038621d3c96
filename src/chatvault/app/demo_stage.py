"""What the demo shows: a line for each thing that held, and why it matters."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


class DemoFailed(Exception):
    """Something did not hold; the message says what."""


class Stage:
    """Writes to the terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._began = time.monotonic()

    def open(self, text: str) -> None:
        self._console.print(f"\n[bold]ChatVault[/bold]  {text}\n")

    def held(self, title: str, result: str, why: str) -> None:
        """One thing that was done, what came of it, and what it is good for."""
        self._console.print(f" [green]✓[/green] [bold]{title:<17}[/bold] ", end="")
        self._console.print(result, markup=False, soft_wrap=True)
        self._console.print(f"   {'':<17} [dim]{why}[/dim]", soft_wrap=True)

    def table(
        self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]
    ) -> None:
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            header_style="dim",
            box=None,
            padding=(0, 1),
        )
        for number, name in enumerate(head):
            table.add_column(name, justify="right" if number in right else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self._console.print()
        self._console.print(table, soft_wrap=True)
        self._console.print()

    def failed(self, text: str) -> None:
        self._console.print(" [red]✗[/red] ", end="")
        self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        took = time.monotonic() - self._began
        self._console.print(
            f"\nAll of it held, in {took:.1f} s, and everything has ended. Next: make serve\n"
        )


def expect(held: bool, what: str) -> None:
    """Raises DemoFailed, saying `what` should have been, if it did not hold."""
    if not held:
        raise DemoFailed(what)
