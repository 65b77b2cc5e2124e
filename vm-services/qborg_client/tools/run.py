"""qborg-run: back up this qube, now or when it is due.

Runs in clients, from cron and by hand.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from qborg_client import backup, generation, identity, state
from qborg_client.paths import Paths, own_paths
from qborg_client.tools import hints
from qborg_service.failure import ServiceFailure


def main(args: Sequence[str] | None = None) -> int:
    """Back up; answer 0 if it is done or was not due, else 1 after telling why."""
    options = _parser().parse_args(args)
    signal.signal(signal.SIGTERM, _end)
    paths = own_paths()
    try:
        return _run(paths, scheduled=options.scheduled)
    except ServiceFailure as failure:
        if options.scheduled and failure.cause == "locked":
            return 0
        return hints.tell(failure)
    except OSError as error:
        return hints.tell_system(error)
    except KeyboardInterrupt:
        return 130


def _run(paths: Paths, *, scheduled: bool) -> int:
    bundle = generation.required(paths)
    identity.require_own(bundle)
    chosen = backup.read_settings(paths)
    if scheduled and not state.due(state.read_last(paths), chosen.interval_hours, int(time.time())):
        return 0
    made = backup.run(paths, bundle, lambda _files, _size: None)
    if not scheduled:
        for number in chosen.refused:
            print(f"warning: settings, line {number}: not understood", file=sys.stderr)
        print(f"{made.archive}: {made.files} files, {made.size} bytes, "
              f"{made.sent} new, {made.warnings} warnings")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qborg-run", description="Back up this qube to its repository.", allow_abbrev=False,
        epilog="What it takes stands in ~/.config/qubes-borg/patterns, how often in "
               "~/.config/qubes-borg/settings. `borgbak list` shows the archives.",
    )
    parser.add_argument(
        "--scheduled", action="store_true",
        help="only if the last success is older than interval_hours; says nothing when all is well",
    )
    return parser


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave by an exception, so that what we started is ended with us."""
    raise SystemExit(128 + number)
