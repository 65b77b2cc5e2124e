"""What paths are in an archive: counted, and their names as far as anybody wants to read them.

Runs in clients. A name is any bytes but NUL, of whoever wrote the archive.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from qborg_borg import command
from qborg_borg.process import run_borg
from qborg_client import told
from qborg_service.failure import ServiceFailure

_ENTRY = re.compile(rb"(.) (0|[1-9][0-9]{0,14}) (0|[1-9][0-9]{0,9}) (.+)", re.DOTALL)
_LONGEST = 64 * 1024  # bytes of one entry; the system's own limit of a path is 4096


@dataclass
class Contents:
    """How many files and bytes, how many of the files are in this qube, how many are another's.

    names: of all, directories too, as many as a reply could hold; all: how many there are.
    """

    files: int = 0
    size: int = 0
    there: int = 0
    others: int = 0
    names: list[str] = field(default_factory=list)
    all: int = 0


def below(
    access: command.Access, archive: str, paths: Sequence[str],
    on_progress: Callable[[int], None], root: str = "/", stop: int | None = None,
) -> Contents:
    """Answer what `paths`, or without any everything, are in an archive; raises ServiceFailure.

    `root`: where a file is looked for that is in this qube. `stop`: ends borg, as in `run_borg`.
    """
    reader = _Reader(on_progress, root)
    tail = command.list_files(access, archive, paths)
    outcome = run_borg(tail, access, timeout=None, on_stdout=reader.take, stop=stop)
    if outcome.cause is not None:
        raise ServiceFailure(outcome.cause, outcome.detail)
    reader.end()
    if paths and not reader.found.all:
        raise ServiceFailure("source-missing", "not in that archive")
    return reader.found


@contextmanager
def others_beside(
    access: command.Access, archive: str, paths: Sequence[str]
) -> Iterator["Others"]:
    """Have those of another user counted while the block extracts, which says nothing of them.

    It takes one more borg, which reads no file's content, shares the repository's lock with the
    other one, and is ended if the block fails.
    """
    with ExitStack() as held:
        stop, holds = os.pipe()
        held.callback(os.close, stop)
        pool = held.enter_context(ThreadPoolExecutor(1))
        held.callback(os.close, holds)  # before the pool waits: what nobody holds can be read
        yield Others(pool, partial(below, access, archive, paths, stop=stop))


class Others:
    """Counts the files of another user in a list that is made beside a borg that extracts."""

    def __init__(
        self, pool: ThreadPoolExecutor, make: Callable[[Callable[[int], None]], Contents]
    ) -> None:
        self._pool, self._make = pool, make
        self._moved = threading.Event()
        self._listing: Future[Contents] | None = None

    def begin(self) -> Future[Contents]:
        """Begin the list if it is not begun yet, once the other borg has opened the repository.

        Where a crash has left the server's index behind, whoever opens it mends that, and waits
        until all who share the lock have gone: two who do so at once wait for each other.
        """
        if self._listing is None:
            self._listing = self._pool.submit(self._make, lambda _files: self._moved.set())
            self._listing.add_done_callback(lambda _listing: self._moved.set())
        return self._listing

    def count(self, tell: Callable[[], None]) -> int:
        """Wait for the number when the other borg has ended; raises ServiceFailure without one.

        `tell` is called as often as the list goes on meanwhile.
        """
        listing = self.begin()
        while not listing.done():
            self._moved.wait()
            self._moved.clear()
            tell()
        try:
            return listing.result().others
        except ServiceFailure as failure:
            if failure.cause != "locked":
                raise
        # Who has mended the index keeps the lock to its own end.
        return self._make(lambda _files: tell()).others


class _Reader:
    """Reads borg's list while it comes, and keeps no more of it than can be told."""

    def __init__(self, on_progress: Callable[[int], None], root: str) -> None:
        self.found, self._rest, self._length = Contents(), b"", 0
        self._on_progress, self._root = on_progress, os.fsencode(root)

    def take(self, untrusted_chunk: bytes) -> None:
        """Take the entries that a chunk ends; raises ServiceFailure for one without an end."""
        *untrusted_entries, self._rest = (self._rest + untrusted_chunk).split(b"\0")
        for untrusted_entry in untrusted_entries:
            self._count(untrusted_entry)
        self._on_progress(self.found.files)
        if len(self._rest) > _LONGEST:
            raise ServiceFailure("borg-failed", "its list of files has no end")

    def end(self) -> None:
        """Raise ServiceFailure if the list is cut."""
        if self._rest:
            raise ServiceFailure("borg-failed", "its list of files is cut")

    def _count(self, untrusted_entry: bytes) -> None:
        match = _ENTRY.fullmatch(untrusted_entry)
        if match is None:
            raise ServiceFailure("borg-failed", "its list of files is none")
        kind, size, owner, path = match.groups()
        found = self.found
        found.all += 1
        found.others += int(owner) != os.getuid()
        if kind != b"d":
            found.files += 1
            found.size += int(size)
            # A byte that borg could not print may stand for a file that is there.
            found.there += b"?" in path or os.path.lexists(os.path.join(self._root, path))
        if self._length <= told.LIMIT:
            found.names.append(f"/{os.fsdecode(path)}" + "/" * (kind == b"d"))
            self._length += len(path)
