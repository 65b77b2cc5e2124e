"""Running a set-up in the tests, with a person at a terminal or without."""

import argparse

from qvm_borg.setup import setup
from qvm_borg.tools.command_line import Parser
from unit.dom0.honest import HOST_KEY, Honest

SERVER = ("--server", "zh1@backup.example")
CONFIRMED = (*SERVER, "--fingerprint", HOST_KEY)


def options(*args: str) -> argparse.Namespace:
    """Answer a command line's options."""
    return Parser("setup").parse_args(args)


def run(machine: Honest, *args: str, says: bool | None = None) -> list[str]:
    """Set up; `says` is the person's answer, None stands for no terminal."""
    machine.app.trace.clear()
    setup(machine.session(), options(*args), None if says is None else lambda _question: says)
    return list(machine.app.trace)
