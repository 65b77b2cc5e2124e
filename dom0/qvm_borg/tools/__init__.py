"""The frame of every command: the lock, what a killed one left open, errors, exit codes.

Runs in dom0. Nothing is connected to before main() is called.
"""

import argparse
import json
import os
import signal
import sys
import syslog
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, NoReturn, TextIO

from qborg_wire.row import Role
from qvm_borg import errors, gate, lock, telling, worker
from qvm_borg.qubes import System
from qvm_borg.report import Report
from qvm_borg.session import Session
from qvm_borg.tools.command_line import Parser


def _stop(number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)  # as Ctrl-C does, which tells no number


_AGAIN = "run the command again: it goes on"
Work = Callable[[Session, argparse.Namespace], None]


def command(name: str, work: Work) -> Callable[..., int]:
    """Answer the command's main(args=None, app=None), which answers the exit code.

    One that changes nothing, as a dry run or a status that rebuilds no record, waits for no other.
    """
    def main(args: Sequence[str] | None = None, app: Any = None) -> int:
        options = Parser(name).parse_args(args)
        changes = vars(options).get("resync", not vars(options).get("dry_run"))
        code = _run(options, work, app, changes)
        if changes:  # into the journal, of which no qube writes a word
            syslog.openlog(f"qvm-borg-{name}")
            syslog.syslog(syslog.LOG_WARNING if code else syslog.LOG_INFO, f"exit code {code}")
        return code

    return main


def apart(as_json: bool) -> redirect_stdout[TextIO]:
    """Answer a context for what is said beside JSON: it is not among it."""
    return redirect_stdout(sys.stderr if as_json else sys.stdout)


@contextmanager
def listed(as_json: bool, rows: Sequence[Any]) -> Iterator[None]:
    """Print the rows at the end, however that is, as JSON; what is said meanwhile is not of it."""
    try:
        with apart(as_json):
            yield
    finally:
        if as_json:
            print(json.dumps(rows, indent=2, default=vars), flush=True)


def _run(options: argparse.Namespace, work: Work, app: Any, changes: bool) -> int:
    report = Report(options.verbose, options.quiet)
    before = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with ExitStack() as stack:
            if changes:
                telling.load()  # of this release, whatever is installed meanwhile
                stack.enter_context(lock.held())
                if gate.remove(gate.DIRECTORY):
                    report.say("a gate that a killed command had left open was closed")
                    System(app).discard(Role.WORKER, worker.NAME)  # it works by an open gate
            work(Session(System(app), report), options)
        return 0
    except errors.QvmBorgError as error:
        return report.error(error)
    except BrokenPipeError:  # as behind `| head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if changes:
            report.error(errors.QvmBorgError("stopped, as nobody reads on", _AGAIN))
        return 128 + signal.SIGPIPE
    except OSError as error:
        return report.error(errors.QvmBorgError(str(error), "look at the disk and its files"))
    except KeyboardInterrupt as stopped:
        report.error(errors.QvmBorgError("stopped", _AGAIN))
        return 128 + int(stopped.args[0] if stopped.args else signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
