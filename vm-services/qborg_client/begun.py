"""A directory that a restore fills: alone in it, and marked until all of the files are there.

Runs in the qube that gets the files. The mark says which archive was begun, so that another run
goes on with that one: of two archives, a file that was cut could pass for one that is restored.
"""

import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qborg_service.failure import ServiceFailure
from qborg_service.files import FileRefused, read_limited
from qborg_wire import names

MARK = ".qubes-borg-unfinished"
# The word that the archive was asked for by, the archive, and the digest of what of it.
_ARCHIVE, _DIGEST = names.ARCHIVE.pattern, names.DIGEST.pattern
_NOTE = re.compile(f"({_ARCHIVE}) ({_ARCHIVE}) ({_DIGEST})\n".encode("ascii"))
LIMIT = 400  # bytes of a note
LONG = 2 * 86400  # seconds, after which what was changed since matters more than a cut run
_CHOOSE = "choose a new one"


@dataclass(frozen=True)
class Asked:
    """What is extracted: `word` is an archive, or how one is found; paths as archives hold them."""

    repository: str
    word: str
    inside: Sequence[str]

    @property
    def digest(self) -> str:
        """Answer what tells the paths of one repository from any others."""
        whole = "\0".join([self.repository, *sorted(self.inside)])
        return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()

    def note(self, archive: str) -> bytes:
        """Answer what `read` reads again: that of this archive it was begun."""
        return f"{self.word} {archive} {self.digest}\n".encode("ascii")


@dataclass(frozen=True)
class Note:
    """What was begun: the word that its archive was asked for by, that archive, what of it."""

    word: str
    archive: str
    digest: str


def read(untrusted_note: bytes) -> Note | None:
    """Answer what a note says; a damaged one says nothing."""
    match = _NOTE.fullmatch(untrusted_note)
    return Note(*(part.decode("ascii") for part in match.groups())) if match else None


def kept(path: Path) -> Note | None:
    """Answer what was begun not long ago by the note in a file, if it is one.

    Of a clock that was set back, that counts as now.
    """
    try:
        untrusted_note, written = read_limited(path, LIMIT), path.lstat().st_mtime
    except (OSError, FileRefused):
        return None
    return read(untrusted_note) if time.time() - written < LONG else None


def below(place: Path, asked: Asked) -> str | None:
    """Answer the archive of which a cut run was extracting the same into a directory there."""
    notes = [kept(mark) for mark in sorted(place.glob(f"*/{MARK}"), reverse=True)]
    return next((note.archive for note in notes if note and note.digest == asked.digest), None)


@contextmanager
def alone(target: Path, asked: Asked, find: Callable[[], str]) -> Iterator[str]:
    """Make a directory and mark it, once a cut run that still works in it has ended.

    Answers the archive to extract: the one of the mark, else what `find` answers. If the work
    fails, what stayed empty is gone. Raises directory-refused where something else was begun.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        with ExitStack() as held, fresh(target):  # held to the end of what `fresh` takes away
            try:
                mark = os.open(target / MARK, flags, 0o600)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _refused(target, str(error.strerror)) from error
            held.callback(os.close, mark)
            fcntl.flock(mark, fcntl.LOCK_EX)
            if os.fstat(mark).st_nlink:
                yield _archive(mark, target, asked, find)
                (target / MARK).unlink(missing_ok=True)
                return


def _archive(mark: int, target: Path, asked: Asked, find: Callable[[], str]) -> str:
    """Answer the archive that the mark tells of, and write into a new one which it is."""
    if not stat.S_ISREG(os.fstat(mark).st_mode):
        raise _refused(target, "its mark is no file")
    untrusted_note = os.pread(mark, LIMIT, 0)
    if note := read(untrusted_note):
        if note.digest != asked.digest or asked.word not in (note.word, note.archive):
            raise _refused(
                target, f"{note.archive} was begun there, asked for otherwise; {_CHOOSE}")
        return note.archive
    if os.listdir(target) != [MARK]:
        if not untrusted_note:  # it is of this very run
            (target / MARK).unlink()
        raise _refused(target, f"it holds what nobody knows the archive of; {_CHOOSE}")
    archive = find()
    os.ftruncate(mark, 0)
    os.pwrite(mark, asked.note(archive), 0)
    os.fsync(mark)  # before there is a file that it speaks of
    return archive


def _refused(target: Path, reason: str) -> ServiceFailure:
    return ServiceFailure("directory-refused", f"{reason}: {target}")


@contextmanager
def fresh(target: Path) -> Iterator[None]:
    """Make the directories that are missing; if the work fails, take away what stayed empty."""
    try:
        missing = [path for path in (target, *target.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700)
    except OSError as error:
        raise _refused(target, str(error.strerror)) from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if os.listdir(target) == [MARK]:
                (target / MARK).unlink()
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise
