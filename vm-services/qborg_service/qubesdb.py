"""What this qube is told about itself: its name, its kind, its roles.

Runs in every qube with a service. QubesDB is written by dom0 only, so what it says is trusted.
"""

import os

from qborg_service import process

_PROGRAM = "/usr/bin/qubesdb-read"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def is_qube() -> bool:
    """Tell whether this is a qube: each has the program that asks QubesDB."""
    return os.path.lexists(_PROGRAM)


def read(path: str) -> str | None:
    """Answer the value at a QubesDB path, None if there is none or this is no qube."""
    try:
        finished = process.run(
            [_PROGRAM, path], stdin=None, env=_ENVIRONMENT, timeout=10, limit=4096
        )
    except process.ProcessError:
        return None
    if finished.code != 0:
        return None
    return finished.stdout.decode("ascii", "replace").removesuffix("\n")


def own_name() -> str | None:
    """Answer this qube's name."""
    return read("/name")


def persistence() -> str | None:
    """Answer `full`, `rw-only` or `none` (a disposable)."""
    return read("/qubes-vm-persistence")


def role_is_on(role: str) -> bool:
    """Answer whether dom0 switched the role on here: the feature service.qborg-ROLE is 1."""
    return read(f"/qubes-service/qborg-{role}") == "1"
