"""Which gateway a command is about: the one of a data folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chatvault.sdk.control import ControlClient

DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="The gateway's data folder (default: CHATVAULT_DATA, else what config.yaml says, else ./data).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines: JSON on standard output.")]


def data_dir(named: str | None) -> Path:
    """The folder that `serve`, started here, would use. Raises OperatorError."""
    if named:
        return Path(named)
    from chatvault.config.env import environment
    from chatvault.config.load import load

    return Path(load(None, environment(Path.cwd()), {}).data_dir)


def control(named: str | None) -> "ControlClient":
    """A client of that folder's gateway. Raises OperatorError; whether one runs shows when it is asked."""
    from chatvault.sdk.control import ControlClient

    return ControlClient(data_dir(named))
