"""The command line of a command in a qube: its module's docstring is its help.

Runs in every qube with a command. A service has none, and does not import this.
"""

import argparse
import sys
from typing import NoReturn


class _Parser(argparse.ArgumentParser):
    """What says what is wrong with a command line in our shape of errors."""

    def error(self, message: str) -> NoReturn:
        """Say it in one line, and what helps in another; ends with 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"error: {message}\nhint: `{self.prog} --help` explains all of it\n")


def parser(name: str, text: str | None) -> argparse.ArgumentParser:
    """Answer a parser without arguments yet; the first line of `text`, a docstring, sums up."""
    summary, _, rest = (text or "").partition("\n\n")
    return _Parser(
        name, description=summary, epilog=rest, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
