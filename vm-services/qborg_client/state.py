"""What a client remembers of its runs: the lock, the last result, the proof file.

Runs in clients. All of it may be lost; then the next run is due and makes it anew.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire.causes import CAUSES

NEVER, UNFINISHED, OK = "never", "unfinished", "ok"
_OUTCOMES = CAUSES | {NEVER, UNFINISHED, OK}
_SLACK = 1800  # seconds; cron asks hourly, and a day should not become 25 hours
_PROOF_BYTES = 32


@dataclass(frozen=True)
class Last:
    """When a backup last succeeded (unix time of its start, 0 for never) and how the last ended."""

    success: int = 0
    outcome: str = NEVER


@contextmanager
def only_run(paths: Paths) -> Iterator[None]:
    """Hold the lock of this qube's backups; raises ServiceFailure if another run holds it."""
    paths.make_state()
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(paths.state / "lock", flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ServiceFailure("locked", "another backup of this qube is running") from error
    finally:
        os.close(descriptor)


def read_last(paths: Paths) -> Last:
    """Answer the last result; a file that tells none counts as never."""
    try:
        found = json.loads(read_limited(_last(paths), 4096))
    except (FileNotFoundError, FileRefused, ValueError, RecursionError):
        return Last()
    if not isinstance(found, dict):
        return Last()
    success, outcome = found.get("success"), found.get("outcome")
    if type(success) is not int or not 0 <= success < 10**15 or outcome not in _OUTCOMES:
        return Last()
    return Last(success, str(outcome))


def write_last(paths: Paths, last: Last) -> None:
    """Keep the last result."""
    write_private(_last(paths), json.dumps(asdict(last)).encode("ascii"))


def due(last: Last, interval_hours: int, now: int) -> bool:
    """Tell whether it is time again; a success that lies in the future counts for nothing."""
    return not 0 <= now - last.success < interval_hours * 3600 - _SLACK


def new_proof(paths: Paths) -> bytes:
    """Write a new proof file for the next archive and answer its content."""
    proof = f"{secrets.token_hex(_PROOF_BYTES)}\n".encode("ascii")
    write_private(paths.proof, proof)
    return proof


def _last(paths: Paths) -> Path:
    return paths.state / "last.json"
