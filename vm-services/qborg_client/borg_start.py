"""How borgbak becomes borg: what borg finds in its environment, and which lock it waits for.

Runs in clients, at each start of borgbak, so it imports nothing that takes longer than it does
itself. It trusts two lines of the installed bundle, which was checked as a whole when it came; what
they do not look like is left to the whole check, which tells what is wrong.
"""

import os
import sys
from collections import namedtuple
from collections.abc import Mapping, Sequence

BORG = "/usr/bin/borg"
_OTHER_SECRETS = ("BORG_PASSPHRASE", "BORG_PASSPHRASE_FD")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")
_LIMIT = 8192  # characters
_PLACE = "ssh://bakserver/./repos/"


class Reach(namedtuple("Reach", ("url", "remote_borg", "ssh_command", "passcommand", "key_file"))):
    """What makes borg reach this qube's repository; the file of the key is None without one."""

    __slots__ = ()


def look(home: str) -> Reach | None:
    """Answer what the bundle of a home says, None if it cannot be told at a glance."""
    folder = f"{home}/.ssh/backups"
    lines = _text(f"{folder}/borgmatic.yaml").split("\n")
    url, borg = _quoted(lines, "    - path: "), _quoted(lines, "remote_path: ")
    name = url.removeprefix(_PLACE)
    if name == url or "/" in name or not all(_plain(word) for word in (name, borg, home)):
        return None
    key_file = f"{folder}/borgkey"
    return Reach(
        url, borg, f"ssh -F {folder}/bakserver", f"cat {folder}/borgpass",
        key_file if os.path.exists(key_file) else None,
    )


def _quoted(lines: Sequence[str], name: str) -> str:
    found = [line.removeprefix(name) for line in lines if line.startswith(name)]
    return found[0][1:-1] if len(found) == 1 and found[0][:1] == found[0][-1:] == '"' else ""


def _plain(word: str) -> bool:
    return bool(word) and _PLAIN.issuperset(word)


def environment(inherited: Mapping[str, str], reach: Reach) -> dict[str, str]:
    """Answer the environment of borg: the user's own, with the repository's said in it."""
    kept = {name: value for name, value in inherited.items() if name not in _OTHER_SECRETS}
    key = {} if reach.key_file is None else {"BORG_KEY_FILE": reach.key_file}
    return kept | key | {
        "BORG_PASSCOMMAND": reach.passcommand,
        "BORG_REMOTE_PATH": reach.remote_borg,
        "BORG_REPO": reach.url,
        "BORG_RSH": reach.ssh_command,
    }


def backup_runs(home: str) -> bool:
    """Tell whether a backup of this qube holds its lock; it is not tried, cron may want it."""
    try:
        inode = str(os.stat(f"{home}/.local/state/qubes-borg/lock").st_ino)
        with open("/proc/locks", encoding="ascii") as file:
            locks = [line.split() for line in file]
    except OSError:
        return False
    return any("FLOCK" in lock and lock[-3].rpartition(":")[2] == inode for lock in locks)


def another_borg(home: str) -> bool:
    """Tell whether a borg in this qube has locked its cache of a repository at our server.

    The lock is a file that names the process (borg 1.2 and 1.4); borg passes over a dead one's.
    """
    caches = f"{home}/.cache/borg"
    for cache in _names(caches):
        for holder in _names(f"{caches}/{cache}/lock.exclusive"):
            number = holder.rpartition(".")[2].partition("-")[0]
            if number.isdecimal() and os.path.exists(f"/proc/{number}"):
                return _text(f"{home}/.config/borg/security/{cache}/location").startswith(_PLACE)
    return False


def _names(folder: str) -> Sequence[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return ()


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read(_LIMIT)
    except (OSError, ValueError):
        return ""


def become_borg(arguments: Sequence[str], variables: Mapping[str, str], wait: str) -> None:
    """Be borg from here on; raises OSError if that is not possible.

    `wait` seconds for a lock, unless the arguments say otherwise: of two numbers the later wins.
    """
    sys.stderr.flush()
    os.execve(BORG, [BORG, "--lock-wait", wait, *arguments], variables)
