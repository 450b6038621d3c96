"""Sockets that only their owner may open."""

import os
import socket
from pathlib import Path

from chatvault.core.errors import OperatorError


def listen_privately(path: Path) -> socket.socket:
    """A listening unix socket (0600), in place of one that a killed life may have left. Its folder has to be
    private already: a socket is open to all for the instant between its birth and its `chmod`.

    Raises OperatorError when it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listener.bind(os.fspath(path))
        path.chmod(0o600)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OperatorError(
            f"The socket {path} cannot be made: {error.strerror or error}. Check its folder.",
            code="socket_unavailable",
        ) from None
    return listener
