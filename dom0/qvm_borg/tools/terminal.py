"""The person at the terminal, if there is one: a question, and what was typed.

Runs in dom0.
"""

import sys


def is_there() -> bool:
    """Answer whether a person can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def typed(question: str) -> str:
    """Answer what the person types; nothing where nobody can be asked."""
    try:
        return input(question).strip() if is_there() else ""
    except EOFError:
        return ""
