"""`chatvault version`: which version this is."""

import json
import platform
from typing import Annotated

import typer

from chatvault import __version__


def version(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Print the version of ChatVault and of its Python.

    \b
    Example:
      chatvault version --json
    """
    if as_json:
        typer.echo(json.dumps({"chatvault": __version__, "python": platform.python_version()}))
    else:
        typer.echo(f"chatvault {__version__} (Python {platform.python_version()})")
