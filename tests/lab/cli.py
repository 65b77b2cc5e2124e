"""labctl: bring a lab up for one command, or work with one that runs.

Runs on the host, from any directory. Every error a person can cause is one `error:` and one
`hint:` line; codes: 2 wrong words, 3 something missing on this machine, else the command's own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn, Sequence

from . import probe, terminal
from .channel import SOCKET
from .client import Lab
from .errors import LabError
from .ns import NamespaceError
from .owner import remove_stale, remove_state
from .running import Execution
from .template import TemplateError

ACTIONS = ("start", "shutdown", "kill", "pause", "unpause", "net-cut", "net-restore")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the words as every other error is said."""

    def error(self, message: str) -> NoReturn:
        """Raise LabError in place of printing the usage."""
        raise LabError(message, f"`{self.prog} --help` tells the words", 2)


def _parser() -> _Parser:
    """Return the command line's grammar."""
    parser = _Parser(prog="labctl", description="A simulated Qubes OS.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a command in dom0 of a lab brought up for it")
    run.add_argument("--world", metavar="FILE", help="TOML file or its name (`default`)")
    run.add_argument("--state", metavar="DIR", help="keep the lab here, and running")
    run.add_argument("--qubesadmin", metavar="DIR", help="directory of the genuine package")
    run.add_argument("--user", "-u", default="user")
    execute = commands.add_parser("exec", help="run a command in a qube of a running lab")
    execute.add_argument("qube")
    execute.add_argument("--user", "-u", default="user")
    shell = commands.add_parser("shell", help="a shell in a qube (default: dom0)")
    shell.add_argument("qube", nargs="?", default="dom0")
    shell.add_argument("--user", "-u", default="user")
    down = commands.add_parser("down", help="stop a lab that has a state directory")
    down.add_argument("--remove", action="store_true", help="and delete its state directory")
    others = [execute, shell, down, commands.add_parser("status", help="what runs")]
    for name in ACTIONS:
        action = commands.add_parser(name, help=f"{name} a qube, as dom0 would")
        action.add_argument("qube")
        others.append(action)
    for other in others:
        other.add_argument("--state", metavar="DIR", help="default: the lab started last")
    commands.add_parser("probe", help="say what is missing on this machine")
    return parser


def main(argv: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    words, command = list(argv), []
    if "--" in words:
        cut = words.index("--")
        words, command = words[:cut], words[cut + 1 :]
    try:
        options = _parser().parse_args(words)
        if options.command in ("run", "exec") and not command:
            raise LabError("no command given", "put it after --", 2)
        return _dispatch(options, command)
    except (TemplateError, NamespaceError) as error:
        return _failed(LabError(str(error), error.hint, 3))
    except LabError as error:
        return _failed(error)
    except OSError as error:
        hint = "give directories that you can write: --state DIR, XDG_CACHE_HOME"
        return _failed(LabError(str(error), hint))


def _failed(error: LabError) -> int:
    """Print an error for a person; return its status."""
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return error.status


def _dispatch(options: argparse.Namespace, command: list[str]) -> int:
    """Do one command."""
    if options.command == "probe":
        return _probe(required=False)
    if options.command == "run":
        missing = _probe(required=True)
        if missing:
            return missing
        with Lab.up(options.world, options.state, options.qubesadmin) as lab:
            return run_here(lab, "dom0", command, options.user)
    if options.command == "down":
        return _down(options)
    lab = Lab.attach(options.state)
    if options.command == "exec":
        return run_here(lab, options.qube, command, options.user)
    if options.command == "shell":
        return run_here(lab, options.qube, ["/bin/bash", "-l"], options.user)
    if options.command == "status":
        _print_status(lab)
    else:
        lab.do(options.command, options.qube)
    return 0


def _probe(required: bool) -> int:
    """Print what is missing; 0 when nothing is."""
    missing = probe.missing()
    for problem in missing:
        print(f"error: {problem.what}\nhint: {problem.mend}", file=sys.stderr)
    if not missing and not required:
        print("nothing is missing")
    return 3 if missing else 0


def _down(options: argparse.Namespace) -> int:
    """End a running lab; with --remove delete its directory, running or not."""
    try:
        lab = Lab.attach(options.state)
    except LabError:
        given = Path(options.state).resolve() if options.state else None
        if not options.remove or given is None or not (given / "lock").is_file():
            raise
        remove_state(given)
        return 0
    lab.down()
    if options.remove and lab.state.exists():
        remove_state(lab.state)
    remove_stale()
    return 0


def _print_status(lab: Lab) -> None:
    """Print a table for a person, or JSON into a pipe."""
    status = lab.status()
    if not sys.stdout.isatty():
        print(json.dumps(status, indent=2))
        return
    print(f"state {status['state']}\nworld {status['world']}")
    server = status["server"]
    print(f"server {server['user']}@{server['host']} ({server['address']}): {server['borg']}")
    for qube in status["qubes"]:
        columns = (qube[key] or "-" for key in ("name", "class", "state", "template", "netvm"))
        print("  " + " ".join(f"{column:<15}" for column in columns))


def run_here(lab: Lab, qube: str, command: list[str], user: str) -> int:
    """Run COMMAND with this process's own descriptors, on a terminal of its own if on one."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        return terminal.run(lab.state / SOCKET, qube, command, user)
    execution = Execution(lab.state / SOCKET, qube, command, user, None, None, (0, 1, 2))

    def forward(number: int, frame: FrameType | None) -> None:
        """Pass a signal on to the program."""
        execution.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    code = execution.wait()
    if execution.error:
        _failed(LabError(execution.error, "root and user are in every qube"))
    return code


def entry() -> None:
    """Run `main` as a program."""
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    sys.stdout.flush()
    os._exit(status)
