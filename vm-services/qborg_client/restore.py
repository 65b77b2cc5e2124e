"""Restore: extract paths of an archive into a fresh directory.

Runs in the qube that gets the files. Nothing that exists is written over: the directory is new
or empty, and what ssh and borg trust is left out.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qborg_borg import archives, command
from qborg_borg.bundle import Bundle
from qborg_borg.outcome import Outcome, Record
from qborg_borg.process import run_borg
from qborg_client import sources
from qborg_client.backup import access
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure

LATEST = "latest"
_LIST = "borg.output.list"
_NEVER_MATCHED = "never matched."
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Restored:
    """What was extracted: from which archive, how many files, how many bytes."""

    archive: str
    files: int
    size: int


def run(
    paths: Paths, bundle: Bundle, archive: str, wanted: Sequence[str], directory: str,
    on_progress: OnProgress,
) -> Restored:
    """Extract `wanted` (nothing: everything) below `directory`; raises ServiceFailure."""
    inside = [archive_path(path) for path in wanted]
    target = checked_directory(paths, directory)
    opened = access(paths, bundle)
    name = archives.newest(opened, bundle.qube) if archive == LATEST else archive
    never = [path.lstrip("/") for path in sources.never(paths)]
    tail = command.extract(opened, name, inside, never)
    with fresh(target):
        outcome = run_borg(
            tail, opened, timeout=None, on_record=_Follower(on_progress), cwd=str(target)
        )
        _check(outcome)
        files, size = _count(target)
    return Restored(name, files, size)


def archive_path(untrusted_path: str) -> str:
    """Answer a path as archives hold it: relative, in its shortest form.

    Raises ServiceFailure for one that climbs or names the whole machine.
    """
    parts = [part for part in untrusted_path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ServiceFailure("source-missing", "a path that names nothing, or climbs with ..")
    return "/".join(parts)


def checked_directory(paths: Paths, directory: str) -> Path:
    """Answer the target, fit to be extracted into; raises ServiceFailure directory-refused."""
    target = Path(directory)
    if not target.is_absolute() or ".." in target.parts:
        raise ServiceFailure("directory-refused", "not an absolute path, or one that climbs")
    try:
        reason = _objection(paths, target)
    except OSError as error:
        reason = str(error.strerror)
    if reason is not None:
        raise ServiceFailure("directory-refused", f"{reason}: {target}")
    return target


def _objection(paths: Paths, target: Path) -> str | None:
    """Answer why nothing may be extracted there, None if it may."""
    real = Path(os.path.realpath(target))
    if paths.ssh.resolve() in (real, *real.parents):
        return "ssh trusts what lies there; choose another"
    try:
        status = os.lstat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return "not a directory"
    if status.st_uid != os.getuid():
        return "it belongs to another user"
    return "not empty; choose a new one" if any(target.iterdir()) else None


@contextmanager
def fresh(target: Path) -> Iterator[None]:
    """Make the directories that are missing; if the work fails, take away what stayed empty."""
    try:
        missing = [path for path in (target, *target.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700)
    except OSError as error:
        raise ServiceFailure("directory-refused", f"{error.strerror}: {target}") from error
    try:
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


class _Follower:
    """Counts the names and bytes that borg tells while it extracts."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress, self._files, self._size = on_progress, 0, 0

    def __call__(self, record: Record) -> None:
        self._files += record.name == _LIST
        if record.kind == "progress_percent" and record.size:
            self._size = record.size
        self._on_progress(self._files, self._size)


def _check(outcome: Outcome) -> None:
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    for record in outcome.records:
        if record.message.endswith(_NEVER_MATCHED):
            raise ServiceFailure("source-missing", f"not in that archive: {record.message}")


def _count(target: Path) -> tuple[int, int]:
    """Answer how many files lie below a directory now, and their bytes."""
    files = size = 0
    for directory, _subdirectories, names in os.walk(target):
        for name in names:
            files += 1
            size += os.lstat(os.path.join(directory, name)).st_size
    return files, size
