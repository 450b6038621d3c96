"""Where the master keys come from, and how a new one takes the place of an old one.

Three places may hold some: a file, the environment, the output of a command. Where the operator names a file, it is the
first of them, else it is the last, and made at first use. The first place that holds anything has the key that seals;
the keys of all of them open.
"""

import logging
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

from chatvault.config.schema import SecretsConfig
from chatvault.core.errors import ClientError, OperatorError
from chatvault.core.secrets import Secret, write_private
from chatvault.vault.master import MasterKey, new_master_key, parse_master_keys, written

VARIABLE: Final = "CHATVAULT_MASTER_KEY"
_KEPT_BACK: Final = (VARIABLE, "MANAGEMENT_TOKEN")
"""Variables that the command does not get."""

_log = logging.getLogger(__name__)


class MasterKeys:
    """`given`: what the environment or the command held; None where there is no such. `faults`: what is wrong with
    these places, in words for the operator."""

    def __init__(
        self,
        file: Path,
        in_file: tuple[MasterKey, ...],
        given: tuple[MasterKey, ...] | None,
        *,
        file_first: bool,
        faults: tuple[str, ...] = (),
    ) -> None:
        self._file = file
        self._in_file = in_file
        self._given = given
        self._file_seals = file_first or given is None
        self.faults = faults

    @property
    def newest(self) -> MasterKey | None:
        """The one that seals; None where there is none yet, or its place cannot be read."""
        keys = self._in_file if self._file_seals else self._given
        return keys[0] if keys else None

    def find(self, master_id: str) -> MasterKey | None:
        held = (*self._in_file, *(self._given or ()))
        return next((key for key in held if key.id == master_id), None)

    @property
    def own_file(self) -> bool:
        """The key that seals lies in the file, where another may be put beside it."""
        return self._file_seals

    @property
    def file_keys(self) -> int:
        return len(self._in_file)

    def make(self) -> MasterKey:
        """A new one that seals from now on, before those there are. Blocks. Raises OperatorError where it cannot be
        kept, ClientError where it is not made here; then all is as it was."""
        if self.faults:
            raise OperatorError(
                f"No master key is made while this is so: {self.faults[0]}", code="master_key_unusable"
            )
        if not self._file_seals:
            raise ClientError(
                f"The master key is given by {VARIABLE} or by secrets.master_key_command. Put a new one before it "
                "there (both, with a blank between), restart, and rotate again.",
                code="master_key_given",
                status=409,
            )
        key = new_master_key()
        self._write((key, *self._in_file))
        return key

    def keep_newest(self) -> None:
        """Take all but the one that seals out of the file. Blocks. Raises OperatorError where that cannot be: the file
        is read-only, or the one that seals lies elsewhere."""
        if self._file_seals and len(self._in_file) > 1:
            self._write(self._in_file[:1])
        elif not self._file_seals and self._in_file:
            raise OperatorError(
                f"The file {self._file} holds master keys that nothing needs any more. Remove it.",
                code="master_key_left",
            )

    def _write(self, keys: tuple[MasterKey, ...]) -> None:
        try:
            write_private(self._file, written(keys))
        except OSError as error:
            raise OperatorError(
                f"The master key's file {self._file} cannot be written: {error.strerror or error}. Make its folder "
                "writable for this user; or put another key into its first line yourself, restart, and rotate again.",
                code="master_key_unwritable",
            ) from None
        self._in_file = keys


def read_master_keys(settings: SecretsConfig, data_dir: Path, variable: Secret | None) -> MasterKeys:
    """What the places hold now. Blocks, as long as the command may take. What cannot be read is a fault of the result,
    and said in the log: calls that need none of it go on."""
    faults: list[str] = []
    named = settings.master_key_file is not None
    file = Path(settings.master_key_file) if settings.master_key_file else data_dir / "secrets" / "master.key"
    in_file = _from_file(file, faults)
    given: tuple[MasterKey, ...] | None = None
    if variable:
        given = _parsed(variable.reveal(), f"The variable {VARIABLE}", faults)
    if settings.master_key_command:
        given = (*(given or ()), *_from_command(settings, faults))
    for fault in faults:
        _log.error("%s", fault)
    return MasterKeys(file, in_file, given, file_first=named, faults=tuple(faults))


def _from_file(file: Path, faults: list[str]) -> tuple[MasterKey, ...]:
    try:
        text = file.read_text("ascii")
    except FileNotFoundError:
        return ()
    except OSError as error:
        faults.append(f"The master key's file {file} cannot be read: {error.strerror or error}.")
        return ()
    except UnicodeDecodeError:
        faults.append(f"The master key's file {file} holds no text.")
        return ()
    return _parsed(text, f"The master key's file {file}", faults)


def _from_command(settings: SecretsConfig, faults: list[str]) -> tuple[MasterKey, ...]:
    """Neither what it was called with nor what it says is ever shown: both may hold secrets."""
    program = os.path.basename(settings.master_key_command[0])
    try:
        code, output = _output(settings.master_key_command, settings.master_key_timeout)
    except subprocess.TimeoutExpired:
        faults.append(
            f"secrets.master_key_command ({program}) gave no answer within {settings.master_key_timeout:g} s."
        )
        return ()
    except OSError as error:
        faults.append(f"secrets.master_key_command ({program}) cannot be run: {error.strerror or error}.")
        return ()
    if code:
        faults.append(f"secrets.master_key_command ({program}) ended with {code}.")
        return ()
    return _parsed(
        output.decode("ascii", "replace"), f"The output of secrets.master_key_command ({program})", faults
    )


def _output(command: tuple[str, ...], timeout: float) -> tuple[int, bytes]:
    """Its exit status and what it said. Raises OSError, TimeoutExpired; then it and all it started are dead."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name not in _KEPT_BACK},
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output


def _parsed(text: str, what: str, faults: list[str]) -> tuple[MasterKey, ...]:
    try:
        found = parse_master_keys(text)
    except ValueError as error:
        faults.append(f"{what} holds something else: {error}.")
        return ()
    if not found:
        faults.append(f"{what} is empty.")
    return found
