"""Where the sockets live: a short, owner-only folder of its own for each data folder, outside of it."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from chatvault.core.errors import OperatorError

FEED_SOCKET = "feed.sock"
ADMIN_SOCKET = "admin.sock"
_LONGEST = 90
"""Bytes of the folder's path: a socket's path must be shorter than 104 (macOS) or 108 (Linux)."""


def runtime_places(data_dir: Path, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The run-time folders that belong to a data folder, the preferred one first. Touches nothing."""
    mark = hashlib.sha256(os.fsencode(os.path.realpath(data_dir))).hexdigest()[:8]
    places = []
    session = environ.get("XDG_RUNTIME_DIR", "")
    if session.startswith("/") and len(os.fsencode(session)) <= _LONGEST - 20 and os.path.isdir(session):
        places.append(Path(session) / f"chatvault-{mark}")
    root = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # noqa: S108  the folder inside is checked
    places.append(Path(root) / f"chatvault-{os.geteuid()}-{mark}")
    return places


def runtime_dir(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The run-time folder of a data folder, made (0700) when it is not there yet.

    Raises OperatorError for one that cannot be made, or that another user owns or may enter.
    """
    path = runtime_places(data_dir, environ)[0]
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise OperatorError(
            f"The run-time folder {path} cannot be made: {error.strerror}. "
            "Make its parent writable, or point XDG_RUNTIME_DIR to a folder of your own.",
            code="runtime_dir_unusable",
        ) from None
    if not is_private(path):
        raise OperatorError(
            f"The run-time folder {path} is not a folder that you alone own and may enter. "
            "Remove it, and start again.",
            code="runtime_dir_unsafe",
        )
    return path


def is_private(path: Path) -> bool:
    """Whether this is a folder (no link to one) that belongs to this user, and that nobody else may enter."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & 0o077 == 0
