"""The user's settings of a client: how often, how fast.

Runs in clients. The file is the user's; a line that says nothing sensible counts as a warning
and its default holds, for a slip must not end the backups.
"""

import re
from dataclasses import dataclass

TEXT = """\
# How this qube backs up. Yours to edit: qubes-borg made it once and leaves it alone.
# Hours from one backup to the next while the qube runs, 1 to 8760.
interval_hours = 24
# KiB per second at most, 0 for as fast as it goes.
upload_limit_kib = 0
"""
_LINE = re.compile(r"([a-z_]{1,32})\s*=\s*([0-9]{1,9})")
_RANGES = {"interval_hours": range(1, 8761), "upload_limit_kib": range(0, 10**8)}


@dataclass(frozen=True)
class Settings:
    """What the file says; `refused` holds the numbers of the lines that were not understood."""

    interval_hours: int = 24
    upload_limit_kib: int = 0
    refused: tuple[int, ...] = ()


def parse(text: str) -> Settings:
    """Answer the settings of a file's text. Never raises."""
    values: dict[str, int] = {}
    refused = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.partition("#")[0].strip()
        match = _LINE.fullmatch(line)
        if match is not None and int(match[2]) in _RANGES.get(match[1], ()):
            values[match[1]] = int(match[2])
        elif line:
            refused.append(number)
    defaults = Settings()
    return Settings(
        values.get("interval_hours", defaults.interval_hours),
        values.get("upload_limit_kib", defaults.upload_limit_kib),
        tuple(refused),
    )
