"""Who uses this qube: the programs of ordinary users that an idle session does not have.

Of root and the system's other users those count that have a terminal or that a qrexec call has
started; the rest are daemons. Runs in clients. Asked before dom0 shuts down a qube that it started,
so what is not known counts as use. A user can hide a program by its name, and harms nobody else.
"""

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qborg_wire import data

NONE, UNKNOWN = "none", "unknown"
_PATIENCE, _LOOK = 5.0, 0.25  # seconds: what a start or a look of cron's leaves ends by then
_USERS = 1000  # the first number of an ordinary user
_SYSTEM = range(61184, 65535)  # systemd's own users, and nobody
_LIMIT = 15  # characters that the kernel keeps of a name
_CALLS = "qrexec-agent"  # what starts what dom0 or another qube asks for, and each one's keeper
_IDLE = {name[:_LIMIT] for name in data.beside(__file__)["idle"]}
_CHILDREN = {tuple(part[:_LIMIT] for part in pair) for pair in data.beside(__file__)["children"]}


@dataclass(frozen=True)
class Process:
    """What /proc tells of a living process."""

    name: str
    parent: int
    used: bool  # of an ordinary user, or at a terminal


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
    except (OSError, ValueError, LookupError):
        return UNKNOWN
    for number in sorted(processes.keys() - {own, *_above(own, processes)}):
        each, above = processes[number], [processes[one].name for one in _above(number, processes)]
        if (each.used or _CALLS in above) and not _is_idle(each.name, above):
            return _told(each.name)
    return NONE


def _above(number: int, processes: Mapping[int, Process]) -> list[int]:
    """Answer what has started a process, and what that, up to the first one that is known."""
    found: list[int] = []
    while (number := processes[number].parent if number in processes else 0) in processes:
        if number in found:
            break
        found.append(number)
    return found


def _is_idle(name: str, above: Sequence[str]) -> bool:
    return name in _IDLE or (above[0] if above else "", name) in _CHILDREN


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
            about = (entry / "stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        lines = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        if lines["State"][:1] not in ("Z", "X"):
            users = [int(number) for number in lines["Uid"].split()]
            ordinary = any(user >= _USERS and user not in _SYSTEM for user in users)
            terminal = int(about.rpartition(")")[2].split()[4])  # a name may hold anything
            found[int(entry.name)] = Process(
                lines["Name"], int(lines["PPid"]), ordinary or terminal != 0)
    return found
