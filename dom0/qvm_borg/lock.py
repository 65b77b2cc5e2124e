"""One writer at a time: the lock that every changing command holds.

Runs in dom0. The kernel drops the lock with its owner, so it is never stale.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qvm_borg.errors import LockedError


@contextmanager
def held() -> Iterator[None]:
    """Hold the lock; raises LockedError at once if another command does."""
    path = Path.home() / ".local" / "state" / "qubes-borg" / "lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError("another qvm-borg command is running") from error
        yield
