"""Runs a program in a machine on a terminal of its own, joined to the person's terminal.

Runs in labctl on the host. A terminal cannot be shared: the program needs one that its session
can own, for job control and for password prompts.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import sys
import termios
import tty
from pathlib import Path

from .running import Execution


def run(path: Path, qube: str, command: list[str], user: str) -> int:
    """Run COMMAND on a new terminal until it ends; return its exit code."""
    ours, theirs = pty.openpty()
    _copy_size(ours)
    environment = {"TERM": os.environ.get("TERM", "dumb")}
    execution = Execution(path, qube, command, user, environment, None, (theirs,) * 3)
    os.close(theirs)
    signal.signal(signal.SIGWINCH, lambda number, frame: _copy_size(ours))
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        _pump(ours, execution)
        return execution.wait()
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        os.close(ours)


def _copy_size(terminal: int) -> None:
    """Give TERMINAL the size of the person's."""
    size = fcntl.ioctl(sys.stdin, termios.TIOCGWINSZ, bytes(8))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)


def _pump(ours: int, execution: Execution) -> None:
    """Carry bytes both ways until the program's end of the terminal is closed."""
    sources = [0, ours, execution.fileno()]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if ours in ready:
            try:
                data = os.read(ours, 65536)
            except OSError:
                # EIO: the last process that had the terminal closed it.
                return
            os.write(1, data)
        elif execution.fileno() in ready:
            return
        if 0 in ready:
            data = os.read(0, 65536)
            if data:
                os.write(ours, data)
            else:
                sources.remove(0)
