"""qborg-run: back up this qube, now or when it is due; or say what that would do.

Runs in clients, from cron and by hand. Every hour cron's own line looks whether it is time: what
that does not need is imported where it is used.
"""

import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import FrameType
from typing import TYPE_CHECKING

from qborg_borg.bundle import Bundle
from qborg_client import backup, generation, identity, journal, schedule, state
from qborg_client.paths import Paths, own_paths
from qborg_client.schedule import Schedule
from qborg_client.tools import hints
from qborg_service.failure import ServiceFailure
from qborg_wire.reply import printable

if TYPE_CHECKING:
    from argparse import ArgumentParser

_LARGEST = 20  # directories that --json names
_EXAMPLES = """\
What it takes stands in ~/.config/qubes-borg/patterns; how often, how fast and when not in
~/.config/qubes-borg/settings. `borgbak list` shows the archives. In dom0, for one qube:
  qvm-features work vm-config.qborg-interval-hours 6   every six hours, if its settings say nothing
  qvm-features work vm-config.qborg-pause 1            no scheduled backup until it is 0

examples:
  qborg-run --preview                   how much would be sent, and what is left out
  qborg-run -v                          back up now; say what each warning is about
  qborg-run --json | jq .sent           back up now, for a program
  journalctl -t qborg-run               what the runs did, also those of dom0
"""


@dataclass(frozen=True)
class Options:
    """What a person, or cron, has asked for."""

    scheduled: bool = False
    preview: bool = False
    verbose: bool = False
    quiet: bool = False
    json: bool = False


def main(args: Sequence[str] | None = None) -> int:
    """Back up; answer 0 if it is done or was not due, else 1 after telling why."""
    given = sys.argv[1:] if args is None else list(args)
    options = Options(scheduled=True) if given == ["--scheduled"] else _options(given)
    signal.signal(signal.SIGTERM, _end)
    try:
        return _run(own_paths(), options)
    except KeyboardInterrupt:
        return 130
    except (ServiceFailure, OSError) as error:
        other = isinstance(error, state.OtherRun)
        if options.scheduled and other:
            return 0
        failure = hints.as_failure(error)
        if not (options.preview or other):
            journal.failure(failure)
        if options.json:
            detail = printable(failure.detail, 200)
            print(json.dumps({"outcome": failure.cause, "detail": detail}))
        return hints.tell(failure)


def _run(paths: Paths, options: Options) -> int:
    bundle = generation.required(paths)
    identity.require_own(paths, bundle)
    chosen = backup.read_settings(paths)
    plan = schedule.now_for(chosen)
    if options.preview:
        return _preview(paths, bundle, plan, chosen.upload_limit_kib, as_json=options.json)
    if options.scheduled:
        return _scheduled(paths, bundle, plan)
    from qborg_client.tools import telling

    follower = telling.Follower(options.verbose)
    made = backup.run(paths, bundle, follower.progress, on_warning=follower.warning)
    if options.json:
        print(json.dumps(asdict(state.read_last(paths))))
    elif not options.quiet:
        telling.tell_made(made, plan, verbose=options.verbose)
    return 0


def _preview(paths: Paths, bundle: Bundle, plan: Schedule, limit: int, *, as_json: bool) -> int:
    from qborg_client import preview
    from qborg_client.tools import telling

    found, last = preview.look(paths, bundle), state.read_last(paths)
    if as_json:
        more = {"left_out_by": found.largest(_LARGEST), "schedule": asdict(plan),
                "upload_limit_kib": limit}  # fmt: skip
        print(json.dumps(asdict(found) | more))
    else:
        print(*telling.preview_lines(bundle, found, last, plan, limit), sep="\n")
    return 0


def _scheduled(paths: Paths, bundle: Bundle, plan: Schedule) -> int:
    """Back up if it is time; cron's mail gets nothing and the journal a line."""
    now = int(time.time())
    if now < schedule.due_at(state.read_last(paths), plan.interval_hours, now):
        return 0
    if plan.paused:
        journal.info(f"due, but paused {plan.paused}")
        return 0
    backup.run(paths, bundle, lambda _files, _size: None)
    for slip in plan.slips:
        journal.info(f"warning: {slip}")
    return 0


def parser() -> "ArgumentParser":
    """Answer what knows the options; what they may not be together, main() looks at."""
    from qborg_service import command_line

    summary = "Back up this qube to its repository, now."
    made = command_line.parser("qborg-run", f"{summary}\n\n{_EXAMPLES}")
    what = made.add_mutually_exclusive_group()
    what.add_argument(
        "--scheduled", action="store_true",
        help="for cron: only if it is due and not paused; says nothing when all is well",
    )
    what.add_argument(
        "--preview", action="store_true",
        help="only say how much would be sent and what is left out; nothing is written or asked",
    )
    how = made.add_mutually_exclusive_group()
    how.add_argument("-v", "--verbose", action="store_true",
                     help="show progress, and what each warning is about")
    how.add_argument("-q", "--quiet", action="store_true", help="say nothing when all is well")
    how.add_argument("--json", action="store_true", help="answer one JSON object on stdout")
    return made


def _options(args: Sequence[str]) -> Options:
    known = parser()
    options = Options(**vars(known.parse_args(args)))
    if options.scheduled and (options.verbose or options.quiet or options.json):
        known.error("--scheduled says nothing and takes no other option")
    return options


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave by an exception, so that what we started is ended with us."""
    raise SystemExit(128 + number)
