"""Who uses this qube: the programs of ordinary users that an idle session does not have.

Runs in clients. Asked before dom0 shuts down a qube that it started, so what is not known counts
as use. A user can hide a program by its name, and harms nobody else by it.
"""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qborg_wire import data

NONE, UNKNOWN = "none", "unknown"
_PATIENCE, _LOOK = 5.0, 0.25  # seconds: what a start or a look of cron's leaves ends by then
_USERS = 1000  # the first number of an ordinary user
_SYSTEM = range(61184, 65535)  # systemd's own users, and nobody
_LIMIT = 15  # characters that the kernel keeps of a name
_IDLE = {name[:_LIMIT] for name in data.beside(__file__)["idle"]}
_CHILDREN = {tuple(part[:_LIMIT] for part in pair) for pair in data.beside(__file__)["children"]}


@dataclass(frozen=True)
class Process:
    """What /proc tells of a living process."""

    name: str
    parent: int
    ordinary: bool  # of an ordinary user


def settled(proc: Path = Path("/proc")) -> str:
    """Answer a program that is used and does not end by itself within seconds, or none."""
    deadline = time.monotonic() + _PATIENCE
    while (found := used_by(proc, os.getpid())) != NONE and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return found


def used_by(proc: Path, own: int) -> str:
    """Answer a program that somebody uses, none or unknown; `own` is our process."""
    try:
        processes = _processes(proc)
    except (OSError, ValueError, KeyError):
        return UNKNOWN
    ours = set()
    while own in processes and own not in ours:
        ours.add(own)
        own = processes[own].parent
    for number in sorted(processes.keys() - ours):
        each = processes[number]
        above = processes.get(each.parent)
        if each.ordinary and not _is_idle(each.name, above.name if above else ""):
            return _told(each.name)
    return NONE


def _is_idle(name: str, above: str) -> bool:
    return name in _IDLE or (above, name) in _CHILDREN


def _told(name: str) -> str:
    told = re.sub("[^A-Za-z0-9_.+-]", "_", name)[:_LIMIT]
    return f"_{told}"[:_LIMIT] if told in ("", NONE) else told


def _processes(proc: Path) -> Mapping[int, Process]:
    """Answer all that live; raises where one cannot be read that is still there."""
    found = {}
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            text = (entry / "status").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        lines = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        if lines["State"][:1] not in ("Z", "X"):
            users = [int(number) for number in lines["Uid"].split()]
            ordinary = any(user >= _USERS and user not in _SYSTEM for user in users)
            found[int(entry.name)] = Process(lines["Name"], int(lines["PPid"]), ordinary)
    return found
