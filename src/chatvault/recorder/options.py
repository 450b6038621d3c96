"""What the recorder is told at its start."""

from pathlib import Path

import msgspec


class RecorderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Durations are seconds."""

    data_dir: Path
    database_url: str | None = None
    """`sqlite:////folder/file.db`; None: `chatvault.db` in the data folder."""
    poll: float = 0.25
    """Between two looks at a journal that had nothing new: what the ledger is behind at most, when it
    keeps up."""
    patience: float = 2.0
    """How long another program's lock on the ledger is waited for at a time."""
    retry: float = 1.0
    """After a failure, until the next try."""
    last_pass: float = 5.0
    """How long the recorder goes on, when it is told to stop, to bring the ledger level with the journal."""
