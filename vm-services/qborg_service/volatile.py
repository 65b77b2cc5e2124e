"""A private directory in memory: what lies there is on no disk, and gone when the qube stops.

Runs in every qube with a service.
"""

import os
import stat
from pathlib import Path

from qborg_service.failure import ServiceFailure

_MEMORY = Path("/dev/shm")


def folder() -> Path:
    """Answer this user's directory, made if absent.

    Raises ServiceFailure where it would be on a disk, or another user has made it.
    """
    path = _MEMORY / f"qubes-borg-{os.getuid()}"
    if not os.path.ismount(_MEMORY):
        raise ServiceFailure("internal", f"{_MEMORY} is not in memory")
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ServiceFailure("internal", f"{path} is not this user's own")
    return path
