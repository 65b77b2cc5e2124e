"""What qborg-run tells a person: what was made, what would be, what happens meanwhile.

Runs in clients. Names of files may hold anything, and borg's warnings name them.
"""

import sys
import time
from collections.abc import Iterator

from qborg_borg.bundle import Bundle
from qborg_client import schedule
from qborg_client.backup import Backup
from qborg_client.preview import Amount, Preview
from qborg_client.schedule import Schedule
from qborg_client.state import Last
from qborg_wire.reply import printable

_LARGEST = 3  # directories that are named
_PAUSE = 5.0  # seconds between two lines of progress
_WIDTH = 300  # characters of a warning
_SAID = {"dom0": "dom0 says so", "settings": "your settings say so", "default": "by default"}


class Follower:
    """Shows progress and warnings of a run as they come, or none of them."""

    def __init__(self, verbose: bool) -> None:
        self._verbose, self._next = verbose, 0.0

    def progress(self, files: int, size: int) -> None:
        """Show how far it is, now and then."""
        if self._verbose and files and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            print(f"{files:,} files, {as_size(size)}", file=sys.stderr, flush=True)

    def warning(self, untrusted_message: str) -> None:
        """Show what borg warns of."""
        message = printable(untrusted_message, _WIDTH)
        del untrusted_message
        if self._verbose:
            print(f"warning: {message}", file=sys.stderr, flush=True)


def tell_made(made: Backup, plan: Schedule, *, verbose: bool) -> None:
    """Print a finished backup, and on stderr what a person should know beside it."""
    for slip in plan.slips:
        print(f"warning: {slip}", file=sys.stderr)
    print(made.line)
    if made.warnings and not (verbose or plan.slips):
        print("hint: `qborg-run -v` says what the warnings are about", file=sys.stderr)
    if plan.paused:
        print(f"note: scheduled backups are paused {plan.paused}", file=sys.stderr)


def preview_lines(
    bundle: Bundle, found: Preview, last: Last, plan: Schedule, limit_kib: int
) -> Iterator[str]:
    """Answer the lines of a preview, a dozen at most."""
    yield f"{bundle.qube} as {bundle.repository}: {_history(last)}"
    yield f"takes      {_amount(found.taken)}"
    since = " new or changed since" if found.since else ""
    if found.patterns_changed:
        since = ", old ones too: the patterns changed since"
    yield f"sends      at most {_amount(found.new)}{since};"
    yield "           less what compresses or is in the repository, and the list of files"
    if limit_kib:
        seconds = found.new.size / 1024 / limit_kib
        yield f"           at {limit_kib} KiB/s: at most {seconds / 60:,.0f} minutes"
    yield f"leaves out {_amount(found.left_out)}"
    for directory, size in found.largest(_LARGEST).items():
        yield f"           {as_size(size):>10}  {printable(directory, 80)}"
    if found.unreadable:
        such_as = printable(found.unreadable_such_as, 80)
        yield f"unreadable {found.unreadable:,}, such as {such_as}: left out, each with a warning"
    yield f"schedule   every {plan.interval_hours} hours ({_SAID[plan.whose]}); {_next(last, plan)}"


def _history(last: Last) -> str:
    if not last.success:
        return f"no backup yet (the last run: {last.outcome})"
    ended = "" if last.outcome == "ok" else f"; the last run: {last.outcome}"
    return f"backed up {_clock(last.success)}{ended}"


def _next(last: Last, plan: Schedule) -> str:
    if plan.paused:
        return f"paused {plan.paused}"
    now = int(time.time())
    due = schedule.due_at(last, plan.interval_hours, now)
    return "due now" if due <= now else f"due from {_clock(due)} on"


def _clock(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _amount(amount: Amount) -> str:
    return f"{as_size(amount.size)} in {amount.files:,} files"


def as_size(size: float) -> str:
    """Answer a number of bytes as a person reads it."""
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
