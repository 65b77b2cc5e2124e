"""The user's settings of a client: how often, how fast, when not.

Runs in clients. The file is the user's; a line that says nothing sensible counts as a warning
and its default holds, for a slip must not end the backups.
"""

import re
from dataclasses import dataclass, replace

TEXT = """\
# How this qube backs up. Yours to edit: qubes-borg made it once and leaves it alone.
# Hours from one backup to the next while the qube runs, 1 to 8760. Without this line what dom0
# says holds (qvm-features QUBE vm-config.qborg-interval-hours HOURS), else 24.
# interval_hours = 24
# KiB per second at most, 0 for as fast as it goes.
upload_limit_kib = 0
# 1: no backup by this qube's own cron until this is 0 again. `qborg-run` by hand and what dom0
# starts work all the same; in dom0 `qvm-features QUBE vm-config.qborg-pause 1` pauses both.
pause = 0
# 1: none either while NetworkManager says that the network is metered. Most qubes have none, and
# cannot know; there dom0's pause does it.
pause_if_metered = 0
"""
_LINE = re.compile(r"([a-z_]{1,32})\s*=\s*([0-9]{1,9})")
_RANGES = {
    "interval_hours": range(1, 8761),
    "upload_limit_kib": range(10**8),
    "pause": range(2),
    "pause_if_metered": range(2),
}


@dataclass(frozen=True)
class Settings:
    """What the file says; `refused` holds the numbers of the lines that were not understood."""

    interval_hours: int | None = None  # None: the file does not say
    upload_limit_kib: int = 0
    pause: int = 0
    pause_if_metered: int = 0
    refused: tuple[int, ...] = ()


def parse(text: str) -> Settings:
    """Answer the settings of a file's text. Never raises."""
    values: dict[str, int] = {}
    refused = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.partition("#")[0].strip()
        match = _LINE.fullmatch(line)
        value = None if match is None else number_of(match[1], match[2])
        if match is not None and value is not None:
            values[match[1]] = value
        elif line:
            refused.append(number)
    return replace(Settings(refused=tuple(refused)), **values)


def number_of(name: str, untrusted_digits: str) -> int | None:
    """Answer the value of one setting, None if it is no number in its range. Never raises."""
    if re.fullmatch("[0-9]{1,9}", untrusted_digits) is None:
        return None
    value = int(untrusted_digits)
    return value if value in _RANGES.get(name, ()) else None
