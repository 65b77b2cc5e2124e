#!/usr/bin/python3 -ISs
"""Login shell of the backup account: one command of a short list, nothing of a shell.

Runs on the lab's server only. Modelled on hosts that sell ssh and borg without a shell: no
pipes, redirections, lists, expansions or interactive login; whatever else is refused with 126.
"""

from __future__ import annotations

import os
import shlex
import sys

OFFERED_BORG = "/etc/lab/borg"
COMMANDS = ("cat", "chmod", "cp", "dd", "df", "du", "ls", "mkdir", "mv", "rm", "stat", "touch")
REFUSED = 126
_OPERATORS = frozenset("();<>|&")


def _refuse(reason: str) -> int:
    """Say why on stderr; return the exit status."""
    print(f"refused: {reason}", file=sys.stderr)
    return REFUSED


def _words(line: str) -> list[str] | None:
    """Split a command line; None when it holds anything that only a shell understands."""
    if any(character in line for character in "$`\n\0"):
        return None
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return None
    # An operator is always a word of its own here; the quoted one is refused with it.
    if any(word and set(word) <= _OPERATORS for word in words):
        return None
    return words


def main(arguments: list[str]) -> int:
    """Run the one command of `-c LINE`; return only when it is refused."""
    if len(arguments) != 2 or arguments[0] != "-c":
        return _refuse("there is no interactive login")
    words = _words(arguments[1])
    if not words:
        return _refuse("one plain command, please")
    name = words[0]
    if name in COMMANDS:
        program = f"/usr/bin/{name}"
    elif "/" not in name and os.path.islink(f"{OFFERED_BORG}/{name}"):
        program = f"{OFFERED_BORG}/{name}"
    else:
        return _refuse(f"{name}: not offered")
    environment = {"HOME": os.environ.get("HOME", "/"), "PATH": OFFERED_BORG, "LC_ALL": "C.UTF-8"}
    for key in ("SSH_ORIGINAL_COMMAND", "SSH_CONNECTION"):
        if key in os.environ:
            environment[key] = os.environ[key]
    os.execve(program, words, environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
