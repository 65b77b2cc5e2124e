"""What comes next in a borgbak command line, for the shell's completion.

Runs in clients, at each TAB, with the words that stand before the one to complete.
"""

import sys
from collections.abc import Sequence

from qborg_client import borg_line
from qborg_client.borg_commands import TABLE

ARCHIVES = "archives"  # the shell asks for their names itself, and remembers them
FILES = "files"


def main(args: Sequence[str] | None = None) -> int:
    """Print what may come next: words, one on a line, or one word of the above."""
    arguments = list(sys.argv[1:] if args is None else args)
    print("\n".join(following(arguments)))
    return 0


def following(arguments: Sequence[str]) -> list[str]:
    """Answer borg's commands where one is wanted, else what the next word would be."""
    line = borg_line.read(arguments)
    commands = TABLE["commands"]
    if line.awaits:
        return [FILES]
    if line.command not in commands:
        before = f"{line.command} ".lstrip()
        names = [name.removeprefix(before) for name in commands if name.startswith(before)]
        return sorted({name.split()[0] for name in names}) or [FILES]
    wanted = len(line.words) < line.row.get("archives", 0)
    return [ARCHIVES] if wanted else [FILES]
