"""What a person reads while a command runs.

Runs in dom0. Everything passes one filter, so that no text moves the terminal's cursor; only the
block of progress, a line for each work that goes on, is written over itself on a terminal.
"""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from qborg_wire.reply import Progress, printable
from qvm_borg.errors import QvmBorgError

_LIMIT = 2000
_COLOURS = {"bad": "\x1b[31m", "hint": "\x1b[33m", "good": "\x1b[32m"}  # red, yellow, green
_LONG = 30 * 86400  # seconds; what would take longer is no estimate
_QUIET = 10.0  # seconds between two progress lines where there is no terminal


def size(count: int) -> str:
    """Answer a number of bytes as a person reads it."""
    thousands = min(4, (max(count, 1).bit_length() - 1) // 10)  # of 1024 each
    return f"{count / 1024**thousands:.1f} {'KMGT'[thousands - 1]}iB" if thousands else f"{count} B"


def moment(seconds: int) -> str:
    """Answer a time in seconds since 1970 as a person reads it, in their own time zone."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "?"


class Report:
    """Prints to standard output, errors to standard error."""

    def __init__(self, verbose: bool = False, quiet: bool = False) -> None:
        self._verbose, self._quiet = verbose, quiet
        self._terminal = sys.stdout.isatty() and not quiet
        self._begun: dict[str, float] = {}  # each work, by its name
        self._told: dict[str, float] = {}
        self._block: dict[str, str] = {}
        self._drawn = 0  # lines of the block on the terminal
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def say(self, text: str) -> None:
        """Print one line, but not for a person who wants none."""
        if not self._quiet:
            self.show(text)

    def show(self, text: str, colour: str = "") -> None:
        """Print one line that was asked for, on a terminal in a colour of _COLOURS."""
        begin, end = (_COLOURS[colour], "\x1b[0m") if colour and self._colours else ("", "")
        self._draw(f"{begin}{printable(text, _LIMIT)}{end}")

    def over(self, work: str) -> None:
        """Show a work's progress no more."""
        for known in (self._begun, self._told, self._block):
            known.pop(work, None)

    def _draw(self, *above: str) -> None:
        """Write lines where the block begins, and the block below them."""
        up, clear = (f"\x1b[{self._drawn}F", "\x1b[K") if self._drawn else ("", "")
        lines = "".join(f"{line}{clear}\n" for line in (*above, *self._block.values()))
        sys.stdout.write(up + lines + "\x1b[J" * bool(up))
        sys.stdout.flush()
        self._drawn = len(self._block)

    def detail(self, text: str) -> None:
        """Print one line if the person wants to see each call."""
        if self._verbose:
            self.say(f"      {text}")

    def step(self, steps: Sequence[str], name: str, text: str) -> None:
        """Print what became of one of the steps."""
        total = str(len(steps))
        self.say(f"[{steps.index(name) + 1:>{len(total)}}/{total}] {name:<10} {text}")

    def progress(self, progress: Progress, work: str, whole: int = 0) -> None:
        """Tell how far a work is: of the bytes that it had before, if that is known."""
        now, done = time.monotonic(), progress.size
        seconds = now - self._begun.setdefault(work, now)
        told = [f"{progress.files} files", size(done)] * bool(progress.files)
        if done and seconds >= 1:
            told.append(f"{size(int(done / seconds))}/s")
            left = seconds * (whole - done) / done
            if 0 < left < _LONG:  # both numbers are the qube's own
                told.append(f"{timedelta(seconds=int(left))} left")
        line = "      " + ": ".join(filter(None, (work, progress.stage, ", ".join(told))))
        if self._terminal:
            self._block[work] = printable(line, shutil.get_terminal_size().columns - 1)
            self._draw()
        elif now >= self._told.setdefault(work, now) + _QUIET and not self._quiet:
            self._told[work] = now
            self._draw(printable(line, _LIMIT))

    def error(self, error: QvmBorgError, work: str = "") -> int:
        """Print what went wrong, and in which work of several, and what to do, one line each.

        Answers the exit code.
        """
        said = f" {error.message} ".replace(":", " ")
        whose = f"{work}: " * (bool(work) and f" {work} " not in said)
        block, self._block = self._block, {}
        self._draw()
        print(f"error: {printable(whose + error.message, _LIMIT)}", file=sys.stderr)
        print(f"hint: {printable(error.hint, _LIMIT)}", file=sys.stderr, flush=True)
        self._block = block
        return error.exit_code
