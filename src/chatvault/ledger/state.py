"""How the recorder is: a small file beside the ledger, replaced whole, which control reads. It works when
the ledger does not."""

import os
from pathlib import Path

import msgspec

from chatvault.core.errors import OperatorError


class BrokenChain(msgspec.Struct, frozen=True):
    """A chain whose next line does not fit: it was changed, or is damaged. Nothing from there on is
    applied."""

    chain: str
    file: str
    line: int
    """From 1, within the file."""
    why: str


class RecorderState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Written when it changes, at most once a second, and every ten seconds otherwise: one that is older
    than 30 s is that of a recorder that does not run."""

    at: int
    """Microseconds since the epoch."""
    bytes_behind: int | None
    """Of the journal, uncompressed, that are not in the ledger yet. 0: the ledger is level with the
    journal. None: not known, since the ledger cannot be used."""
    lines_behind: int | None
    """An estimate, from the average line so far; at least 1 while anything is behind."""
    seconds_behind: float
    """The age of the oldest line that is not in the ledger yet, where it is known; else the time since the
    ledger was level, or since the recorder's start."""
    lines: int = 0
    """Applied in the life of this recorder."""
    rows: int = 0
    broken: list[BrokenChain] = []
    error: str | None = None
    """Why nothing is applied at the moment, and what to do; None while all is well."""
    error_code: str | None = None


def state_path(data_dir: Path) -> Path:
    return data_dir / "recorder.json"


def write_state(data_dir: Path, state: RecorderState) -> None:
    """Raises OSError. Not synced: after a power cut the recorder writes it anew."""
    path = state_path(data_dir)
    part = path.with_name(f".{path.name}.part")
    with open(part, "wb", opener=_private) as file:
        file.write(msgspec.json.encode(state))
    os.replace(part, path)


def read_state(data_dir: Path) -> RecorderState | None:
    """The last state; None if no recorder has run here. Raises OperatorError."""
    path = state_path(data_dir)
    try:
        return msgspec.json.decode(path.read_bytes(), type=RecorderState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise OperatorError(
            f"The recorder's state {path} cannot be read ({error}). Delete it; the recorder writes it anew.",
            code="recorder_state",
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
