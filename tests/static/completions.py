#!/usr/bin/python3
"""What bash's TAB offers behind each command of dom0, written of the command's own options.

Called by `make docs` to write it and by a test to compare it. Runs on a developer's host; at a
TAB no Python runs for it. How a value is found is in dom0/completions/qvm-borg.
"""

import sys
import textwrap
from argparse import Action
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / each) for each in ("dom0", "vm-services", "tests")]

from qborg_wire import data
from qvm_borg.tools import command_line
from qvm_borg.tools.command_line import Parser
from static.roles import SETUP

NAMES = [command.name.removeprefix("qvm-borg-") for command in SETUP.ROLES["dom0"].commands]
FILE = """\
# What TAB does behind qvm-borg-{name}, in bash; written by `make docs` of the command's options.

. "${{BASH_SOURCE[0]%/*}}/qvm-borg"

_qvm_borg_{name}() {{
    _qvm_borg {operands} \\
        {options}
}}

complete -F _qvm_borg_{name} qvm-borg-{name}
"""
# Templates; and what keeps packages of its own.
TEMPLATES = {"--template": "template", "--salt": "own-packages"}
NEW = {"--to-new", "--maintenance"}  # a qube that is not there yet has no name to offer


def row_of(name: str, flag: str) -> dict[str, Any]:
    """Answer what a command's table says of an option, also where another one's tells it."""
    own: dict[str, Any] = data.beside(command_line.__file__, name)["options"][flag]
    return row_of(own["like"], flag) if "like" in own else own


def kind(flag: str, action: Action, row: dict[str, Any]) -> str:
    """Answer what the value of an option is to be completed with."""
    if action.choices:
        return "|".join(action.choices)
    if flag in TEMPLATES:
        return TEMPLATES[flag]
    if row.get("type") == "RestoreFiles.archive":
        return "archive"
    return "qube" if "qube" in row.get("type", row["metavar"].lower()) and flag not in NEW else (
        "nothing")


def text(name: str) -> str:
    """Answer the file of a command."""
    parser, rows, operands = Parser(name), [], "0"
    for action in parser._actions:
        for flag in action.option_strings:
            takes = action.nargs != 0
            if flag.startswith("--"):
                known = kind(flag, action, row_of(name, flag)) if takes else ""
                rows.append(f"'{flag}={known}'" if takes else flag)
        if not action.option_strings and action.dest != "paths":
            operands = "many" if action.nargs in ("*", "+") else "1"
    lines = textwrap.wrap(" ".join(rows), 88, break_long_words=False, break_on_hyphens=False)
    return FILE.format(name=name, operands=operands, options=" \\\n        ".join(lines))


def written() -> dict[str, str]:
    """Answer every file by its name."""
    return {f"dom0/completions/qvm-borg-{name}": text(name) for name in NAMES}


if __name__ == "__main__":
    for file_name, shown in written().items():
        (ROOT / file_name).write_text(shown, encoding="ascii")
