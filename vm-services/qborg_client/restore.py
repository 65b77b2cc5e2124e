"""Restore: extract paths of an archive into a fresh directory, or all of it to where it was.

Runs in the qube that gets the files. What ssh and borg trust is left out. Nothing that exists is
written over, as the directory is new, empty, or what a cut run of this has begun; but for the home
of a qube that was made again.
"""

import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qborg_borg import archives, command
from qborg_borg.bundle import Bundle
from qborg_borg.outcome import Outcome, Record
from qborg_borg.process import run_borg
from qborg_client import begun, contents, sources
from qborg_client.backup import access
from qborg_client.paths import Paths, relative
from qborg_client.state import only_run
from qborg_service.failure import ServiceFailure

_LIST = "borg.output.list"
_NEVER_MATCHED = "never matched."
# To borg, a file that it cannot write for want of space is worth a warning.
_FULL = re.compile(r"\[Errno (?:28|122)\]")
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Restored:
    """What was extracted: from which archive, how many files, how many bytes.

    warnings: how many are not as they were.
    """

    archive: str
    files: int
    size: int
    warnings: int

    def reply(self) -> dict[str, str]:
        """Answer it as the services that restore tell it."""
        return {"archive": self.archive, "files": str(self.files), "bytes": str(self.size),
                "warnings": str(self.warnings)}  # fmt: skip


def run(
    paths: Paths, bundle: Bundle, archive: str, wanted: Sequence[str], directory: str,
    on_progress: OnProgress,
) -> Restored:
    """Extract `wanted` (nothing: everything) below `directory`; raises ServiceFailure."""
    inside = [archive_path(path) for path in wanted]
    target = checked_directory(paths, directory)
    opened = access(paths, bundle)
    return extract(opened, bundle.qube, archive, inside, never(paths), target, own_state(paths),
                   on_progress)  # fmt: skip


def extract(
    access: command.Access, qube: str, archive: str, inside: Sequence[str],
    left_out: Sequence[str], target: Path, writable: Sequence[Path], on_progress: OnProgress,
) -> Restored:
    """Extract into a checked directory, and let borg write there and into `writable` alone.

    Where a cut run has begun, its archive is gone on with. A file that is another user's is this
    one's then, and a warning. Raises ServiceFailure.
    """
    asked = begun.Asked(access.url, archive, inside)
    with (begun.alone(target, asked, lambda: archives.named(access, archive, qube)) as name,
          contents.others_beside(access, name, inside) as of_others):  # fmt: skip
        follower = Follower(on_progress, of_others.begin)
        outcome = run_borg(
            command.extract(access, name, inside, [*left_out, begun.MARK]), access, timeout=None,
            on_record=follower, cwd=str(target), writable=[target, *writable],
        )
        check(outcome)
        others = of_others.count(follower.tell)
    files, size = _count(target)
    return Restored(name, files, size, outcome.warnings + others)


def own_state(paths: Paths) -> list[Path]:
    """Answer the directories that this qube's borg keeps its memory in, made if absent."""
    found = [paths.home / ".config" / "borg", paths.home / ".cache" / "borg"]
    for path in found:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def bring_back(
    paths: Paths, bundle: Bundle, archive: str, directory: str, on_progress: OnProgress
) -> Restored:
    """Extract the home over the one that is here, and what was outside of it below `directory`.

    What lies there already is of a run that was cut, so it is written over. Our own state stays:
    it is of another qube's backups. Raises ServiceFailure.
    """
    target = checked_directory(paths, directory, over=True)
    opened, files, size, warnings = access(paths, bundle), 0, 0, 0
    name = archives.named(opened, archive, bundle.qube)
    home, state = relative(paths.home), relative(paths.state)
    parts = [(Path("/"), paths.home, command.extract(opened, name, [home], [*never(paths), state])),
             (target, target, command.extract(opened, name, [], [home]))]  # fmt: skip
    with (only_run(paths), begun.fresh(target),  # no backup of a half of it
          contents.others_beside(opened, name, []) as of_others):  # fmt: skip
        for root, place, tail in parts:
            follower = Follower(on_progress, of_others.begin, files, size)
            outcome = run_borg(tail, opened, timeout=None, on_record=follower, cwd=str(root),
                               writable=[place, *own_state(paths)])
            check_written(outcome)
            files, size = follower.told
            warnings += outcome.warnings
        warnings += of_others.count(follower.tell)
    with suppress(OSError):  # nothing was outside of the home
        target.rmdir()
    return Restored(name, files, size, warnings)


def never(paths: Paths) -> list[str]:
    """Answer what is never extracted, as archives hold it."""
    return [path.lstrip("/") for path in sources.never(paths)]


def archive_path(untrusted_path: str) -> str:
    """Answer a path as archives hold it: relative, in its shortest form.

    Raises ServiceFailure for one that climbs or names the whole machine.
    """
    parts = [part for part in untrusted_path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ServiceFailure("source-missing", "a path that names nothing, or climbs with ..")
    return "/".join(parts)


def checked_directory(paths: Paths, directory: str, over: bool = False) -> Path:
    """Answer the target, fit to be extracted into: an empty one, or one that a cut run has begun.

    `over`: also without its mark, for a directory that nothing else is extracted into.
    Raises ServiceFailure directory-refused.
    """
    target = Path(directory)
    if not target.is_absolute() or ".." in target.parts:
        raise ServiceFailure("directory-refused", "not an absolute path, or one that climbs")
    try:
        reason = _objection(paths, target, over)
    except OSError as error:
        reason = str(error.strerror)
    if reason is not None:
        raise ServiceFailure("directory-refused", f"{reason}: {target}")
    return target


def _objection(paths: Paths, target: Path, over: bool) -> str | None:
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
    over = over or os.path.lexists(target / begun.MARK)
    return "not empty; choose a new one" if not over and any(target.iterdir()) else None


class Follower:
    """Counts the names and bytes that borg tells while it extracts, beside those before.

    `on_open`: called once the repository is open, and again at whatever progress there is.
    """

    def __init__(
        self, on_progress: OnProgress, on_open: Callable[[], object], files: int = 0, size: int = 0
    ) -> None:
        self._on_progress, self._on_open = on_progress, on_open
        self._before, self.told = size, (files, size)

    def __call__(self, record: Record) -> None:
        files, size = self.told
        if record.kind == "progress_percent":  # the first one is told before any file
            self._on_open()
            if record.size:
                size = self._before + record.size
        self.told = files + (record.name == _LIST), size
        self.tell()

    def tell(self) -> None:
        """Tell it once more: the work goes on."""
        self._on_progress(*self.told)


def check_written(outcome: Outcome) -> None:
    """Raise ServiceFailure if borg failed, or lacked the space for a file."""
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    if any(_FULL.search(record.message) for record in outcome.records):
        raise ServiceFailure("no-space", "not every file could be written")


def check(outcome: Outcome) -> None:
    """Raise ServiceFailure for that, or if a path is in no archive."""
    check_written(outcome)
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
