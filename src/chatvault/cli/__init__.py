"""The command line: one file a command, each importing what it needs when it runs, so that `--help` stays light."""

from chatvault.cli.main import main

__all__ = ["main"]
