"""What a gateway occupies on its machine: the data folder, with a lock on it, and the two ports."""

import errno
import fcntl
import os
import socket
import time
from pathlib import Path
from typing import Final

from chatvault.core.errors import OperatorError

_WAIT: Final = 6.0
"""Seconds a lock is waited for: the children of a supervisor that was killed need a moment to end."""


def lock_data_dir(data_dir: Path) -> int:
    """The descriptor of the folder's lock, held until every process that has inherited it has ended.

    Raises OperatorError where the folder cannot be used, or another gateway uses it.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OperatorError(
            f"The data folder {data_dir} cannot be used: {error.strerror}. Make it writable, or name "
            "another with "
            "--data-dir.",
            code="data_dir_unusable",
        ) from error
    until = time.monotonic() + _WAIT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(handle)
            if holder is None and time.monotonic() < until:
                time.sleep(0.02)
                continue
            os.close(handle)
            who = "Another gateway" if holder is None else f"Another gateway (process {holder})"
            raise OperatorError(
                f"{who} uses the data folder {data_dir}. Stop it, or name another folder with --data-dir.",
                code="data_dir_in_use",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return handle


def _holder(handle: int) -> int | None:
    """The supervisor that has the lock; None where it is dead and its children are about to end, or unknown."""
    text = os.pread(handle, 32, 0).strip()
    if not text.isdigit():
        return None
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return int(text)


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A socket that listens. Raises OperatorError that names the setting to change."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(4096)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        why = (
            "it is taken by another program"
            if error.errno == errno.EADDRINUSE
            else error.strerror or str(error)
        )
        raise OperatorError(
            f"The gateway cannot listen on {host}:{port}: {why}. Stop what listens there, or choose another "
            "port with "
            f"{setting}.",
            code="port_unavailable",
        ) from error
    return listener
