"""The guard over a swapped authorized_keys: it puts the old file back unless told to keep.

Runs in the maintenance qube as a process of its own. It holds the session that was made before
the swap, which no key file can end, and acts when its pipe closes or time is up: so a killed
service cannot lock anyone out.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

_SECONDS = 90.0
_KEEP, _UNDO = b"k", b"u"

# Answers whether the old file is surely there again; True tells it that the service is gone.
RollBack = Callable[[bool], bool]


class Verdict(Enum):
    """How a guard ended."""

    KEPT = 0
    ROLLED_BACK = 3
    LOST = 4


class Guard:
    """A running guard: `keep` or `roll_back` ends it."""

    def __init__(self, process_id: int, pipe: int) -> None:
        self._process_id, self._pipe = process_id, pipe
        self.ended = False

    def keep(self) -> Verdict:
        """Tell it that the new file is proved."""
        return self._finish(_KEEP)

    def roll_back(self) -> Verdict:
        """Tell it to put the old file back, and wait until it is there."""
        return self._finish(_UNDO)

    def _finish(self, word: bytes) -> Verdict:
        with _undisturbed():
            self.ended = True
            # A guard whose time was up does not listen any more; its exit code tells what it did.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pipe, word)
            os.close(self._pipe)
            _process_id, status = os.waitpid(self._process_id, 0)
        try:
            return Verdict(os.waitstatus_to_exitcode(status))
        except ValueError:
            return Verdict.LOST


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Have the service's deadline, and a person's Ctrl-C, wait for the end of the block.

    Else the session and the lock would be gone while the guard still works with them.
    """
    former = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM, signal.SIGINT))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextmanager
def guarded(roll_back: RollBack, held: tuple[int, ...]) -> Iterator[Guard]:
    """Run a guard during the block; leaving without `keep` rolls back.

    `held` are the descriptors that the guard shares with the service: the session's and the
    lock's.
    """
    reader, writer = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        verdict = Verdict.LOST
        try:
            verdict = _watch(reader, held, roll_back)
        finally:
            # Whatever happened, nothing may return into the service's code from here.
            os._exit(verdict.value)
    os.close(reader)
    guard = Guard(process_id, writer)
    try:
        yield guard
    finally:
        if not guard.ended:
            guard.roll_back()


def _watch(reader: int, held: tuple[int, ...], roll_back: RollBack) -> Verdict:
    os.setsid()
    _close_all_but(reader, *held)
    ready, _writable, _failed = select.select([reader], [], [], _SECONDS)
    word = os.read(reader, 1) if ready else b""
    if word == _KEEP:
        return Verdict.KEPT
    return Verdict.ROLLED_BACK if roll_back(word != _UNDO) else Verdict.LOST


def _close_all_but(*kept: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    low = 3
    for descriptor in sorted(kept):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, 1 << 20)
