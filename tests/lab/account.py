"""What happens in the server's account, command by command, and a hold on any one of them.

Runs in pytest on the host. Its other half is account_shell.py, which changes nothing about a
command but the time that it takes.
"""

from __future__ import annotations

import shlex
import time
from typing import Any, Callable

WATCH = "/run/account"
# Moved away first: a command that is just noting itself would make a file while it is emptied.
_END = f"[ ! -e {WATCH} ] || mv {WATCH} {WATCH}.$$; rm -rf {WATCH}.$$"
_BEGIN = f"""set -eu
{_END}
mkdir -m 1777 {WATCH}
touch {WATCH}/trace {WATCH}/held
chmod 0666 {WATCH}/*
rm {WATCH}/held
"""


class Account:
    """The commands of the account, counted from 1 since `watch`."""

    def __init__(self, server_exec: Callable[..., Any]) -> None:
        self._exec = server_exec

    def watch(self) -> None:
        """Begin to note commands; nothing is held."""
        self._sh(_BEGIN)

    def unwatch(self) -> None:
        """Note nothing any more and let go whatever is held."""
        self._sh(_END)

    def commands(self) -> list[str]:
        """Return the command lines seen, in the order in which they began."""
        return str(self._sh(f"cat {WATCH}/trace").decode()).splitlines()

    def hold(self, number: int, when: str = "before") -> None:
        """Let the command of that number stand still `before` it begins or `after` its work."""
        self._sh(f"touch {shlex.quote(f'{WATCH}/{when}-{number}')}")

    def until_held(self, seconds: float = 90) -> None:
        """Wait until that command stands still."""
        deadline = time.monotonic() + seconds
        while self._exec(["test", "-e", f"{WATCH}/held"]).returncode != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("that command never came")
            time.sleep(0.02)

    def let_go(self) -> None:
        """Let it go on; what comes next is not held."""
        self._sh(f"rm -f {WATCH}/before-* {WATCH}/after-* {WATCH}/held")

    def _sh(self, script: str) -> bytes:
        output: bytes = self._exec(["/bin/sh", "-c", script], check=True).stdout
        return output
