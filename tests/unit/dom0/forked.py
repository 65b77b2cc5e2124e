"""A service's far end as a forked child: it does what a liar does, and no interpreter is started.

An enrolment makes some twenty calls, and the tests of dom0 thousands: most of their time was the
start of Python. What is lied about the process itself is tested with a real one, in test_remote.
"""

import os
import signal
import sys
import time
import warnings
from contextlib import suppress
from subprocess import TimeoutExpired
from typing import IO, NoReturn

from unit.dom0 import liar


class Forked:
    """One child, with what dom0 uses of a Popen."""

    def __init__(self, actions: liar.Actions, stderr: IO[bytes] | None) -> None:
        (theirs, ours), (back, forth) = os.pipe(), os.pipe()
        with warnings.catch_warnings():  # what runs the tests has a thread, which the child lacks
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _become([theirs, forth, 2 if stderr is None else stderr.fileno()], actions)
        os.close(theirs)
        os.close(forth)
        self.stdin, self.stdout = open(ours, "wb"), open(back, "rb")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Answer the exit code, or None while it runs."""
        if self.returncode is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if done else None
        return self.returncode

    def wait(self, timeout: float = 600.0) -> int:
        """Answer the exit code once it has ended; raises TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutExpired("a forked service", timeout)
            time.sleep(0.001)
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        """End it, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _become(streams: list[int], actions: liar.Actions) -> NoReturn:
    """Be the service, in the child; nothing of the tests runs in it any more."""
    code = 70
    try:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
        # Also the ends of other calls, who wait for theirs; the folder's own is closed by then.
        for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2}:
            with suppress(OSError):
                os.close(descriptor)
        sys.stdin = open(0, encoding="utf-8")
        code = liar.act(actions)
    except BrokenPipeError:
        code = 141
    finally:
        os._exit(code)
