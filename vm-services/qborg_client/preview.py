"""What the next backup would take, send and leave out; nothing is written and nobody is asked.

Runs in clients. borg itself lists the paths, by the patterns of a real run. What is new is told
by the time of a file's last change, the first of the things that borg's own files cache compares;
but other patterns may take old files that were left out so far.
"""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qborg_borg import command
from qborg_borg.bundle import Bundle
from qborg_borg.outcome import Record
from qborg_borg.process import plain_environment, run_logged
from qborg_client import backup, installed, state
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure


@dataclass
class Amount:
    """A number of files and their bytes."""

    files: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """Count one more file."""
        self.files += 1
        self.size += size


@dataclass
class Preview:
    """What would be taken; what of it is new or changed since `since` (unix time, 0: all of it)."""

    since: int
    taken: Amount = field(default_factory=Amount)
    new: Amount = field(default_factory=Amount)
    left_out: Amount = field(default_factory=Amount)
    left_out_by: dict[str, int] = field(default_factory=dict)  # directory: bytes
    unreadable: int = 0
    unreadable_such_as: str = ""
    patterns_changed: bool = False  # since the last success, so all of it may be new
    nameless: int = 0  # names that are not UTF-8: taken, but borg's list does not spell them

    def largest(self, count: int) -> dict[str, int]:
        """Answer the directories of which most is left out, largest first."""
        return dict(sorted(self.left_out_by.items(), key=lambda pair: -pair[1])[:count])


def look(paths: Paths, bundle: Bundle) -> Preview:
    """Answer what a backup would do now; raises ServiceFailure as that would."""
    installed.usable()
    installed.require_running()  # what Python cannot start ends as borg ends that warned
    found = begin(paths, int(time.time()))
    listing = Listing(found)
    access = backup.access(paths, bundle)
    outcome = run_logged(
        command.argv(access, command.dry_create(access, backup.patterns(paths))),
        plain_environment(), timeout=None, on_record=listing,
    )
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    listing.finish()
    return found


def begin(paths: Paths, now: int) -> Preview:
    """Answer a preview of nothing, since the last success where what is older is in it."""
    success = state.read_last(paths).success
    if success > now:  # the clock was set back
        return Preview(0)
    changed = success > 0 and _changed(paths.settings_directory / "patterns", success)
    return Preview(0 if changed else success, patterns_changed=changed)


def _changed(file: Path, since: int) -> bool:
    """Tell whether a file of the user's, which each backup makes if it is not there, changed."""
    try:
        return os.stat(file).st_ctime >= since
    except OSError:
        return True


class Listing:
    """Adds up borg's list: `-` is taken, `x` left out, `E` not readable."""

    def __init__(self, found: Preview) -> None:
        self._found = found
        self._seen: set[tuple[int, int]] = set()  # files with several names, of which one counts
        self._skipped = ""  # a directory that was left out, as long as nothing below it is listed

    def __call__(self, record: Record) -> None:
        if record.kind != "file_status":
            return
        if not record.path.startswith(f"{self._skipped}/"):
            self.finish()
        self._skipped = ""
        if record.status == "E":
            self._cannot_read(record.path)
        else:
            self._look_at(record.path, left_out=record.status == "x")

    def finish(self) -> None:
        """Add what lies in the directory that was left out last."""
        if self._skipped:
            for status in _files_below(self._skipped):
                self._leave_out(self._skipped, status.st_size)
        self._skipped = ""

    def _look_at(self, path: str, *, left_out: bool) -> None:
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            self._found.nameless += not left_out
            return
        if left_out and stat.S_ISDIR(status.st_mode):
            self._skipped = path
        elif stat.S_ISREG(status.st_mode):
            if left_out:
                self._leave_out(os.path.dirname(path), status.st_size)
            elif not os.access(path, os.R_OK):
                self._cannot_read(path)
            elif status.st_nlink == 1 or (status.st_dev, status.st_ino) not in self._seen:
                self._take(status)

    def _take(self, status: os.stat_result) -> None:
        if status.st_nlink > 1:
            self._seen.add((status.st_dev, status.st_ino))
        self._found.taken.add(status.st_size)
        if status.st_ctime >= self._found.since:
            self._found.new.add(status.st_size)

    def _leave_out(self, directory: str, size: int) -> None:
        self._found.left_out.add(size)
        by = self._found.left_out_by
        by[directory] = by.get(directory, 0) + size

    def _cannot_read(self, path: str) -> None:
        self._found.unreadable += 1
        self._found.unreadable_such_as = self._found.unreadable_such_as or path


def _files_below(directory: str) -> Iterator[os.stat_result]:
    for where, _directories, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(os.path.join(where, name))
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield status
