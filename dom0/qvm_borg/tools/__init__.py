"""The frame of every command: its parser, the lock, a stale gate, errors, exit codes.

Runs in dom0. Nothing is connected to before main() is called.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NoReturn

from qborg_wire.names import NameRefused
from qvm_borg import errors, gate, lock
from qvm_borg.qubes import System
from qvm_borg.report import Report
from qvm_borg.session import Session


class Stopped(BaseException):
    """A signal that asks to end; its number is the first argument."""


class Parser(argparse.ArgumentParser):
    """Argparse with our shape of errors, the command's docstring as its help."""

    def __init__(self, command: str, doc: str) -> None:
        summary, _, rest = doc.partition("\n\n")
        codes = "".join(f"  {kind.exit_code:<3} {kind.__doc__}\n" for kind in errors.table())
        super().__init__(
            command, description=summary, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=f"{rest}\nexit codes:\n  0   done\n  2   wrong usage\n{codes}"
                   "  130 Ctrl-C, 143 SIGTERM")
        self.add_argument("-v", "--verbose", action="store_true", help="show each call into a qube")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end with 2."""
        self.print_usage(sys.stderr)
        Report().error(errors.QvmBorgError(message, f"`{self.prog} --help` explains all options"))
        self.exit(2)


def _stop(number: int, _frame: object) -> NoReturn:
    raise Stopped(number)


def argument(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Answer a type for add_argument that tells what the parser of a name refuses."""
    def value(text: str) -> Any:
        try:
            return parse(text)
        except NameRefused as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return value


Work = Callable[[Session, argparse.Namespace], None]


def command(
    get_parser: Callable[[], Parser], work: Work, changes: bool = True
) -> Callable[..., int]:
    """Answer the command's main(args=None, app=None), which answers the exit code.

    One that changes nothing waits for no other.
    """
    def main(args: Sequence[str] | None = None, app: Any = None) -> int:
        options = get_parser().parse_args(args)
        return _run(options, work, app, changes and not vars(options).get("dry_run"))

    return main


def _run(options: argparse.Namespace, work: Work, app: Any, changes: bool) -> int:
    report = Report(options.verbose)
    before = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with ExitStack() as stack:
            if changes:
                stack.enter_context(lock.held())
                if gate.remove(gate.DIRECTORY):
                    report.say("a gate that a killed command had left open was closed")
            work(Session(System(app), report), options)
        return 0
    except errors.QvmBorgError as error:
        return report.error(error)
    except OSError as error:
        return report.error(errors.QvmBorgError(str(error), "look at the disk and its files"))
    except (KeyboardInterrupt, Stopped) as stopped:
        number = stopped.args[0] if stopped.args else signal.SIGINT
        report.error(errors.QvmBorgError("stopped", "run the command again: it goes on"))
        return 128 + int(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
