"""When the next scheduled backup is due, and whether the schedule is paused.

Runs in clients. The interval is the user's line in the settings, else what dom0 says of this qube,
else a day. Each of the two, and a metered network, can pause; nobody can take back another's pause.
What dom0 says is a feature of the qube, and reaches it by QubesDB also while it runs.
"""

import re
from dataclasses import dataclass

from qborg_client import settings
from qborg_client.settings import Settings
from qborg_client.state import Last
from qborg_service import process, qubesdb

DAY = 24  # hours
_INTERVAL, _PAUSE = "/vm-config/qborg-interval-hours", "/vm-config/qborg-pause"
_SLACK = 1800  # seconds; cron asks hourly, and a day should not become 25 hours
_METERED = (
    "/usr/bin/busctl", "--system", "--auto-start=no", "get-property",
    "org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager", "Metered",
)  # fmt: skip
# NetworkManager's numbers for yes and for a guessed yes.
_YES = re.compile("u [13]\n?")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Schedule:
    """Hours between two backups and who says so; why none is made, empty if one may be."""

    interval_hours: int
    whose: str
    paused: str
    slips: tuple[str, ...]  # what was not understood, a line each


def now_for(chosen: Settings) -> Schedule:
    """Answer what holds now; a word of dom0's that is not understood is a slip and no more."""
    interval, pause = (qubesdb.read(path) or "" for path in (_INTERVAL, _PAUSE))
    return compose(chosen, interval, pause, bool(chosen.pause_if_metered) and metered())


def compose(chosen: Settings, interval: str, pause: str, on_metered: bool) -> Schedule:
    """Answer the schedule of the user's settings and of dom0's two words, empty for none."""
    slips = [f"settings, line {number}: not understood" for number in chosen.refused]
    hours = settings.number_of("interval_hours", interval)
    if interval and hours is None:
        slips.append("dom0's vm-config.qborg-interval-hours: not a number from 1 to 8760")
    if pause not in ("", "0", "1"):
        slips.append("dom0's vm-config.qborg-pause: neither 0 nor 1")
    reasons = {
        "by dom0 (vm-config.qborg-pause)": pause == "1",
        "by `pause` in ~/.config/qubes-borg/settings": bool(chosen.pause),
        "while the network is metered": on_metered,
    }
    paused = next((reason for reason, holds in reasons.items() if holds), "")
    if chosen.interval_hours is not None:
        return Schedule(chosen.interval_hours, "settings", paused, tuple(slips))
    if hours is not None:
        return Schedule(hours, "dom0", paused, tuple(slips))
    return Schedule(DAY, "default", paused, tuple(slips))


def due_at(last: Last, interval_hours: int, now: int) -> int:
    """Answer from which time on a backup is due; a success in the future counts for nothing."""
    return now if last.success > now else last.success + interval_hours * 3600 - _SLACK


def metered() -> bool:
    """Tell whether a NetworkManager that runs here says so; where there is none, nobody knows."""
    try:
        told = process.run(_METERED, stdin=None, env=_ENVIRONMENT, timeout=10, limit=4096)
    except process.ProcessError:
        return False
    return told.code == 0 and is_metered(told.stdout)


def is_metered(untrusted_property: bytes) -> bool:
    """Tell whether busctl printed one of NetworkManager's two words for yes."""
    return _YES.fullmatch(untrusted_property.decode("ascii", "replace")) is not None
