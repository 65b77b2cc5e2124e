"""qvm-borg-setup: what it does with its arguments; these and its help are data, setup.toml.

Runs in dom0.
"""

from qvm_borg import tools
from qvm_borg.setup import Ask, setup
from qvm_borg.tools import terminal


def person() -> Ask:
    """Answer what puts a question to the person at the terminal; None if there is none."""
    return _ask if terminal.is_there() else None


def _ask(question: str) -> bool:
    return terminal.typed(question).lower() in ("y", "yes")


main = tools.command("setup", lambda session, options: setup(session, options, person()))
