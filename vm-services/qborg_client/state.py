"""What a client remembers of its runs: the lock, the last result, the proof file, the manifest.

Runs in clients. All of it may be lost; then the next run is due and makes it anew.
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited, write_private
from qborg_wire import names
from qborg_wire.causes import CAUSES
from qborg_wire.reply import printable

NEVER, UNFINISHED, OK = "never", "unfinished", "ok"
_OUTCOMES = CAUSES | {NEVER, UNFINISHED, OK}
_PATIENCE = 3600.0  # seconds that a run waits for another if it waits at all
_LOOK = 0.2  # seconds between two looks
_PROOF_BYTES = 32
_DETAIL = 200  # characters
_FOREVER = 10**11  # seconds; a calendar knows the years until then


@dataclass(frozen=True)
class Last:
    """When a backup last succeeded (unix time of its start, 0 for never) and how the last ended.

    The rest is of the last one alone: when it began, how many seconds it took, then what it made
    or, in a line, why it failed.
    """

    success: int = 0
    outcome: str = NEVER
    began: int = 0
    seconds: int = 0
    archive: str = ""
    files: int = 0
    size: int = 0
    sent: int = 0
    warnings: int = 0
    detail: str = ""


class OtherRun(ServiceFailure):
    """Another run in this very qube holds the lock: nothing is wrong."""


@contextmanager
def only_run(paths: Paths, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of this qube's backups; raises OtherRun if another run holds it.

    With `on_wait` it waits for the other and tells that it does, again and again.
    """
    paths.make_state()
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(paths.state / "lock", flags, 0o600)
    deadline = time.monotonic() + _PATIENCE
    try:
        while not _locks(descriptor):
            if on_wait is None or time.monotonic() > deadline:
                raise OtherRun("locked", "another backup or restore of this qube is running")
            on_wait()
            time.sleep(_LOOK)
        yield
    finally:
        os.close(descriptor)


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_last(paths: Paths) -> Last:
    """Answer the last result; a file that tells none counts as never."""
    try:
        found = json.loads(read_limited(_last(paths), 4096))
    except (FileNotFoundError, FileRefused, ValueError, RecursionError):
        return Last()
    if not isinstance(found, dict):
        return Last()
    # What an older run wrote has fewer keys, what a newer one wrote may have more.
    known = {each.name: found.get(each.name, each.default) for each in fields(Last)}
    last = Last(**known)
    return last if _is_sensible(last) else Last()


def _is_sensible(last: Last) -> bool:
    values = vars(last)
    if any(type(values[each.name]) is not type(each.default) for each in fields(Last)):
        return False
    return (
        all(0 <= value < 10**15 for value in values.values() if type(value) is int)
        and max(last.success, last.began) < _FOREVER
        and last.outcome in _OUTCOMES
        and (not last.archive or names.ARCHIVE.fullmatch(last.archive) is not None)
        and last.detail in ("", printable(last.detail, _DETAIL))
    )


def write_last(paths: Paths, last: Last) -> None:
    """Keep the last result; of a long or strange detail what can be shown."""
    detail = printable(last.detail, _DETAIL) if last.detail else ""
    write_private(_last(paths), json.dumps(asdict(last) | {"detail": detail}).encode("ascii"))


def new_proof(paths: Paths) -> bytes:
    """Write a new proof file for the next archive and answer its content."""
    proof = f"{secrets.token_hex(_PROOF_BYTES)}\n".encode("ascii")
    write_private(paths.proof, proof)
    return proof


def keep_manifest(paths: Paths, text: str) -> None:
    """Keep what dom0 says that this qube is, for this archive and those after it."""
    write_private(paths.manifest, text.encode("ascii"))


def _last(paths: Paths) -> Path:
    return paths.state / "last.json"
