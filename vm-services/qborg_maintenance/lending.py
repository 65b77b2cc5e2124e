"""Which repository is lent to which qube: what dom0 has announced, and for how long.

Runs in the maintenance qube. That qube is a worker, or a client that gets another's files. The
gate lets a call through and this note must name it too, so that a policy that somebody else has
opened gives no qube the admin's authority.
"""

import json
import time
from contextlib import AbstractContextManager
from pathlib import Path

from qborg_maintenance.state import State
from qborg_service import volatile
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.names import Repository

_SECONDS = 900.0  # since it was announced, or last in use: one job asks more than once
_LIMIT = 4096


def announce(worker: str, repository: Repository) -> None:
    """Lend this repository to this qube, and whatever was lent before to nobody."""
    with _locked():
        _write(worker, repository)


def require(caller: str, repository: Repository) -> None:
    """Raise wrong-caller unless just this was announced, and not too long ago."""
    try:
        note = json.loads(read_limited(_note(), _LIMIT))
    except (FileNotFoundError, FileRefused, ValueError):
        note = {}
    told = note.get("worker"), note.get("repository")
    if told != (caller, str(repository)) or time.monotonic() > note.get("until", 0.0):
        raise ServiceFailure("wrong-caller", f"{repository} is not lent to {caller}")


def is_in_use(caller: str, repository: Repository) -> bool:
    """Let the time begin anew; answers whether it still stands, so whether it may be used on.

    It does not once its time has ended, or something else was lent meanwhile.
    """
    with _locked():  # else it could write over a loan that is announced just now
        try:
            require(caller, repository)
        except ServiceFailure:
            return False
        _write(caller, repository)
        return True


def _write(worker: str, repository: Repository) -> None:
    until = time.monotonic() + _SECONDS
    note = {"worker": worker, "repository": str(repository), "until": until}
    write_private(_note(), json.dumps(note).encode("ascii"))


def _locked() -> AbstractContextManager[int]:
    return State(volatile.folder()).locked("lent.lock")


def _note() -> Path:
    return volatile.folder() / "lent.json"
