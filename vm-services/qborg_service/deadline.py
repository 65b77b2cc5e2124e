"""The time a service may take, as an alarm of the process.

Runs in every qube with a service, in the main thread.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class DeadlinePassed(BaseException):
    """Time is up. No Exception, so that no handler swallows it."""


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise DeadlinePassed


def rearm(seconds: float) -> None:
    """Let the alarm ring `seconds` from now."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise DeadlinePassed inside the block when it takes longer than `seconds`."""
    former = signal.signal(signal.SIGALRM, _ring)
    rearm(seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
