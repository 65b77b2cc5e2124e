"""User accounts of a machine, read from its own /etc/passwd and /etc/group.

Runs inside machines. The C library's look-up is not used: it was loaded from the host and could
load the machine's modules of another release.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USER_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"


class UnknownUser(Exception):
    """The machine has no such account."""


@dataclass(frozen=True)
class Account:
    """One account with its numeric groups (the primary one first)."""

    name: str
    uid: int
    groups: tuple[int, ...]
    home: str
    shell: str

    def login_environment(self) -> dict[str, str]:
        """Return the environment that PAM and a login shell give on Debian."""
        return {
            "HOME": self.home, "LOGNAME": self.name, "USER": self.name, "SHELL": self.shell,
            "PATH": _ROOT_PATH if self.uid == 0 else _USER_PATH,
        }  # fmt: skip


def _rows(path: str) -> list[list[str]]:
    """Return the colon-separated rows of PATH."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        return [line.rstrip("\n").split(":") for line in stream if line.count(":") >= 3]


def find(name: str) -> Account:
    """Return the account called NAME; UnknownUser when there is none."""
    for row in _rows("/etc/passwd"):
        if row[0] == name and len(row) == 7:
            primary = int(row[3])
            extra = [int(g[2]) for g in _rows("/etc/group") if name in g[3].split(",")]
            groups = (primary, *(gid for gid in extra if gid != primary))
            return Account(name, int(row[2]), groups, row[5], row[6] or "/bin/sh")
    raise UnknownUser(f"unknown user {name!r}")


def group_id(name: str) -> int:
    """Return the number of group NAME; UnknownUser when there is none."""
    for row in _rows("/etc/group"):
        if row[0] == name:
            return int(row[2])
    raise UnknownUser(f"unknown group {name!r}")


def become(account: Account) -> None:
    """Give up root for ACCOUNT."""
    os.setgroups(account.groups)
    os.setresgid(account.groups[0], account.groups[0], account.groups[0])
    os.setresuid(account.uid, account.uid, account.uid)
