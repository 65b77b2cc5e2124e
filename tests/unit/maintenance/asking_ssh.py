#!/usr/bin/python3 -I
"""A stand-in for ssh at a terminal: it prints and asks what its one argument, a JSON list, says.

["say", TEXT], ["ask", TEXT] prints and reads a line into the file `heard`, ["sleep", S],
["flood"], ["exit", CODE]. What ssh does with a fingerprint, ["compare", FINGERPRINT] does: it
asks until the line is that, and gives up after one that is not.
"""

import json
import sys
import time
from pathlib import Path


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def ask(text: str, heard: Path) -> str:
    """Ask, and keep what was typed."""
    say(text)
    line = sys.stdin.readline()
    with heard.open("a", encoding="utf-8") as file:
        file.write(line)
    return line.strip()


def main() -> int:
    """Act."""
    heard = Path(sys.argv[2])
    for name, *rest in json.loads(sys.argv[1]):
        if name == "say":
            say(rest[0])
        elif name == "ask":
            ask(rest[0], heard)
        elif name == "compare":
            if ask("Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
                   heard) != rest[0]:
                ask("Please type 'yes', 'no' or the fingerprint: ", heard)
                return 255
        elif name == "sleep":
            time.sleep(rest[0])
        elif name == "flood":
            while True:
                say("welcome to this server, it is a very fine one\r\n" * 100)
        elif name == "exit":
            return int(rest[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
