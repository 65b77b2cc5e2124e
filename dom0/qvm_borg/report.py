"""What a person reads while a command runs.

Runs in dom0. Everything passes one filter, so that no text moves the terminal's cursor; only the
progress line of a terminal rewrites itself.
"""

import sys
import time
from collections.abc import Sequence

from qborg_wire.reply import Progress, printable
from qvm_borg.errors import QvmBorgError

_LIMIT = 2000
_QUIET = 10.0  # seconds between two progress lines where there is no terminal


def size(count: int) -> str:
    """Answer a number of bytes as a person reads it."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


class Report:
    """Prints to standard output, errors to standard error."""

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._terminal = sys.stdout.isatty()
        self._shown, self._width = time.monotonic(), 0

    def say(self, text: str) -> None:
        """Print one line."""
        if self._width:
            sys.stdout.write("\r" + " " * self._width + "\r")
            self._width = 0
        print(printable(text, _LIMIT), flush=True)

    def detail(self, text: str) -> None:
        """Print one line if the person wants to see each call."""
        if self._verbose:
            self.say(f"      {text}")

    def step(self, steps: Sequence[str], name: str, text: str) -> None:
        """Print what became of one of the steps."""
        total = str(len(steps))
        self.say(f"[{steps.index(name) + 1:>{len(total)}}/{total}] {name:<10} {text}")

    def progress(self, progress: Progress) -> None:
        """Tell how far long work is, rewriting the line on a terminal."""
        done = f": {progress.files} files, {size(progress.size)}" if progress.files else ""
        line = f"      {progress.stage}{done}"
        if self._terminal:
            sys.stdout.write("\r" + line.ljust(self._width))
            sys.stdout.flush()
            self._width = len(line)
        elif time.monotonic() >= self._shown + _QUIET:
            self._shown = time.monotonic()
            self.say(line)

    def error(self, error: QvmBorgError) -> int:
        """Print what went wrong and what to do, one line each; answers the exit code."""
        if self._width:
            print(flush=True)
            self._width = 0
        print(f"error: {printable(error.message, _LIMIT)}", file=sys.stderr)
        print(f"hint: {printable(error.hint, _LIMIT)}", file=sys.stderr, flush=True)
        return error.exit_code
