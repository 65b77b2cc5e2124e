"""Restore in place: paths of the home back to where they were, over what is there.

Runs in clients. borg extracts into a directory of our own on the same volume, and each file is then
renamed over the one that is there: a run that is cut leaves either of the two, whole, and another
run extracts anew. From the first rename to the last a note says which archive it is, so that this
is gone on with: the latest by then could be of the half of it. What lies outside of the home
belongs to root, and a service of ours is not root.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from qborg_borg import archives, command
from qborg_borg.bundle import Bundle
from qborg_borg.process import run_borg
from qborg_client import begun, contents, restore
from qborg_client.backup import access
from qborg_client.paths import Paths, relative
from qborg_client.restore import Follower, OnProgress, Restored
from qborg_client.state import only_run
from qborg_service.failure import ServiceFailure, is_full
from qborg_service.files import write_private

# For an archive: the one that a cut run was putting in place of the same paths not long ago, while
# the repository has it, else the latest.
BEGUN = "begun:latest"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def run(
    paths: Paths, bundle: Bundle, archive: str, wanted: Sequence[str], on_progress: OnProgress
) -> Restored:
    """Restore `wanted` of the home over what is there; raises ServiceFailure.

    Until all of it is extracted nothing is touched. A file whose place is taken by a directory, or
    whose way leads over a link, stays away and is a warning. Our own state stays as it is.
    """
    inside = [_own_path(paths, path) for path in wanted]
    opened, stage = access(paths, bundle), paths.stage
    asked = begun.Asked(opened.url, archive, inside)
    left_out = [*restore.never(paths), relative(paths.state)]
    # No backup of a half of it; one that is under way, or a cut run of this, is waited for.
    with only_run(paths, lambda: on_progress(0, 0)), _staged(stage):
        name = named(paths, opened, asked, bundle.qube)
        with contents.others_beside(opened, name, inside) as of_others:
            follower = Follower(on_progress, of_others.begin)
            outcome = run_borg(
                command.extract(opened, name, inside, left_out), opened, timeout=None,
                on_record=follower, cwd=str(stage), writable=[stage, *restore.own_state(paths)],
            )
            restore.check(outcome)
            others = of_others.count(follower.tell)
        os.sync()
        with _noted(paths, asked.note(name)):
            placing = Placing(stage, on_progress)
            for path in inside:
                placing.place(path)
            placing.finish()
    warnings = outcome.warnings + others + placing.missed
    return Restored(name, placing.files, placing.size, warnings)


def named(paths: Paths, opened: command.Access, asked: begun.Asked, qube: str) -> str:
    """Answer the name of the archive that is asked for, by BEGUN too; raises ServiceFailure."""
    if asked.word != BEGUN:
        return archives.named(opened, asked.word, qube)
    note = begun.kept(paths.placing)
    # Another repository may have come to the same address, without that archive.
    if note is not None and note.digest == asked.digest and any(
        each.name == note.archive for each in archives.kept(opened)[0]
    ):
        return note.archive
    return archives.newest(opened, qube)


@contextmanager
def _noted(paths: Paths, note: bytes) -> Iterator[None]:
    """Keep a note for the block, which outlives a block that fails or is cut."""
    write_private(paths.placing, note)
    yield
    paths.placing.unlink()


def _own_path(paths: Paths, path: str) -> str:
    inside, home = restore.archive_path(path), relative(paths.home)
    if inside != home and not inside.startswith(f"{home}/"):
        raise ServiceFailure(
            "directory-refused",
            "outside of the home it is root's: restore it elsewhere, and copy it as root")
    return inside


@contextmanager
def _staged(stage: Path) -> Iterator[None]:
    """Have an empty directory for the block, and none after it."""
    _remove(stage)
    stage.mkdir(mode=0o700, parents=True)
    try:
        yield
    finally:
        _remove(stage)


def _remove(tree: Path) -> None:
    """Remove a tree, whatever modes its directories have."""
    for directory, directories, _files in os.walk(tree):
        for name in directories:
            _own(f"{directory}/{name}")
    with suppress(FileNotFoundError):
        shutil.rmtree(tree)


class Placing:
    """Moves what was extracted below `stage` to below `root`; counts what came and what did not."""

    def __init__(self, stage: Path, on_progress: OnProgress, root: str = "/") -> None:
        self.files = self.size = self.missed = 0
        self._stage, self._root, self._on_progress = stage, root, on_progress
        self._about: dict[str, tuple[os.stat_result, dict[str, bytes]]] = {}

    def place(self, path: str) -> None:
        """Move a file, or all below a directory; `path` is relative and does not climb."""
        top = str(self._stage / path)
        if not os.path.lexists(top):
            return  # it was moved with another path, above it
        if not _is_directory(top):
            self._move(os.path.dirname(path), os.path.dirname(top), [os.path.basename(path)])
            return
        self._look(top)
        for directory, directories, files in os.walk(top):
            here = os.path.relpath(directory, self._stage)
            links = [name for name in directories if os.path.islink(f"{directory}/{name}")]
            if not self._move(here, directory, [*files, *links]):
                del self._about[here]
                directories.clear()
            for name in directories:
                if name not in links:
                    self._look(f"{directory}/{name}")

    def _look(self, path: str) -> None:
        """Note what a directory is like before anything is moved, and see that it can be read."""
        about = os.lstat(path)
        _own(path)
        self._about[os.path.relpath(path, self._stage)] = about, _attributes(path)

    def finish(self) -> None:
        """Give the directories their modes, times and attributes, those below before those above.

        One that is not this user's stays as it is, and is counted.
        """
        for path, (about, attributes) in reversed(self._about.items()):
            try:
                with self._opened(path) as place:
                    for key, value in attributes.items():
                        os.setxattr(place, key, value)
                    os.chmod(place, stat.S_IMODE(about.st_mode))
                    os.utime(place, ns=(about.st_atime_ns, about.st_mtime_ns))
            except OSError:
                self.missed += 1

    def _move(self, path: str, source: str, names: Sequence[str]) -> bool:
        """Move files of one directory; answers whether there is the directory that they go to."""
        try:
            with self._opened(path) as place:
                for name in names:
                    self._replace(f"{source}/{name}", name, place)
            return True
        except OSError as error:
            if is_full(error):
                raise
            self.missed += sum(len(files) for _directory, _below, files in os.walk(source)) or 1
            return False

    def _replace(self, source: str, name: str, place: int) -> None:
        size = os.lstat(source).st_size
        try:
            os.replace(source, name, dst_dir_fd=place)
        except OSError as error:
            if is_full(error):
                raise
            self.missed += 1
            return
        self.files, self.size = self.files + 1, self.size + size
        self._on_progress(self.files, self.size)

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        """Open a directory below the root, each part of the way made if absent, none a link."""
        place = os.open(self._root, _DIRECTORY)
        try:
            for part in path.split("/") if path else ():
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=place)
                below = os.open(part, _DIRECTORY, dir_fd=place)
                os.close(place)
                place = below
            yield place
        finally:
            os.close(place)


def _is_directory(path: str) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _own(path: str) -> None:
    """Let this user read and write a directory; a link stays as it is."""
    if not os.path.islink(path):
        os.chmod(path, 0o700)


def _attributes(path: str) -> dict[str, bytes]:
    """Answer what a directory has beside mode and times: user attributes and access lists."""
    found = {}
    for key in os.listxattr(path, follow_symlinks=False):
        with suppress(OSError):
            found[key] = os.getxattr(path, key, follow_symlinks=False)
    return found
