"""What to tell the operator when the disk fails the journal."""

import errno
import os
from pathlib import Path
from typing import Final

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The ways a disk says that it has no room."""


def advice(folder: Path, error: OSError) -> str:
    """What is wrong and what to do about it; safe to show to an operator."""
    what = f"The journal in {folder} cannot be written: {error.strerror or error}. "
    if error.errno in FULL:
        return what + "Free some disk space (or raise the quota); calls are taken again by themselves."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        user = os.geteuid()
        return what + f"Make the folder writable for user id {user}, or choose another with --data-dir."
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return what + "Raise the limit of open files (`ulimit -n`)."
    return what + "Check the disk and the folder."
