#!/usr/bin/python3 -ISs
"""Login shell of the backup account: one command of a short list, nothing of a shell.

Runs on the lab's server only. Modelled on hosts that sell ssh and borg without a shell: no
pipes, redirections, lists, expansions or interactive login; whatever else is refused with 126.
While the lab watches the account (account.py), each command is noted, and one may be held.
A poorer account (/etc/lab/offers) has `borg serve` alone, with sftp or without.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
import time

WATCH = "/run/account"
OFFERED_BORG = "/etc/lab/borg"
COMMANDS = ("cat", "chmod", "cp", "dd", "df", "du", "ls", "mkdir", "mv", "rm", "stat", "touch")
SFTP = "/usr/lib/openssh/sftp-server"
OFFERS = "/etc/lab/offers"
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


def _offers() -> str:
    """Return what this account has: shell, sftp or borg."""
    try:
        with open(OFFERS, encoding="ascii") as stream:
            return stream.read().strip()
    except FileNotFoundError:  # outside a lab
        return "shell"


def main(arguments: list[str]) -> int:
    """Run the one command of `-c LINE`; return only when it is refused."""
    if len(arguments) != 2 or arguments[0] != "-c":
        return _refuse("there is no interactive login")
    words = _words(arguments[1])
    if not words:
        return _refuse("one plain command, please")
    name, offers = words[0], _offers()
    if words == [SFTP] and offers == "sftp":
        program = SFTP
    elif offers != "shell" and words[1:2] != ["serve"]:
        return _refuse("borg serve, and nothing else")
    elif name in COMMANDS and offers == "shell":
        program = f"/usr/bin/{name}"
    elif "/" not in name and os.path.islink(f"{OFFERED_BORG}/{name}"):
        program = f"{OFFERED_BORG}/{name}"
    else:
        return _refuse(f"{name}: not offered")
    environment = {"HOME": os.environ.get("HOME", "/"), "PATH": OFFERED_BORG, "LC_ALL": "C.UTF-8"}
    for key in ("SSH_ORIGINAL_COMMAND", "SSH_CONNECTION"):
        if key in os.environ:
            environment[key] = os.environ[key]
    if os.path.isdir(WATCH):
        return _watched(arguments[1], program, words, environment)
    os.execve(program, words, environment)


def _watched(line: str, program: str, words: list[str], environment: dict[str, str]) -> int:
    """Note the command and run it, standing still before or after it if it is to be held."""
    with open(f"{WATCH}/trace", "a+", encoding="utf-8") as trace:
        fcntl.flock(trace, fcntl.LOCK_EX)
        trace.seek(0)
        number = len(trace.readlines()) + 1
        trace.write(f"{line}\n")
    _hold("before", number)
    ended = os.spawnve(os.P_WAIT, program, words, environment)
    _hold("after", number)
    return ended if ended >= 0 else 128 - ended


def _hold(when: str, number: int) -> None:
    """Stand still as long as the lab's order holds this command."""
    order = f"{WATCH}/{when}-{number}"
    while os.path.exists(order):
        with open(f"{WATCH}/held", "w", encoding="ascii"):
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
